use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use rustls::pki_types::UnixTime;
use tokio::runtime::Handle;

use crate::model::{ANONYMOUS, AUTHENTICATED_GROUP, UNAUTHENTICATED_GROUP, User};

use super::request_header::Identities;
use super::tokens::{Tokens, WorkerTokens};
use super::{AuthnError, ChainError, ClientChain, HubConfigs, Metrics, Refusal, TokenReviewer, bearer};

/// Says who calls. Shared by all workers; each takes a [`WorkerAuthenticator`] of its own.
#[derive(Clone)]
pub struct Authenticator {
    configs: HubConfigs,
    tokens: Option<Arc<Tokens>>,
    anonymous: Option<Arc<User>>,
}

/// What an operator may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthenticatorOptions {
    /// Whether callers who show nothing are `system:anonymous`, as in every extension server, rather than refused.
    pub anonymous: bool,
    /// `--authentication-token-webhook-cache-ttl`: how long the hub's word on a token is good.
    pub token_ttl: Duration,
}

/// One worker's: its caches are its own, nothing in it waits for another worker's thread.
pub struct WorkerAuthenticator {
    shared: Authenticator,
    identities: Identities,
    tokens: Option<WorkerTokens>,
}

impl Default for AuthenticatorOptions {
    fn default() -> Self {
        Self { anonymous: true, token_ttl: Duration::from_secs(10) }
    }
}

impl Authenticator {
    /// `control` is the runtime that asks about tokens. Without a reviewer tokens are ignored.
    pub fn new(
        configs: HubConfigs,
        reviewer: Option<Arc<dyn TokenReviewer>>,
        options: AuthenticatorOptions,
        control: &Handle,
        metrics: Metrics,
    ) -> Self {
        let tokens =
            reviewer.map(|reviewer| Arc::new(Tokens::new(reviewer, options.token_ttl, control, metrics)));
        let anonymous = options.anonymous.then(|| Arc::new(User::new(ANONYMOUS, [UNAUTHENTICATED_GROUP])));
        Self { configs, tokens, anonymous }
    }

    /// For one worker.
    pub fn for_worker(&self) -> WorkerAuthenticator {
        WorkerAuthenticator {
            shared: self.clone(),
            identities: Identities::new(),
            tokens: self.tokens.clone().map(WorkerTokens::new),
        }
    }
}

impl WorkerAuthenticator {
    /// Who calls: whom the front proxy names, else the certificate's holder, else the token's, else anonymous.
    ///
    /// The first who is somebody wins. When nobody is, anything that was shown and is not valid makes it 401: it is
    /// never overlooked. Does not wait unless a token has to be asked about.
    pub async fn authenticate(
        &self,
        chain: Option<&ClientChain>,
        headers: &HeaderMap,
    ) -> Result<Arc<User>, AuthnError> {
        self.authenticate_at(UnixTime::now().as_secs(), chain, headers).await
    }

    /// Whether a header says who somebody is and so must not be passed on as it came: to be asked about one header
    /// after the other, not to be held across an await. None where those are Authorization, `X-Remote-*` and
    /// `Impersonate-*` only.
    pub fn is_identity_header(&self) -> Option<impl Fn(&HeaderName) -> bool> {
        let config = self.shared.configs.load();
        config.has_unusual_headers().then_some(move |name: &HeaderName| config.is_identity_header(name))
    }

    async fn authenticate_at(
        &self,
        now: u64,
        chain: Option<&ClientChain>,
        headers: &HeaderMap,
    ) -> Result<Arc<User>, AuthnError> {
        let mut refused = None;
        if let Some(chain) = chain {
            match self.by_certificate(now, chain, headers) {
                Ok(Some(user)) => return Ok(user),
                Ok(None) => {}
                Err(AuthnError::Unauthorized(refusal)) => refused = Some(refusal),
                Err(error) => return Err(error),
            }
        }
        if let Some(tokens) = &self.tokens {
            for token in [bearer::authorization(headers), bearer::web_socket(headers)] {
                match token {
                    Ok(None) => {}
                    Ok(Some(token)) => match tokens.user(token).await? {
                        Some(user) => return Ok(user),
                        None => refused = Some(Refusal::Token),
                    },
                    Err(refusal) => refused = Some(refusal),
                }
            }
        }
        match refused {
            Some(refusal) => Err(refusal.into()),
            None => self.shared.anonymous.clone().ok_or(AuthnError::Unauthorized(Refusal::Anonymous)),
        }
    }

    fn by_certificate(
        &self,
        now: u64,
        chain: &ClientChain,
        headers: &HeaderMap,
    ) -> Result<Option<Arc<User>>, AuthnError> {
        let config = self.shared.configs.load();
        if config.generation() == 0 {
            return Err(AuthnError::NotReady);
        }
        let verdict = chain.verdict(&config, now);
        let mut refused = None;
        match (&verdict.front_proxy, config.front_proxy()) {
            (Ok(true), Some(proxy)) => {
                if let Some(user) = self.identities.user(proxy, config.generation(), headers)? {
                    return Ok(Some(user));
                }
            }
            (Err(error), _) => refused = Some(error),
            (Ok(_), _) => {}
        }
        match &verdict.client {
            Ok(Some(user)) => return Ok(Some(Arc::clone(user))),
            Ok(None) => {}
            // That it is no user's certificate either says less than that it may not speak for others.
            Err(_) if matches!(refused, Some(ChainError::NotAllowed(_))) => {}
            Err(error) => refused = Some(error),
        }
        match refused {
            Some(error) => Err(Refusal::Chain(error.clone()).into()),
            None => Ok(None),
        }
    }
}

/// Adds `system:authenticated`, as k8s.io/apiserver's `AuthenticatedGroupAdder`: not to `system:anonymous`, and not
/// to those of whom it is already said whether they are.
pub(super) fn in_authenticated(mut user: User) -> User {
    let said = user.is_in(AUTHENTICATED_GROUP) || user.is_in(UNAUTHENTICATED_GROUP);
    if user.name != ANONYMOUS && !said {
        user.groups.push(AUTHENTICATED_GROUP.to_owned());
    }
    user
}

#[cfg(test)]
mod tests;
