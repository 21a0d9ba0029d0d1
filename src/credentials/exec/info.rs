use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::config::Version;

/// What a command is told of the cluster when its configuration asks for that (`Cluster` of
/// `client.authentication.k8s.io`). `Debug` shows the endpoint only: the proxy's URL holds a password.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ClusterInfo {
    /// The endpoint.
    pub server: String,
    /// Another name to verify the cluster by.
    pub tls_server_name: Option<String>,
    /// Nobody verifies it.
    pub insecure_skip_tls_verify: bool,
    /// PEM.
    pub certificate_authority: Option<Vec<u8>>,
    /// The forward proxy, with its password: whoever may run may use it.
    pub proxy_url: Option<String>,
}

impl fmt::Debug for ClusterInfo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ClusterInfo").field("server", &self.server).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Credential<'a> {
    kind: &'static str,
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    spec: Spec<'a>,
}

#[derive(Serialize)]
struct Spec<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<Cluster<'a>>,
    interactive: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster<'a> {
    server: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_server_name: Option<&'a str>,
    #[serde(skip_serializing_if = "is_false")]
    insecure_skip_tls_verify: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_authority_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy_url: Option<&'a str>,
    /// A kubeconfig's extension; Secrets have none. client-go writes it all the same.
    config: (),
}

/// `KUBERNETES_EXEC_INFO`, as client-go writes it, field for field.
pub(super) fn exec_info(
    version: Version,
    cluster: Option<&ClusterInfo>,
) -> Result<String, serde_json::Error> {
    let cluster = cluster.map(|info| Cluster {
        server: &info.server,
        tls_server_name: info.tls_server_name.as_deref(),
        insecure_skip_tls_verify: info.insecure_skip_tls_verify,
        certificate_authority_data: info.certificate_authority.as_ref().map(|pem| STANDARD.encode(pem)),
        proxy_url: info.proxy_url.as_deref(),
        config: (),
    });
    serde_json::to_string(&Credential {
        kind: "ExecCredential",
        api_version: version.as_str(),
        spec: Spec { cluster, interactive: false },
    })
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_password() {
        let proxy_url = Some("http://user:hunter2@proxy:3128".to_owned());
        let info = ClusterInfo { server: "https://a:6443".to_owned(), proxy_url, ..ClusterInfo::default() };
        assert_eq!(format!("{info:?}"), "ClusterInfo { server: \"https://a:6443\", .. }");
    }

    #[test]
    fn it_is_what_client_go_writes() {
        assert_eq!(
            exec_info(Version::V1Beta1, None).unwrap(),
            r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","spec":{"interactive":false}}"#
        );
        let mut info = ClusterInfo {
            server: "https://10.0.0.1:6443".to_owned(),
            certificate_authority: Some(b"PEM".to_vec()),
            ..ClusterInfo::default()
        };
        assert_eq!(
            exec_info(Version::V1, Some(&info)).unwrap(),
            r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{"cluster":{"server":"https://10.0.0.1:6443","certificate-authority-data":"UEVN","config":null},"interactive":false}}"#
        );
        info.certificate_authority = None;
        info.insecure_skip_tls_verify = true;
        info.tls_server_name = Some("a".to_owned());
        info.proxy_url = Some("http://p:1".to_owned());
        assert!(exec_info(Version::V1, Some(&info)).unwrap().contains(
            r#""tls-server-name":"a","insecure-skip-tls-verify":true,"proxy-url":"http://p:1","config":null"#
        ));
    }
}
