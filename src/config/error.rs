use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use thiserror::Error as ThisError;

use crate::tls::{InvalidIdentity, ServingError};

use super::Serving;

/// What is wrong with what the operator asked for. One line each: flag, value, and what to do about it.
#[derive(Debug, ThisError)]
pub enum Error {
    /// A flag or argument that does not exist.
    #[error("{flag} is not known here{}; see cluster-gateway serve --help", Suggestion(.suggestion))]
    Unknown {
        /// As it was given.
        flag: String,
        /// One that looks like it.
        suggestion: Option<String>,
    },
    /// A value that cannot be understood.
    #[error("{flag}={value}: {problem}; {cure}")]
    Value {
        /// With its dashes.
        flag: String,
        /// As it was given.
        value: String,
        /// What is wrong with it.
        problem: String,
        /// What to write instead.
        cure: String,
    },
    /// A flag that needs another one.
    #[error("{flag} is given without {other}; {cure}")]
    Incomplete {
        /// The one that was given.
        flag: &'static str,
        /// The one that is missing.
        other: &'static str,
        /// What to do.
        cure: &'static str,
    },
    /// A file that cannot be used.
    #[error("{flag}={path}: {problem}; {cure}")]
    File {
        /// The flag that names it.
        flag: &'static str,
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        cure: String,
    },
    /// An address that cannot be listened on.
    #[error("{flag}={value}: cannot listen on {address}: {error}; {}", listen_cure(.error))]
    Listen {
        /// The flag that names it.
        flag: &'static str,
        /// Its value.
        value: String,
        /// The whole address.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// Anything else that the command line parser says.
    #[error("{0}; see cluster-gateway serve --help")]
    Usage(String),
}

impl Error {
    /// The secure port cannot be listened on.
    pub fn secure_port(address: SocketAddr, error: io::Error) -> Self {
        Self::Listen { flag: "--secure-port", value: address.port().to_string(), address, error }
    }

    /// The plain operations listener cannot be listened on.
    pub fn operations_address(address: SocketAddr, error: io::Error) -> Self {
        Self::Listen { flag: "--operations-address", value: address.to_string(), address, error }
    }

    /// A file that cannot be read.
    pub fn unreadable(flag: &'static str, path: &Path, error: &io::Error) -> Self {
        let cure = match error.kind() {
            io::ErrorKind::NotFound => "name a file that exists, or mount it there",
            io::ErrorKind::PermissionDenied => "let the user that this process runs as read it",
            _ => "name a readable file",
        };
        Self::file(flag, path, error.to_string(), cure)
    }

    /// A file whose contents cannot be used.
    pub fn file(
        flag: &'static str,
        path: &Path,
        problem: impl fmt::Display,
        cure: impl Into<String>,
    ) -> Self {
        Self::File { flag, path: path.display().to_string(), problem: one_line(problem), cure: cure.into() }
    }

    /// A serving certificate that cannot be shown, in terms of the flags that name it.
    pub fn serving_certificate(serving: &Serving, error: ServingError) -> Self {
        let (certificate, key) = match (&serving.tls_cert_file, &serving.tls_private_key_file) {
            (Some(_), Some(_)) => ("--tls-cert-file", "--tls-private-key-file"),
            _ => ("--cert-dir", "--cert-dir"),
        };
        match error {
            ServingError::Certificate { path, error } => Self::unreadable(certificate, &path, &error),
            ServingError::Key { path, error } => Self::unreadable(key, &path, &error),
            ServingError::Pair { certificate: certificate_path, key: key_path, error } => {
                Self::identity((certificate, &certificate_path), (key, &key_path), error)
            }
            ServingError::Generate(problem) => Self::Usage(format!(
                "no self-signed serving certificate can be made: {problem}; name one with --tls-cert-file and --tls-private-key-file"
            )),
        }
    }

    /// A pair of files that are no identity, with the flags that name them.
    pub(super) fn identity(
        (certificate_flag, certificate): (&'static str, &Path),
        (key_flag, key): (&'static str, &Path),
        error: InvalidIdentity,
    ) -> Self {
        match error {
            InvalidIdentity::CertificatePem(_)
            | InvalidIdentity::NoCertificate
            | InvalidIdentity::Certificate(_) => Self::file(
                certificate_flag,
                certificate,
                error,
                "name a file with the certificate in PEM, its own first",
            ),
            InvalidIdentity::KeyPem | InvalidIdentity::KeyEncrypted | InvalidIdentity::KeyKind(_) => {
                Self::file(key_flag, key, error, "name a file with the certificate's private key in PEM")
            }
            InvalidIdentity::Mismatch => Self::file(
                key_flag,
                key,
                error,
                format!("name the key of {certificate_flag}={}", certificate.display()),
            ),
        }
    }

    /// What clap found, in one line.
    pub fn from_clap(error: &clap::Error) -> Self {
        let text = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => Some(text.clone()),
            Some(ContextValue::Strings(texts)) => texts.first().cloned(),
            _ => None,
        };
        let flag = text(ContextKind::InvalidArg).map(|flag| bare(&flag));
        match (error.kind(), flag) {
            (ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand, flag) => Self::Unknown {
                flag: flag.or_else(|| text(ContextKind::InvalidSubcommand)).unwrap_or_default(),
                suggestion: text(ContextKind::SuggestedArg)
                    .or_else(|| text(ContextKind::SuggestedSubcommand))
                    .map(|suggestion| bare(&suggestion)),
            },
            (_, Some(flag)) => {
                let value = text(ContextKind::InvalidValue).unwrap_or_default();
                let problem = match std::error::Error::source(error) {
                    Some(source) => one_line(source),
                    None if value.is_empty() => "a value is needed".to_owned(),
                    None => "it is not known".to_owned(),
                };
                let cure = match error.get(ContextKind::ValidValue) {
                    Some(ContextValue::Strings(valid)) => format!("write one of {}", valid.join(", ")),
                    _ => "see cluster-gateway serve --help for what it takes".to_owned(),
                };
                Self::Value { flag, value, problem, cure }
            }
            (_, None) => {
                let text = error.to_string();
                let line = text.lines().next().unwrap_or_default();
                Self::Usage(line.strip_prefix("error: ").unwrap_or(line).to_owned())
            }
        }
    }
}

struct Suggestion<'a>(&'a Option<String>);

impl fmt::Display for Suggestion<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(suggestion) => write!(formatter, ", {suggestion} is"),
            None => Ok(()),
        }
    }
}

/// The flag alone: clap writes `--name <VALUE>` and `--name[=<VALUE>]`.
fn bare(flag: &str) -> String {
    flag.split(['=', ' ', '[', '<']).next().unwrap_or_default().to_owned()
}

fn one_line(text: impl fmt::Display) -> String {
    text.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn listen_cure(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "choose another port, or end the process that holds it",
        io::ErrorKind::PermissionDenied => "choose a port above 1023, or grant NET_BIND_SERVICE",
        io::ErrorKind::AddrNotAvailable => "choose an address of this machine with --bind-address",
        _ => "choose another address or port",
    }
}
