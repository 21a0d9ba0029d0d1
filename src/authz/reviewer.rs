use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::Api;
use kube::api::PostParams;

use crate::reviews::Failed;

use super::Question;

/// What the hub says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allowed,
    /// No, and perhaps why.
    Denied(Arc<str>),
}

/// Who can say what is allowed: the hub, or a script in tests.
#[async_trait]
pub trait AccessReviewer: Send + Sync + 'static {
    /// One attempt.
    async fn review(&self, question: &Question) -> Result<Decision, Failed>;
}

/// Asks the hub by `POST /apis/authorization.k8s.io/v1/subjectaccessreviews`.
pub struct HubAccessReviewer {
    api: Api<SubjectAccessReview>,
}

impl HubAccessReviewer {
    /// The client needs `create` on subjectaccessreviews: ClusterRole system:auth-delegator.
    pub fn new(client: kube::Client) -> Self {
        Self { api: Api::all(client) }
    }
}

#[async_trait]
impl AccessReviewer for HubAccessReviewer {
    async fn review(&self, question: &Question) -> Result<Decision, Failed> {
        let status =
            self.api.create(&PostParams::default(), &question.review()).await?.status.unwrap_or_default();
        // One that says both yes and no says no.
        Ok(match status.allowed && status.denied != Some(true) {
            true => Decision::Allowed,
            false => Decision::Denied(status.reason.unwrap_or_default().into()),
        })
    }
}
