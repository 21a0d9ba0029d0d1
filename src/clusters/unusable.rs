use thiserror::Error;

use crate::credentials::exec::InvalidExec;
use crate::credentials::files::InvalidPath;
use crate::tls::InvalidIdentity;
use crate::upstream::{InvalidEndpoint, InvalidProxy, InvalidUpstream};

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
    Unverified(String),
    /// The proxy is no URL of one.
    #[error("data key proxy-url: {0}")]
    Proxy(InvalidProxy),
    /// Konnectivity is asked for, and the operator has none.
    #[error(
        "endpoint type ClusterProxy goes through Konnectivity: name its server with --proxy-host or --proxy-uds"
    )]
    NoKonnectivity,
    /// Konnectivity is asked for a host of the cluster's name.
    #[error(
        "endpoint type ClusterProxy: the cluster's name cannot be a host's (no part of it longer than 63 letters)"
    )]
    NoHostName,
    /// The annotation holds something else.
    #[error("annotation {annotation} is neither a DNS name nor an IP address")]
    ServerName {
        /// The annotation.
        annotation: String,
    },
    /// Verification is wanted and impossible.
    #[error(
        "annotation {annotation} says by which name to verify the cluster, but data key ca.crt is missing or empty"
    )]
    ServerNameWithoutCa {
        /// The annotation.
        annotation: String,
    },
    /// The same.
    #[error(
        "annotation {annotation} says by which name to verify the cluster, but the endpoint is not https"
    )]
    ServerNameWithoutTls {
        /// The annotation.
        annotation: String,
    },
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
    /// cannot or must not do is none: traffic that should be verified does not go on without that.
    pub fn is_mistake(&self) -> bool {
        match self {
            Self::UnknownType { .. }
            | Self::Missing { .. }
            | Self::NotText(_)
            | Self::Endpoint(_)
            | Self::EndpointWithUser
            | Self::Ca { .. }
            | Self::Proxy(_)
            | Self::Token(_)
            | Self::Identity(_)
            | Self::Exec(_)
            | Self::MissingFile { .. }
            | Self::File { .. }
            | Self::Both { .. }
            | Self::Upstream(_) => true,
            Self::Unverified(_)
            | Self::NoKonnectivity
            | Self::NoHostName
            | Self::ServerName { .. }
            | Self::ServerNameWithoutCa { .. }
            | Self::ServerNameWithoutTls { .. }
            | Self::NoCredentialDir => false,
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
