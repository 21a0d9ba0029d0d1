use std::pin::pin;

use bytes::{Bytes, BytesMut};
use http::{StatusCode, response};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::clusters::{Grant, Stream};
use crate::model::{Reason, Status};
use crate::upstream::{Receiver, Upgrade, Upgraded, UpstreamError};

use super::super::client::{Body, Gone, Reply};
use super::super::forward::{Outcome, Plan};
use super::super::headers;
use super::super::record::Traffic;
use super::super::relay::{End, relay};

/// A body that comes with a request to switch is sent as a whole before the switch. Kubernetes' clients send none.
const BODY: usize = 64 << 10;

/// What became of a request to switch.
pub(in crate::gateway) enum Asked {
    /// The cluster switches.
    Switched(Switched),
    /// It does not: what it said instead went to the caller, or could not.
    Ended(Outcome, Traffic),
    /// It was not asked.
    Refused(Status),
}

/// A cluster that has switched protocols.
pub(in crate::gateway) struct Switched {
    pub(in crate::gateway) head: response::Parts,
    pub(in crate::gateway) upgraded: Box<Upgraded>,
    /// Its place among those of its cluster.
    pub(in crate::gateway) place: Stream,
    pub(in crate::gateway) traffic: Traffic,
}

/// Asks the cluster to switch, and passes its answer on when it does not. Nothing is sent twice, but for
/// what the cluster refused together with our credential, and that with another one. `admit` gives a place among the
/// cluster's streams once the request is there as a whole: who sends none of it takes none.
pub(in crate::gateway) async fn ask(
    plan: Plan,
    mut body: Body,
    reply: &mut Reply,
    drain: &CancellationToken,
    admit: impl FnOnce() -> Result<Stream, Status>,
) -> Asked {
    let mut traffic = Traffic::default();
    let whole = match timeout(plan.deadline, read(&plan, &mut body, reply)).await {
        Ok(Ok(Some(whole))) => whole,
        Ok(Ok(None)) => {
            return Asked::Refused(Status::new(
                Reason::RequestEntityTooLarge,
                format!("a request to switch protocols may have a body of {BODY} bytes at most"),
            ));
        }
        Ok(Err(gone)) => return Asked::Ended(Outcome::CallerGone(None, gone), traffic),
        Err(_) => {
            let seconds = plan.deadline.as_secs();
            let message = format!("the request's body did not come within {seconds} s");
            return Asked::Refused(Status::new(Reason::BadRequest, message));
        }
    };
    let place = match admit() {
        Ok(place) => place,
        Err(status) => return Asked::Refused(status),
    };
    traffic.received = whole.len() as u64;
    let begun = Instant::now();
    let answer = match switch(&plan, &plan.grant, &whole, &mut body).await {
        // Whoever is refused was not listened to.
        Ok(answer) if is_refusal(&plan, &answer) => {
            let renewed = tokio::select! {
                renewed = plan.access.renewed(&plan.grant) => renewed,
                gone = body.left() => return Asked::Ended(Outcome::CallerGone(None, gone), traffic),
            };
            match renewed {
                Some(grant) => switch(&plan, &grant, &whole, &mut body).await,
                None => Ok(answer),
            }
        }
        answer => answer,
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(gone) => return Asked::Ended(Outcome::CallerGone(None, gone), traffic),
    };
    traffic.header = Some(begun.elapsed());
    let outcome = match answer {
        Ok(Upgrade::Switched(head, upgraded)) => {
            plan.access.answered();
            return Asked::Switched(Switched { head, upgraded, place, traffic });
        }
        Ok(Upgrade::Refused(head, _, _)) if plan.is_refused_by(head.status) => Outcome::CredentialRefused,
        Ok(Upgrade::Refused(head, end, receiver)) => {
            plan.access.answered();
            pass_on(head, end, receiver, &mut body, reply, drain, &mut traffic).await
        }
        Err(error) => Outcome::Failed(error),
    };
    Asked::Ended(outcome, traffic)
}

/// One attempt, within the time that the cluster has to begin its answer: streams may live for ever, but not their
/// beginning. Nothing else may find out that a caller has left who has sent something already.
async fn switch(
    plan: &Plan,
    grant: &Grant,
    whole: &Bytes,
    body: &mut Body,
) -> Result<Result<Upgrade, UpstreamError>, Gone> {
    let mut upgrade = pin!(grant.upstream.upgrade(plan.worker, plan.request.request(grant), whole.clone()));
    tokio::select! {
        biased;
        answer = &mut upgrade => Ok(answer),
        gone = body.left() => Err(gone),
        () = sleep(plan.deadline) => Ok(Err(UpstreamError::Deadline { seconds: plan.deadline.as_secs() })),
    }
}

/// Whether the cluster refused our credential.
fn is_refusal(plan: &Plan, answer: &Result<Upgrade, UpstreamError>) -> bool {
    match answer {
        Ok(Upgrade::Refused(head, _, _)) => plan.is_refused_by(head.status),
        Ok(Upgrade::Switched(..)) => false,
        Err(error) => matches!(error, UpstreamError::CredentialRefused { .. }),
    }
}

/// The body as a whole; none when it is too large.
async fn read(plan: &Plan, body: &mut Body, reply: &mut Reply) -> Result<Option<Bytes>, Gone> {
    let mut whole = BytesMut::new();
    if plan.bodiless {
        return Ok(Some(Bytes::new()));
    }
    if plan.expects_continue {
        let mut response = http::Response::new(());
        *response.status_mut() = StatusCode::CONTINUE;
        reply.inform(response).await?;
    }
    while let Some(part) = body.next().await? {
        if whole.len() + part.len() > BODY {
            return Ok(None);
        }
        whole.extend_from_slice(&part);
    }
    Ok(Some(whole.freeze()))
}

async fn pass_on(
    mut head: response::Parts,
    end: bool,
    mut receiver: Receiver,
    body: &mut Body,
    reply: &mut Reply,
    drain: &CancellationToken,
    traffic: &mut Traffic,
) -> Outcome {
    headers::clean_response(&mut head.headers);
    let status = head.status;
    let relayed = relay(head, end, &mut receiver, reply, false, drain, &mut traffic.sent);
    let result = tokio::select! {
        biased;
        result = relayed => result,
        gone = body.left() => Err(End::Gone(gone)),
    };
    match result {
        Ok(()) => Outcome::Done(status),
        Err(End::Gone(gone)) => Outcome::CallerGone(Some(status), gone),
        Err(End::Upstream(error)) => Outcome::CutShort(status, error),
    }
}
