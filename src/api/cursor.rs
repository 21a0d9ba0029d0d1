//! Continue tokens: where the next part of a list begins, and as of when (k8s.io/apiserver, pkg/storage/continue.go).

use std::cmp::Reverse;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::{DecodeError, Engine};
use serde::{Deserialize, Serialize};

use super::go_json;
use super::resource::{Place, Resource};

/// A token that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The list goes on as of this resourceVersion; none: as of now.
    pub(super) version: Option<u64>,
    start: String,
    rank: u8,
    created: String,
    name: String,
}

#[derive(Serialize, Deserialize)]
struct Token {
    #[serde(rename = "v", default)]
    format: String,
    #[serde(rename = "rv", default)]
    version: i64,
    #[serde(default)]
    start: String,
}

const FORMAT: &str = "meta.k8s.io/v1";

impl Cursor {
    /// Behind an object.
    pub(super) fn after(place: Place<'_>, version: u64, resource: Resource) -> String {
        let Place { rank, created: Reverse(created), name } = place;
        let start = match resource {
            Resource::ClusterGateways => format!("/{name}\0"),
            Resource::VirtualClusters if created.is_empty() => format!("/{rank}/-/{name}\0"),
            Resource::VirtualClusters => format!("/{rank}/{created}/{name}\0"),
        };
        encode(i64::try_from(version).unwrap_or(i64::MAX), start)
    }

    /// Reads a token. It came from us, but by way of somebody who may have written it himself.
    pub(super) fn parse(text: &str, resource: Resource) -> Result<Self, String> {
        let invalid = |why: &str| format!("invalid continue token: continue key is not valid{why}");
        let json = URL_SAFE_NO_PAD.decode(text).map_err(|error| {
            let at = match error {
                DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => at,
                DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => text.len(),
            };
            invalid(&format!(": illegal base64 data at input byte {at}"))
        })?;
        let token: Token =
            serde_json::from_slice(&json).map_err(|_| invalid(&format!(": {}", go_json::problem(&json))))?;
        if token.format != FORMAT {
            let why = format!(": server does not recognize this encoded version {}", token.format);
            return Err(invalid(&why));
        }
        if token.version == 0 {
            return Err(invalid(": incorrect encoded start resourceVersion (version meta.k8s.io/v1)"));
        }
        if token.start.is_empty() {
            return Err(invalid(": encoded start key empty (version meta.k8s.io/v1)"));
        }
        let key = token.start.trim_start_matches('/').trim_end_matches('\0');
        let parts: Vec<&str> = key.split('/').collect();
        let (rank, created, name) = match (resource, &parts[..]) {
            (Resource::ClusterGateways, [name]) => (1, "", *name),
            (Resource::VirtualClusters, ["0", "-", name]) => (0, "", *name),
            (Resource::VirtualClusters, ["1", "-", name]) => (1, "", *name),
            (Resource::VirtualClusters, ["1", created, name]) => (1, *created, *name),
            _ => return Err(invalid(&format!(": {}", token.start))),
        };
        Ok(Self {
            version: u64::try_from(token.version).ok(),
            rank,
            created: created.to_owned(),
            name: name.to_owned(),
            start: token.start,
        })
    }

    /// What was listed last.
    pub(super) fn place(&self) -> Place<'_> {
        Place { rank: self.rank, created: Reverse(&self.created), name: &self.name }
    }

    /// The same, but as of now.
    pub(super) fn as_of_now(&self) -> String {
        encode(-1, self.start.clone())
    }
}

fn encode(version: i64, start: String) -> String {
    let token = Token { format: FORMAT.to_owned(), version, start };
    // Texts and a number: there is nothing in it that could fail to be written.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&token).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_says_where_to_go_on() {
        let created = "2026-01-02T03:04:05Z";
        for (resource, place) in [
            (Resource::ClusterGateways, Place { rank: 1, created: Reverse(""), name: "a.b" }),
            (Resource::VirtualClusters, Place { rank: 0, created: Reverse(""), name: "local" }),
            (Resource::VirtualClusters, Place { rank: 1, created: Reverse(created), name: "x" }),
            (Resource::VirtualClusters, Place { rank: 1, created: Reverse(""), name: "x" }),
        ] {
            let cursor = Cursor::parse(&Cursor::after(place, 7, resource), resource).unwrap();
            assert_eq!((cursor.version, cursor.place()), (Some(7), place));
            let now = Cursor::parse(&cursor.as_of_now(), resource).unwrap();
            assert_eq!((now.version, now.place()), (None, place));
        }
    }

    #[test]
    fn kubernetes_own_tokens_are_read() {
        let token = "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MjAyLCJzdGFydCI6Ii9rdWJlLW5vZGUtbGVhc2VcdTAwMDAifQ";
        let cursor = Cursor::parse(token, Resource::ClusterGateways).unwrap();
        assert_eq!((cursor.version, cursor.place().name), (Some(202), "kube-node-lease"));
        assert_eq!(Cursor::after(cursor.place(), 202, Resource::ClusterGateways), token);
        let refused = Cursor::parse(token, Resource::VirtualClusters).unwrap_err();
        assert!(refused.starts_with("invalid continue token: continue key is not valid: "), "{refused}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_read_or_refused(text in "[A-Za-z0-9_-]{0,40}", start in "\\PC{0,20}", version: i64) {
            let _ = Cursor::parse(&text, Resource::ClusterGateways);
            for resource in [Resource::ClusterGateways, Resource::VirtualClusters] {
                let _ = Cursor::parse(&encode(version, start.clone()), resource);
            }
        }
    }
}
