use std::collections::BTreeMap;

use http::HeaderName;
use thiserror::Error;

use super::trust::{InvalidTrust, Trust};

/// How the hub says that callers are to be recognised: ConfigMap
/// `kube-system/extension-apiserver-authentication`, and flags that take the place of parts of it.
#[derive(Debug, Clone, Default)]
pub struct HubConfig {
    generation: u64,
    client_ca: Option<Trust>,
    front_proxy: Option<FrontProxy>,
}

/// Who may say who others are, and in which headers.
#[derive(Debug, Clone)]
pub struct FrontProxy {
    /// Its certificate verifies against these.
    pub ca: Trust,
    /// Its common name is one of these; none means any.
    pub allowed_names: Vec<String>,
    /// The first that is there and not empty has the user's name.
    pub username_headers: Vec<HeaderName>,
    /// The first that is there and not empty has the user's UID. Hubs up to 1.31 let a client's own `X-Remote-Uid`
    /// pass, so there is no default.
    pub uid_headers: Vec<HeaderName>,
    /// All values of all of them are groups.
    pub group_headers: Vec<HeaderName>,
    /// Lower case. What follows the prefix in a header's name is the extra's key.
    pub extra_prefixes: Vec<String>,
}

/// A value of the ConfigMap, or a flag that stands for it, that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidHubConfig {
    /// Certificates.
    #[error("{key}: {reason}")]
    Ca {
        /// The ConfigMap's key.
        key: &'static str,
        /// Why.
        reason: InvalidTrust,
    },
    /// Neither absent nor a JSON array of strings.
    #[error("{key} is no JSON array of strings: {reason}")]
    List {
        /// The ConfigMap's key.
        key: &'static str,
        /// The parser's words.
        reason: String,
    },
    /// Not the name, or the beginning of a name, of a header.
    #[error("{key}: {name:?} cannot be the name of a header")]
    Header {
        /// The ConfigMap's key.
        key: &'static str,
        /// What stands there.
        name: String,
    },
}

pub(super) const CLIENT_CA: &str = "client-ca-file";
pub(super) const PROXY_CA: &str = "requestheader-client-ca-file";
pub(super) const USERNAME_HEADERS: &str = "requestheader-username-headers";
pub(super) const UID_HEADERS: &str = "requestheader-uid-headers";
pub(super) const GROUP_HEADERS: &str = "requestheader-group-headers";
pub(super) const EXTRA_PREFIXES: &str = "requestheader-extra-headers-prefix";
pub(super) const ALLOWED_NAMES: &str = "requestheader-allowed-names";

impl HubConfig {
    /// Reads the ConfigMap's data. What is absent is not there: no client CA, no front proxy.
    ///
    /// `generation` tells configurations apart; 0 is for the one before anything was loaded.
    pub fn from_data(generation: u64, data: &BTreeMap<String, String>) -> Result<Self, InvalidHubConfig> {
        Ok(Self {
            generation,
            client_ca: certificates(CLIENT_CA, data)?,
            front_proxy: match certificates(PROXY_CA, data)? {
                None => None,
                Some(ca) => Some(FrontProxy {
                    ca,
                    allowed_names: list(ALLOWED_NAMES, data)?,
                    username_headers: headers(USERNAME_HEADERS, data)?,
                    uid_headers: headers(UID_HEADERS, data)?,
                    group_headers: headers(GROUP_HEADERS, data)?,
                    extra_prefixes: headers(EXTRA_PREFIXES, data)?
                        .into_iter()
                        .map(|prefix| prefix.as_str().to_owned())
                        .collect(),
                }),
            },
        })
    }

    /// Changes whenever the content does.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Who vouches for users' own certificates.
    pub fn client_ca(&self) -> Option<&Trust> {
        self.client_ca.as_ref()
    }

    /// Who may say who others are.
    pub fn front_proxy(&self) -> Option<&FrontProxy> {
        self.front_proxy.as_ref()
    }

    /// Whether the front proxy says who calls by headers of other names than `X-Remote-*`.
    pub(super) fn has_unusual_headers(&self) -> bool {
        let usual = |name: &str| name.starts_with("x-remote-");
        self.front_proxy.as_ref().is_some_and(|proxy| {
            proxy.headers().any(|name| !usual(name.as_str()))
                || proxy.extra_prefixes.iter().any(|prefix| !usual(prefix))
        })
    }

    /// Whether a header says who somebody is, and so must not be passed on as the caller sent it: Authorization,
    /// X-Remote-*, Impersonate-*, and whatever the front proxy uses.
    pub fn is_identity_header(&self, name: &HeaderName) -> bool {
        let text = name.as_str();
        *name == http::header::AUTHORIZATION
            || text.starts_with("x-remote-")
            || text.starts_with("impersonate-")
            || self.front_proxy.as_ref().is_some_and(|proxy| proxy.names(name))
    }
}

impl FrontProxy {
    fn headers(&self) -> impl Iterator<Item = &HeaderName> {
        [&self.username_headers, &self.uid_headers, &self.group_headers].into_iter().flatten()
    }

