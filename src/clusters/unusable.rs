use thiserror::Error;

use crate::credentials::exec::InvalidExec;
use crate::credentials::files::InvalidPath;
use crate::tls::InvalidIdentity;
use crate::upstream::{InvalidEndpoint, InvalidUpstream};

/// Why no access to a cluster can be made of its Secret. Names data keys, never what they hold.
#[derive(Debug, Error)]
pub enum Unusable {
    /// A type label with a value that means nothing.
    #[error("label {label} is {value:?}; it may be {accepted}")]
    UnknownType {
        /// The label.
        label: String,
        /// Its value.
        value: String,
        /// What it could be.
        accepted: &'static str,
    },
    /// A data key that is absent or empty.
    #[error("data key {key} is missing or empty: it has to hold {what}")]
    Missing {
        /// The key.
        key: &'static str,
        /// What should be there.
        what: &'static str,
    },
    /// A data key that is not UTF-8.
    #[error("data key {0} is not text in UTF-8")]
    NotText(&'static str),
    /// The endpoint is no URL of a server.
    #[error("data key endpoint: {0}")]
    Endpoint(InvalidEndpoint),
    /// The endpoint has an `@`: it may hold a password, so it is not repeated.
    #[error(
        "data key endpoint holds user information (a part before '@'), which belongs into the credential"
    )]
    EndpointWithUser,
    /// The CA cannot be used.
    #[error("data key {key}: {problem}")]
    Ca {
        /// `ca.crt` or `ca`.
        key: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The token cannot be used.
    #[error("data key token {0}")]
    Token(crate::credentials::InvalidToken),
    /// The certificate or its key cannot be used.
    #[error("data key {}", identity(.0))]
    Identity(InvalidIdentity),
    /// Everything could be read, but not put together.
    #[error("{0}")]
    Upstream(InvalidUpstream),
    /// Nothing verifies the cluster, and the operator does not want that.
    #[error("{0}, and --require-cluster-ca refuses clusters that nobody verifies")]
    Unverified(&'static str),
    /// Another way out, not taken yet.
    #[error(
        "data key proxy-url: forward proxies are not supported yet, and the cluster is not asked without its proxy"
    )]
    ProxyUrl,
    /// Konnectivity, not spoken yet.
    #[error("endpoint type ClusterProxy is not supported yet")]
    ClusterProxy,
    /// The command that gives the credential is not described as it should be.
    #[error("data key exec: {0}")]
    Exec(InvalidExec),
    /// A data key that names a file is absent or empty, while its other half is there.
    #[error("data key {key} is missing or empty: it has to name a file that holds {what}")]
    MissingFile {
        /// The key.
        key: &'static str,
        /// What the file should hold.
        what: &'static str,
    },
    /// A file's name that cannot be below the operator's folder.
    #[error("data key {key}: {problem}")]
    File {
        /// The key.
        key: &'static str,
        /// What is wrong with the path.
        problem: InvalidPath,
    },
    /// The credential stands in the Secret and in a file.
    #[error("data keys {file} and {key} are both given: remove one, as only one can count")]
    Both {
        /// That names a file.
        file: &'static str,
        /// That holds it.
        key: &'static str,
    },
    /// The operator lets no files be read.
    #[error(
        "the credential is to be read from files, and files are only read below the folder of --credential-dir, which is not given"
    )]
    NoCredentialDir,
}

impl Unusable {
    /// Whether the Secret is a mistake, so that what worked before goes on working. What it says clearly and we
    /// cannot or must not do is none: traffic that should go through a proxy does not go on without it.
    pub fn is_mistake(&self) -> bool {
        match self {
            Self::UnknownType { .. }
            | Self::Missing { .. }
            | Self::NotText(_)
            | Self::Endpoint(_)
            | Self::EndpointWithUser
            | Self::Ca { .. }
            | Self::Token(_)
            | Self::Identity(_)
            | Self::Exec(_)
            | Self::MissingFile { .. }
            | Self::File { .. }
            | Self::Both { .. }
            | Self::Upstream(_) => true,
            Self::Unverified(_) | Self::ProxyUrl | Self::ClusterProxy | Self::NoCredentialDir => false,
        }
    }
}

/// Less the parser's own words, which may repeat a line of what they could not read.
fn identity(error: &InvalidIdentity) -> String {
    match error {
        InvalidIdentity::CertificatePem(_) => "tls.crt: it is not valid PEM".to_owned(),
        InvalidIdentity::NoCertificate | InvalidIdentity::Certificate(_) => format!("tls.crt: {error}"),
        InvalidIdentity::KeyPem | InvalidIdentity::KeyEncrypted | InvalidIdentity::KeyKind(_) => {
            format!("tls.key: {error}")
        }
        InvalidIdentity::Mismatch => "tls.key: it does not match the certificate in tls.crt".to_owned(),
    }
}
