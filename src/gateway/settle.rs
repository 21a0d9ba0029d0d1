use crate::clusters::Cluster;
use crate::model::Answer;

use super::client::Reply;
use super::failure;
use super::forward::Outcome;
use super::record::{Progress, Traffic};

/// Takes note of how a request ended that was sent. Gives what is to be answered when the cluster has not answered it.
pub(super) fn settle(
    cluster: &Cluster,
    outcome: Outcome,
    traffic: Traffic,
    reply: &mut Reply,
    progress: &mut Progress,
) -> Option<Answer> {
    progress.traffic(traffic);
    // A request is only sent where there is one.
    let access = cluster.access.as_ref().ok();
    match outcome {
        Outcome::Done(code) => {
            progress.code(code);
            None
        }
        Outcome::CallerGone(code, gone) => {
            if let Some(code) = code {
                progress.code(code);
            }
            progress.gone(&gone);
            reply.abort();
            None
        }
        Outcome::CutShort(code, error) => {
            progress.code(code);
            progress.failed(&error);
            reply.abort();
            None
        }
        Outcome::CredentialRefused => {
            progress.credential_refused();
            access.inspect(|access| access.refused());
            Some(Answer::from(&failure::credential_refused(&cluster.name)))
        }
        Outcome::Failed(error) => {
            progress.failed(&error);
            access.inspect(|access| access.failed(&error));
            Some(Answer::from(&failure::unreachable(&cluster.name, &error)))
        }
    }
}
