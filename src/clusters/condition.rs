use std::borrow::Cow;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::contact::{Found, rfc3339};
use super::{Access, CredentialState, EndpointType};

/// One aspect of a cluster's state, as `metav1.Condition` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// `Usable`, `Verified`, `CredentialReady` or `Reachable`.
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

/// What conditions are about.
pub(super) struct State<'a> {
    pub(super) access: &'a Result<Arc<Access>, String>,
    pub(super) problem: Option<&'a str>,
    /// It is the latest Secret that cannot be used.
    pub(super) failed: bool,
    pub(super) endpoint_type: EndpointType,
    /// The API group.
    pub(super) group: &'a str,
}

/// What there is to say now. What has not changed since `before` keeps its time.
pub(super) fn conditions(state: &State<'_>, before: &[Condition], now: SystemTime) -> Vec<Condition> {
    let refused = state.access.as_ref().err().map(String::as_str);
    let mut found = vec![usable(refused, state.problem, state.failed)];
    if let Ok(access) = state.access {
        found.push(verified(access.verified, state));
        found.push(credential(access.credential_state(now)));
        found.extend(reachable(access.found(now)));
    }
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // What was found out on the way has its own time.
    for condition in found.iter_mut().filter(|condition| condition.since == 0) {
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

fn verified(verified: bool, state: &State<'_>) -> Condition {
    const KIND: &str = "Verified";
    match verified {
        true => condition(KIND, "True", "CertificateAuthorityGiven", ""),
        false if state.endpoint_type == EndpointType::ClusterProxy => condition(
            KIND,
            "False",
            "ServerNameMissing",
            format!(
                "behind Konnectivity whoever answers is taken for the cluster and is shown its credential: the \
                 annotation {}/tls-server-name, with ca.crt, says what its certificate has to say",
                state.group
            ),
        ),
        false => condition(
            KIND,
            "False",
            "CertificateAuthorityMissing",
            "the Secret has no ca.crt: whoever answers at the endpoint is taken for the cluster and is shown its credential",
        ),
    }
}

/// Of this replica's own: each has its own credential where it has to be got.
fn credential(state: CredentialState) -> Condition {
    const KIND: &str = "CredentialReady";
    match state {
        CredentialState::Ready => condition(KIND, "True", "CredentialAvailable", ""),
        CredentialState::Endangered(why) => condition(KIND, "True", "CredentialEndangered", why),
        CredentialState::Missing(why) => condition(KIND, "False", "CredentialUnavailable", why),
        CredentialState::Refused(why) => condition(KIND, "False", "CredentialRefused", why),
        CredentialState::NotAskedFor => {
            condition(KIND, "Unknown", "CredentialNotAskedFor", "it is got when a request needs it")
        }
    }
}

/// Of this replica's own, too, and only once a request did not get there: nobody goes there to find out, and to say of
/// each cluster when it was first asked would be news to nobody and an event to everybody who watches.
fn reachable(found: Found) -> Option<Condition> {
    const KIND: &str = "Reachable";
    let (condition, since) = match found {
        Found::Nothing | Found::Refused { .. } => return None,
        Found::Unreachable { since, reason, why } => {
            let message = format!("unreachable since {}: {why}", rfc3339(since));
            (condition(KIND, "False", reason, message), since)
        }
        Found::Answering { since } => (condition(KIND, "True", "ClusterAnswers", ""), since),
    };
    Some(Condition { since, ..condition })
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
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let state = |access, problem| State {
            access,
            problem,
            failed: true,
            endpoint_type: EndpointType::Const,
            group: "cluster.core.oam.dev",
        };
        let refused: Result<Arc<Access>, String> = Err("bad".to_owned());
        let first = conditions(&state(&refused, Some("bad")), &[], at(100));
        assert_eq!((first.len(), first[0].status, first[0].since), (1, "False", 100));
        let other: Result<Arc<Access>, String> = Err("worse".to_owned());
        let second = conditions(&state(&other, Some("worse")), &first, at(200));
        assert_eq!((&*second[0].message, second[0].since), ("worse", 100));
        let recovered = Condition { status: "True", ..first[0].clone() };
        assert_eq!(conditions(&state(&refused, None), &[recovered], at(300))[0].since, 300);
    }
}
