use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;

use crate::model::{Reason, Recent, Status, User};

use super::rules::Action;
use super::{GlobalRules, Headers, NotAHeader, Rules};

/// Callers a worker remembers the headers of.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(2048).expect("not zero");

/// Says who callers are on clusters. Shared by all workers; each takes a [`WorkerExchanger`] of its own.
#[derive(Debug, Clone)]
pub struct Exchanger {
    always: bool,
    global: GlobalRules,
}

/// One worker's: its cache is its own, nothing in it waits for another worker's thread.
#[derive(Debug)]
pub struct WorkerExchanger {
    shared: Exchanger,
    hasher: RandomState,
    known: Mutex<Recent<(Arc<User>, Headers)>>,
}

/// Who a caller is on a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// Whoever the cluster's own credential is.
    AsCredential,
    /// Somebody else, by these headers.
    Impersonate(Headers),
}

/// Why a caller is nobody on a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExchangeError {
    /// 403: an identity that a header would change.
    #[error("the caller cannot be impersonated on cluster {cluster:?}: {reason}")]
    NotAHeader {
        /// The cluster.
        cluster: String,
        /// What.
        reason: NotAHeader,
    },
    /// 500: a rule that is there but cannot be followed.
    #[error(
        "identity exchange rule {rule:?} is an ExternalIdentityExchanger, which is not available in this version; \
         use a StaticMappingIdentityExchanger"
    )]
    External {
        /// The rule's name.
        rule: String,
    },
}

impl ExchangeError {
    /// The answer.
    pub fn status(&self) -> Status {
        match self {
            Self::NotAHeader { .. } => Status::new(Reason::Forbidden, self.to_string()),
            Self::External { .. } => {
                Status::new(Reason::InternalError, format!("Internal error occurred: {self}"))
            }
        }
    }
}

impl Exchanger {
    /// `always` is the gate ClientIdentityPenetration.
    pub fn new(always: bool, global: GlobalRules) -> Self {
        Self { always, global }
    }

    /// For one worker.
    pub fn for_worker(&self) -> WorkerExchanger {
        WorkerExchanger {
            shared: self.clone(),
            hasher: RandomState::new(),
            known: Mutex::new(Recent::new(REMEMBERED)),
        }
    }
}

impl WorkerExchanger {
    /// Whether callers are exchanged at all: always, or because this one asks for it.
    pub fn is_on(&self, asked: bool) -> bool {
        self.shared.always || asked
    }

    /// Who the user is on the cluster. `rules` are the cluster's own, `asked` says that the request has
    /// `?impersonate=true`, which asks for what the gate does for all.
    pub fn identity(
        &self,
        user: &Arc<User>,
        cluster: &str,
        rules: Option<&Rules>,
        asked: bool,
    ) -> Result<Identity, ExchangeError> {
        if !self.shared.always && !asked {
            return Ok(Identity::AsCredential);
        }
        let global = self.shared.global.load();
        let rule =
            rules.and_then(|rules| rules.matching(user, cluster)).or_else(|| global.matching(user, cluster));
        match rule.map(|rule| (&rule.action, &rule.name)) {
            None => self
                .caller(user)
                .map(Identity::Impersonate)
                .map_err(|reason| ExchangeError::NotAHeader { cluster: cluster.to_owned(), reason }),
            Some((Action::Privileged, _)) => Ok(Identity::AsCredential),
            Some((Action::Static(headers), _)) => Ok(Identity::Impersonate(headers.clone())),
            Some((Action::External, name)) => Err(ExchangeError::External { rule: name.clone() }),
        }
    }

