use async_trait::async_trait;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::Api;
use kube::api::PostParams;

use crate::model::User;
use crate::reviews::Failed;

use super::Token;

/// Who can say whose token it is: the hub, or a script in tests.
#[async_trait]
pub trait TokenReviewer: Send + Sync + 'static {
    /// One attempt. None when the token is nobody's.
    async fn review(&self, token: &Token) -> Result<Option<User>, Failed>;
}

/// Asks the hub by `POST /apis/authentication.k8s.io/v1/tokenreviews`, without audiences: a token for the hub's own
/// API is one for us, as with every aggregated apiserver.
pub struct HubTokenReviewer {
    api: Api<TokenReview>,
}

impl HubTokenReviewer {
    /// The client needs `create` on tokenreviews: ClusterRole system:auth-delegator.
    pub fn new(client: kube::Client) -> Self {
        Self { api: Api::all(client) }
    }
}

#[async_trait]
impl TokenReviewer for HubTokenReviewer {
    async fn review(&self, token: &Token) -> Result<Option<User>, Failed> {
        let review = TokenReview {
            spec: TokenReviewSpec { token: Some(token.secret().to_owned()), audiences: None },
            ..TokenReview::default()
        };
        let status = self.api.create(&PostParams::default(), &review).await?.status.unwrap_or_default();
        if status.authenticated != Some(true) {
            return Ok(None);
        }
        let user = status.user.unwrap_or_default();
        Ok(Some(User {
            name: user.username.unwrap_or_default(),
            uid: user.uid.unwrap_or_default(),
            groups: user.groups.unwrap_or_default(),
            extra: user.extra.unwrap_or_default(),
        }))
    }
}
