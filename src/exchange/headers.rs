use std::fmt;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use thiserror::Error;

use crate::model::User;

const USER: HeaderName = HeaderName::from_static("impersonate-user");
const GROUP: HeaderName = HeaderName::from_static("impersonate-group");
const UID: HeaderName = HeaderName::from_static("impersonate-uid");
const EXTRA_PREFIX: &str = "impersonate-extra-";

/// Extras that say with what somebody proved to the hub who they are: the hub's pods, nodes and tokens, of which a
/// cluster knows nothing. It would ask for the right to impersonate each of them, which gateways' credentials do not
/// have, and refuse (403). Every service account's token and, from 1.32, every client certificate brings some.
const ONLY_ON_THE_HUB: [&str; 5] = [
    "authentication.kubernetes.io/credential-id",
    "authentication.kubernetes.io/node-name",
    "authentication.kubernetes.io/node-uid",
    "authentication.kubernetes.io/pod-name",
    "authentication.kubernetes.io/pod-uid",
];

/// `Impersonate-*` headers, ready to be put on a request. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers(Arc<[(HeaderName, HeaderValue)]>);

/// A part of an identity that no header can carry as it is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{part} cannot be shown to a cluster: a header's value has no control characters, no white space at its ends, \
     and says something"
)]
pub struct NotAHeader {
    /// Which.
    pub part: Part,
}

/// A part of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The name.
    User,
    /// One of the groups.
    Group,
    /// The UID.
    Uid,
    /// A key or a value of the extras.
    Extra,
}

impl Headers {
    /// What impersonates the user: name, groups and extras, the UID not. A UID of the hub is none of the cluster's,
    /// and the reference does not send it, so clusters do not grant it.
    pub(super) fn of_caller(user: &User) -> Result<Self, NotAHeader> {
        let mut headers = named(&user.name, &user.groups)?;
        for (key, values) in &user.extra {
            if ONLY_ON_THE_HUB.contains(&key.as_str()) {
                continue;
            }
            let name = extra_name(key)?;
            for value in values {
                headers.push((name.clone(), text(value, Part::Extra)?));
            }
        }
        Ok(Self(headers.into()))
    }

    /// What impersonates somebody whom a rule names. An empty UID is none.
    pub(super) fn of_target(user: &str, groups: &[String], uid: &str) -> Result<Self, NotAHeader> {
        let mut headers = named(user, groups)?;
        if !uid.is_empty() {
            headers.push((UID, meaning(uid, Part::Uid)?));
        }
        Ok(Self(headers.into()))
    }

    /// To be appended: a name may come several times.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &(HeaderName, HeaderValue)> {
        self.0.iter()
    }
}

fn named(user: &str, groups: &[String]) -> Result<Vec<(HeaderName, HeaderValue)>, NotAHeader> {
    let mut headers = Vec::with_capacity(groups.len() + 2);
    headers.push((USER, meaning(user, Part::User)?));
    for group in groups {
        headers.push((GROUP, meaning(group, Part::Group)?));
    }
    Ok(headers)
}

/// As client-go's `headerKeyEscape` (transport/round_trippers.go): what is no token, and `%`, is percent-encoded.
fn extra_name(key: &str) -> Result<HeaderName, NotAHeader> {
    let mut name = String::with_capacity(EXTRA_PREFIX.len() + key.len());
    name.push_str(EXTRA_PREFIX);
    for byte in key.bytes() {
        match byte {
            b'!' | b'#' | b'$' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|'
            | b'~' => {
                name.push(char::from(byte));
            }
            byte if byte.is_ascii_alphanumeric() => name.push(char::from(byte)),
            byte => name.push_str(&format!("%{byte:02X}")),
        }
    }
    name.parse().map_err(|_| NotAHeader { part: Part::Extra })
}

/// An empty name or group would be another question to the cluster than the one that is meant.
fn meaning(value: &str, part: Part) -> Result<HeaderValue, NotAHeader> {
    if value.is_empty() { Err(NotAHeader { part }) } else { text(value, part) }
}

/// White space at the ends is taken away on arrival: ` admin` would arrive as `admin`.
fn text(value: &str, part: Part) -> Result<HeaderValue, NotAHeader> {
    let not_a_header = NotAHeader { part };
    if value.starts_with([' ', '\t']) || value.ends_with([' ', '\t']) {
        return Err(not_a_header);
    }
    HeaderValue::from_bytes(value.as_bytes()).map_err(|_| not_a_header)
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::User => "the user's name",
            Self::Group => "one of the groups",
            Self::Uid => "the UID",
            Self::Extra => "one of the extras",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(headers: &Headers) -> Vec<String> {
        headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
            .collect()
    }

    #[test]
    fn a_caller_is_shown_with_groups_and_extras_as_client_go_writes_them() {
        let mut user = User::new("jürgen", ["a, b", "system:authenticated"]);
        user.uid = "of the hub".into();
        user.extra.insert("acme.com/Project%".into(), vec!["one".into(), String::new()]);
        user.extra.insert("scopes".into(), vec!["x".into()]);
        assert_eq!(
            shown(&Headers::of_caller(&user).unwrap()),
            [
                "impersonate-user: jürgen",
                "impersonate-group: a, b",
                "impersonate-group: system:authenticated",
                "impersonate-extra-acme.com%2fproject%25: one",
                "impersonate-extra-acme.com%2fproject%25: ",
                "impersonate-extra-scopes: x",
            ]
        );
    }

    #[test]
    fn what_only_the_hub_knows_of_a_service_account_stays_on_the_hub() {
        let mut account = User::new("system:serviceaccount:ns:name", ["system:serviceaccounts"]);
        for key in ONLY_ON_THE_HUB {
            account.extra.insert(key.into(), vec!["x".into()]);
        }
        account.extra.insert("authentication.kubernetes.io/other".into(), vec!["y".into()]);
        assert_eq!(
            shown(&Headers::of_caller(&account).unwrap()),
            [
                "impersonate-user: system:serviceaccount:ns:name",
                "impersonate-group: system:serviceaccounts",
                "impersonate-extra-authentication.kubernetes.io%2fother: y",
            ]
        );
    }

    #[test]
    fn identities_that_would_arrive_changed_are_refused() {
        let extra = |value: &str| {
            let mut user = User::new("u", ["g"]);
            user.extra.insert("k".into(), vec![value.into()]);
            Headers::of_caller(&user).unwrap_err().part
        };
        for bad in ["a\nImpersonate-Group: system:masters", "a\r", "a\0", " admin", "admin ", "\tadmin"] {
            assert_eq!(Headers::of_caller(&User::new(bad, ["g"])).unwrap_err().part, Part::User);
            assert_eq!(Headers::of_caller(&User::new("u", [bad])).unwrap_err().part, Part::Group);
            assert_eq!(Headers::of_target("u", &[], bad).unwrap_err().part, Part::Uid);
            assert_eq!(extra(bad), Part::Extra);
        }
        assert_eq!(Headers::of_caller(&User::new("", ["g"])).unwrap_err().part, Part::User);
        assert_eq!(Headers::of_caller(&User::new("u", [""])).unwrap_err().part, Part::Group);
    }

    #[test]
    fn a_target_has_a_uid_only_when_its_rule_says_so() {
        assert_eq!(shown(&Headers::of_target("u", &[], "").unwrap()), ["impersonate-user: u"]);
        let groups = ["g".to_owned()];
        assert_eq!(
            shown(&Headers::of_target("u", &groups, "7").unwrap()),
            ["impersonate-user: u", "impersonate-group: g", "impersonate-uid: 7"]
        );
    }
}
