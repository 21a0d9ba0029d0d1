use std::borrow::Cow;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Access, CredentialState};

/// One aspect of a cluster's state, as `metav1.Condition` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// `Usable`, `Verified` or `CredentialReady`.
    pub kind: &'static str,
    /// `True`, `False` or `Unknown`.
    pub status: &'static str,
    /// For programs, in one word.
    pub reason: &'static str,
    /// For people.
    pub message: Cow<'static, str>,
    /// Since when the status is what it is, as far as this process knows; whole seconds since 1970.
    pub since: u64,
}

/// What there is to say now; `failed` when it is the latest Secret that cannot be used, `unverified` reason and message
/// for a cluster that is not verified. What has not changed since
/// `before` keeps its time.
pub(super) fn conditions(
    access: &Result<Arc<Access>, String>,
    problem: Option<&str>,
    failed: bool,
    unverified: &(&'static str, String),
    before: &[Condition],
    now: SystemTime,
) -> Vec<Condition> {
    let mut found = vec![usable(access.as_ref().err().map(String::as_str), problem, failed)];
    if let Ok(access) = access {
        found.push(verified(access.verified, unverified));
        found.push(credential(access.credential_state(now)));
    }
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    for condition in &mut found {
        let same = before.iter().find(|old| (old.kind, old.status) == (condition.kind, condition.status));
        condition.since = same.map_or(seconds, |old| old.since);
    }
    found
}

fn usable(refused: Option<&str>, problem: Option<&str>, failed: bool) -> Condition {
    const KIND: &str = "Usable";
    match (refused, problem) {
        (None, None) => condition(KIND, "True", "SecretAccepted", ""),
        (None, Some(problem)) if failed => {
            condition(KIND, "True", "EarlierSecretInForce", problem.to_owned())
        }
        (None, Some(problem)) => condition(KIND, "True", "SecretAcceptedWithProblem", problem.to_owned()),
        (Some(why), _) => condition(KIND, "False", "SecretRefused", why.to_owned()),
    }
}

fn verified(verified: bool, (reason, message): &(&'static str, String)) -> Condition {
    const KIND: &str = "Verified";
    match verified {
        true => condition(KIND, "True", "CertificateAuthorityGiven", ""),
        false => condition(KIND, "False", reason, message.clone()),
    }
}

/// Of this replica's own: each has its own credential where it has to be got.
fn credential(state: CredentialState) -> Condition {
    const KIND: &str = "CredentialReady";
    match state {
        CredentialState::Ready => condition(KIND, "True", "CredentialAvailable", ""),
        CredentialState::Endangered(why) => condition(KIND, "True", "CredentialEndangered", why),
        CredentialState::Missing(why) => condition(KIND, "False", "CredentialUnavailable", why),
        CredentialState::NotAskedFor => {
            condition(KIND, "Unknown", "CredentialNotAskedFor", "it is got when a request needs it")
        }
    }
}

fn condition(
    kind: &'static str,
    status: &'static str,
    reason: &'static str,
    message: impl Into<Cow<'static, str>>,
) -> Condition {
    Condition { kind, status, reason, message: message.into(), since: 0 }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_condition_keeps_its_time_until_its_status_changes() {
        let unverified = ("None", String::new());
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let refused: Result<Arc<Access>, String> = Err("bad".to_owned());
        let first = conditions(&refused, Some("bad"), true, &unverified, &[], at(100));
        assert_eq!((first.len(), first[0].status, first[0].since), (1, "False", 100));
        let other: Result<Arc<Access>, String> = Err("worse".to_owned());
        let second = conditions(&other, Some("worse"), true, &unverified, &first, at(200));
        assert_eq!((&*second[0].message, second[0].since), ("worse", 100));
        let recovered = Condition { status: "True", ..first[0].clone() };
        assert_eq!(conditions(&refused, None, true, &unverified, &[recovered], at(300))[0].since, 300);
    }
}