    fn caller(&self, user: &Arc<User>) -> Result<Headers, NotAHeader> {
        // Users who come often are the same allocation; it cannot become another user's while it is held here.
        let hash = self.hasher.hash_one(Arc::as_ptr(user).addr());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, headers)) = known.get(hash, |(known, _)| Arc::ptr_eq(known, user)) {
            return Ok(headers.clone());
        }
        let headers = Headers::of_caller(user)?;
        known.put(hash, (Arc::clone(user), headers.clone()));
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(action: &str) -> Rules {
        let rule = format!("{{name: r, {action}, source: {{user: alice}}}}");
        Rules::parse(&format!("spec: {{clientIdentityExchanger: {{rules: [{rule}]}}}}")).unwrap()
    }

    fn mapped(to: &str) -> Rules {
        rules(&format!("type: StaticMappingIdentityExchanger, target: {{user: {to}}}"))
    }

    fn alice() -> Arc<User> {
        Arc::new(User::new("alice", ["dev"]))
    }

    fn name(identity: Result<Identity, ExchangeError>) -> String {
        match identity.unwrap() {
            Identity::AsCredential => "credential".to_owned(),
            Identity::Impersonate(headers) => headers.iter().next().unwrap().1.to_str().unwrap().to_owned(),
        }
    }

    #[test]
    fn nobody_is_impersonated_unless_the_gate_or_the_caller_asks_for_it() {
        let off = Exchanger::new(false, GlobalRules::fixed(mapped("global"))).for_worker();
        assert_eq!(name(off.identity(&alice(), "c", Some(&mapped("own")), false)), "credential");
        assert_eq!(name(off.identity(&alice(), "c", None, true)), "global");
        let on = Exchanger::new(true, GlobalRules::default()).for_worker();
        assert_eq!(name(on.identity(&alice(), "c", None, false)), "alice");
    }

    #[test]
    fn a_clusters_own_rules_come_before_the_global_ones() {
        let exchanger = Exchanger::new(true, GlobalRules::fixed(mapped("global"))).for_worker();
        assert_eq!(name(exchanger.identity(&alice(), "c", Some(&mapped("own")), false)), "own");
        assert_eq!(name(exchanger.identity(&alice(), "c", Some(&Rules::default()), false)), "global");
        let bob = Arc::new(User::new("bob", ["dev"]));
        assert_eq!(name(exchanger.identity(&bob, "c", Some(&mapped("own")), false)), "bob");
        let privileged = rules("type: PrivilegedIdentityExchanger");
        assert_eq!(name(exchanger.identity(&alice(), "c", Some(&privileged), true)), "credential");
    }

    #[test]
    fn a_rule_that_cannot_be_followed_refuses_the_request() {
        let exchanger = Exchanger::new(true, GlobalRules::default()).for_worker();
        let external = rules("type: ExternalIdentityExchanger, url: https://x");
        let error = exchanger.identity(&alice(), "c", Some(&external), false).unwrap_err();
        assert_eq!(error.status().code(), 500);
        assert!(error.to_string().contains("rule \"r\""), "{error}");
    }

    #[test]
    fn an_identity_that_no_header_can_carry_is_refused() {
        let exchanger = Exchanger::new(true, GlobalRules::default()).for_worker();
        let odd = Arc::new(User::new("a\nb", ["dev"]));
        let error = exchanger.identity(&odd, "c", None, false).unwrap_err();
        assert_eq!(error.status().code(), 403);
        assert!(!error.to_string().contains('\n'));
    }

    #[test]
    fn a_callers_headers_are_made_once_and_never_anothers() {
        let exchanger = Exchanger::new(true, GlobalRules::default()).for_worker();
        let alice = alice();
        let headers = |user: &Arc<User>| exchanger.caller(user).unwrap();
        let (first, second) = (headers(&alice), headers(&alice));
        assert!(std::ptr::eq(first.iter().next().unwrap(), second.iter().next().unwrap()));
        for number in 0..5000 {
            let user = Arc::new(User::new(format!("user-{number}"), ["dev"]));
            let identity = exchanger.identity(&user, "c", None, false);
            assert_eq!(name(identity), user.name);
        }
        assert!(exchanger.known.lock().unwrap().len() <= REMEMBERED.get());
    }
}
