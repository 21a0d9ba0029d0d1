use std::collections::BTreeMap;
use std::path::PathBuf;

use super::hub_config::{
    ALLOWED_NAMES, CLIENT_CA, EXTRA_PREFIXES, GROUP_HEADERS, PROXY_CA, UID_HEADERS, USERNAME_HEADERS,
};
use super::source::HubConfigError;

/// Flags that stand for parts of the ConfigMap. Names and meanings are those of every Kubernetes extension server
/// (k8s.io/apiserver, pkg/server/options/authentication.go); a list that is empty counts as not given.
///
/// With `requestheader_client_ca_file` everything about the front proxy comes from flags and their defaults. Without
/// it a list that is given takes the place of the ConfigMap's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HubConfigFlags {
    /// `--client-ca-file`
    pub client_ca_file: Option<PathBuf>,
    /// `--requestheader-client-ca-file`
    pub requestheader_client_ca_file: Option<PathBuf>,
    /// `--requestheader-username-headers`
    pub requestheader_username_headers: Vec<String>,
    /// `--requestheader-uid-headers`
    pub requestheader_uid_headers: Vec<String>,
    /// `--requestheader-group-headers`
    pub requestheader_group_headers: Vec<String>,
    /// `--requestheader-extra-headers-prefix`
    pub requestheader_extra_headers_prefix: Vec<String>,
    /// `--requestheader-allowed-names`
    pub requestheader_allowed_names: Vec<String>,
    /// `--authentication-skip-lookup`: the ConfigMap is not read at all.
    pub skip_lookup: bool,
    /// `--authentication-tolerate-lookup-failure`: being forbidden to read it is not fatal.
    pub tolerate_lookup_failure: bool,
}

/// The contents of the files that flags name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Files {
    client_ca: Option<String>,
    proxy_ca: Option<String>,
}

impl HubConfigFlags {
    /// Whether anything is left for the ConfigMap to say.
    pub(super) fn needs_lookup(&self) -> bool {
        !self.skip_lookup && (self.client_ca_file.is_none() || self.requestheader_client_ca_file.is_none())
    }

    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.client_ca_file.iter().chain(&self.requestheader_client_ca_file).cloned().collect()
    }

    pub(super) async fn read(&self) -> Result<Files, HubConfigError> {
        Ok(Files {
            client_ca: read("--client-ca-file", self.client_ca_file.as_ref()).await?,
            proxy_ca: read("--requestheader-client-ca-file", self.requestheader_client_ca_file.as_ref())
                .await?,
        })
    }

    /// The ConfigMap's data as it would be if it said what the flags say.
    pub(super) fn over(&self, files: &Files, mut data: BTreeMap<String, String>) -> BTreeMap<String, String> {
        if let Some(pem) = &files.client_ca {
            data.insert(CLIENT_CA.to_owned(), pem.clone());
        }
        if let Some(pem) = &files.proxy_ca {
            data.retain(|key, _| !key.starts_with("requestheader-"));
            data.insert(PROXY_CA.to_owned(), pem.clone());
            for (key, default) in [
                (USERNAME_HEADERS, "x-remote-user"),
                (GROUP_HEADERS, "x-remote-group"),
                (EXTRA_PREFIXES, "x-remote-extra-"),
            ] {
                data.insert(key.to_owned(), json(&[default]));
            }
        }
        for (key, list) in [
            (USERNAME_HEADERS, &self.requestheader_username_headers),
            (UID_HEADERS, &self.requestheader_uid_headers),
            (GROUP_HEADERS, &self.requestheader_group_headers),
            (EXTRA_PREFIXES, &self.requestheader_extra_headers_prefix),
            (ALLOWED_NAMES, &self.requestheader_allowed_names),
        ] {
            if !list.is_empty() {
                data.insert(key.to_owned(), json(list));
            }
        }
        data
    }
}

async fn read(flag: &'static str, path: Option<&PathBuf>) -> Result<Option<String>, HubConfigError> {
    let Some(path) = path else { return Ok(None) };
    match tokio::fs::read_to_string(path).await {
        Ok(text) if !text.is_empty() => Ok(Some(text)),
        Ok(_) => {
            Err(HubConfigError::File { flag, path: path.clone(), reason: "the file is empty".to_owned() })
        }
        Err(error) => Err(HubConfigError::File { flag, path: path.clone(), reason: error.to_string() }),
    }
}

fn json<T: serde::Serialize>(list: &[T]) -> String {
    // Strings always serialize.
    serde_json::to_string(list).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_front_proxy_of_flags_owes_nothing_to_the_config_map() {
        let flags = HubConfigFlags {
            requestheader_allowed_names: vec!["front".into(), "proxy".into()],
            ..HubConfigFlags::default()
        };
        let files = Files { client_ca: None, proxy_ca: Some("PEM".into()) };
        let map = data(&[
            (CLIENT_CA, "map"),
            (PROXY_CA, "map"),
            (UID_HEADERS, "[\"x-remote-uid\"]"),
            (USERNAME_HEADERS, "[\"x-map\"]"),
        ]);
        let expected = data(&[
            (CLIENT_CA, "map"),
            (PROXY_CA, "PEM"),
            (USERNAME_HEADERS, "[\"x-remote-user\"]"),
            (GROUP_HEADERS, "[\"x-remote-group\"]"),
            (EXTRA_PREFIXES, "[\"x-remote-extra-\"]"),
            (ALLOWED_NAMES, "[\"front\",\"proxy\"]"),
        ]);
        assert_eq!(flags.over(&files, map), expected);
    }

    #[test]
    fn the_config_map_is_needed_until_flags_say_it_all() {
        let mut flags = HubConfigFlags::default();
        assert!(flags.needs_lookup());
        flags.client_ca_file = Some("a".into());
        assert!(flags.needs_lookup());
        flags.requestheader_client_ca_file = Some("b".into());
        assert!(!flags.needs_lookup());
        assert!(!HubConfigFlags { skip_lookup: true, ..HubConfigFlags::default() }.needs_lookup());
    }
}