    fn names(&self, name: &HeaderName) -> bool {
        self.headers().any(|own| own == name)
            || self.extra_prefixes.iter().any(|prefix| name.as_str().starts_with(prefix.as_str()))
    }
}

fn certificates(
    key: &'static str,
    data: &BTreeMap<String, String>,
) -> Result<Option<Trust>, InvalidHubConfig> {
    match data.get(key).filter(|pem| !pem.is_empty()) {
        None => Ok(None),
        Some(pem) => {
            Trust::from_pem(pem.as_bytes()).map(Some).map_err(|reason| InvalidHubConfig::Ca { key, reason })
        }
    }
}

fn list(key: &'static str, data: &BTreeMap<String, String>) -> Result<Vec<String>, InvalidHubConfig> {
    match data.get(key).filter(|json| !json.is_empty()) {
        None => Ok(Vec::new()),
        Some(json) => serde_json::from_str::<Option<Vec<String>>>(json)
            .map(Option::unwrap_or_default)
            .map_err(|error| InvalidHubConfig::List { key, reason: error.to_string() }),
    }
}

fn headers(key: &'static str, data: &BTreeMap<String, String>) -> Result<Vec<HeaderName>, InvalidHubConfig> {
    list(key, data)?
        .into_iter()
        .map(|name| name.trim().parse().map_err(|_| InvalidHubConfig::Header { key, name }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::testing::Authority;

    fn data(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_hubs_own_config_map_is_read() {
        let (one, two) = (Authority::new("one"), Authority::new("two"));
        let both = format!("{}{}", one.pem(), two.pem());
        let config = HubConfig::from_data(
            7,
            &data(&[
                (CLIENT_CA, &both),
                (PROXY_CA, &one.pem()),
                (ALLOWED_NAMES, r#"["front-proxy-client"]"#),
                (EXTRA_PREFIXES, r#"["X-Remote-Extra-"]"#),
                (GROUP_HEADERS, r#"["X-Remote-Group"]"#),
                (USERNAME_HEADERS, r#"["X-Remote-User", " X-Other "]"#),
                (UID_HEADERS, "null"),
            ]),
        )
        .unwrap();
        let proxy = config.front_proxy().unwrap();
        assert_eq!(config.client_ca().unwrap().validities().count(), 2);
        assert_eq!(proxy.username_headers, ["x-remote-user", "x-other"]);
        assert_eq!(proxy.extra_prefixes, ["x-remote-extra-"]);
        assert!(proxy.uid_headers.is_empty());
        assert_eq!(proxy.allowed_names, ["front-proxy-client"]);
        for secret in ["authorization", "x-remote-uid", "impersonate-user", "x-other", "x-remote-extra-a"] {
            assert!(config.is_identity_header(&HeaderName::from_static(secret)), "{secret}");
        }
        assert!(!config.is_identity_header(&HeaderName::from_static("accept")));
        assert!(config.has_unusual_headers());
    }

    #[test]
    fn a_front_proxy_with_names_of_its_own_is_known_by_any_one_of_them() {
        let ca = Authority::new("ca").pem();
        let unusual = |key: &str, names: &str| {
            let pairs = [(PROXY_CA, ca.as_str()), (USERNAME_HEADERS, r#"["X-Remote-User"]"#), (key, names)];
            HubConfig::from_data(1, &data(&pairs)).unwrap().has_unusual_headers()
        };
        assert!(!unusual(GROUP_HEADERS, r#"["X-Remote-Group"]"#));
        assert!(!unusual(EXTRA_PREFIXES, r#"["X-Remote-Extra-"]"#));
        for key in [USERNAME_HEADERS, UID_HEADERS, GROUP_HEADERS, EXTRA_PREFIXES] {
            assert!(unusual(key, r#"["X-Remote-Usual-", "X-Corp-"]"#), "{key}");
            // Shorter than what stays here anyway.
            assert!(unusual(key, r#"["X-Remote"]"#), "{key}");
        }
    }

    #[test]
    fn an_empty_map_knows_nobody() {
        let config = HubConfig::from_data(1, &data(&[(CLIENT_CA, "")])).unwrap();
        assert!(config.client_ca().is_none() && config.front_proxy().is_none());
    }

    #[test]
    fn what_cannot_be_used_is_named_by_its_key() {
        let ca = Authority::new("ca").pem();
        let error = |pairs: &[(&str, &str)]| HubConfig::from_data(1, &data(pairs)).unwrap_err().to_string();
        assert!(error(&[(CLIENT_CA, "x")]).starts_with("client-ca-file: "));
        assert!(
            error(&[(PROXY_CA, &ca), (GROUP_HEADERS, "X-Remote-Group")])
                .starts_with("requestheader-group-headers is no JSON")
        );
        assert!(
            error(&[(PROXY_CA, &ca), (USERNAME_HEADERS, r#"["a b"]"#)])
                .contains("\"a b\" cannot be the name of a header")
        );
        assert!(error(&[(PROXY_CA, &ca), (EXTRA_PREFIXES, r#"[""]"#)]).contains("cannot be the name"));
    }
}
