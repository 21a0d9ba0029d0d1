use std::error::Error as _;
use std::io;
use std::sync::Arc;

use thiserror::Error;

use super::Unresolved;

/// Why a server could not be reached, or did not answer. No variant holds anything secret.
///
/// Cheap to clone: when one dial fails, everybody who waited for it is told.
#[derive(Debug, Clone, Error)]
pub enum UpstreamError {
    /// The host name does not resolve.
    #[error(transparent)]
    Resolve(#[from] Unresolved),
    /// The host name resolves to nothing.
    #[error("{host} has no address")]
    NoAddress {
        /// The name.
        host: String,
    },
    /// No TCP connection.
    #[error("cannot connect to {address}: {cause}")]
    Connect {
        /// Where to.
        address: String,
        /// The system's words.
        cause: Arc<io::Error>,
    },
    /// Neither connected nor refused in time.
    #[error("no connection to {address} within {seconds} s")]
    ConnectTimeout {
        /// Where to.
        address: String,
        /// The limit.
        seconds: u64,
    },
    /// What should lead to the server does not: a forward proxy or Konnectivity fails, or refuses us.
    #[error("{proxy} cannot be used: {cause}")]
    Proxy {
        /// Which one, without user and password.
        proxy: String,
        /// What is wrong with it, or what it says.
        cause: String,
    },
    /// What should lead to the server is well, and says that the server cannot be reached from there.
    #[error("{proxy} does not reach {address}: {cause}")]
    Unreached {
        /// Which one, without user and password.
        proxy: String,
        /// What it was asked for.
        address: String,
        /// What it says.
        cause: String,
    },
    /// The server's certificate is not to be believed.
    #[error("the certificate of {address} is not trusted: {cause}")]
    NotTrusted {
        /// Where to.
        address: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The server refused our certificate in the handshake.
    #[error("{address} refused the client certificate: {cause}")]
    CredentialRefused {
        /// Where to.
        address: String,
        /// The TLS alert.
        cause: String,
    },
    /// The TLS handshake failed otherwise.
    #[error("TLS handshake with {address} failed: {cause}")]
    Tls {
        /// Where to.
        address: String,
        /// What the TLS library says.
        cause: String,
    },
    /// No connection had room in time, or as many requests wait for one as may.
    #[error("no connection to {address} had room in time: it is slow, or too much is asked of it at once")]
    Busy {
        /// Where to.
        address: String,
    },
    /// The connection ended, or the stream was reset, before the answer was complete.
    #[error("the connection ended early: {cause}")]
    Broken {
        /// What the protocol library says.
        cause: String,
        /// The server surely did not begin to work on the request.
        unprocessed: bool,
    },
    /// No response header in time.
    #[error("no answer within {seconds} s")]
    Deadline {
        /// The limit.
        seconds: u64,
    },
}

impl UpstreamError {
    /// A short name for metrics and logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Resolve(_) | Self::NoAddress { .. } => "resolve",
            Self::Connect { .. } => "connect",
            Self::ConnectTimeout { .. } => "connect_timeout",
            Self::Proxy { .. } => "proxy",
            Self::Unreached { .. } => "unreached",
            Self::NotTrusted { .. } => "tls_not_trusted",
            Self::CredentialRefused { .. } => "credential_refused",
            Self::Tls { .. } => "tls",
            Self::Busy { .. } => "busy",
            Self::Broken { .. } => "broken",
            Self::Deadline { .. } => "deadline",
        }
    }

    /// Whether the connection is all that failed: the server surely did not begin to work on the request.
    pub(super) fn is_unprocessed(&self) -> bool {
        matches!(self, Self::Broken { unprocessed: true, .. })
    }

    /// The same as a failure of the proxy that should have been reached.
    pub(super) fn of_proxy(self, name: &str) -> Self {
        Self::Proxy { proxy: name.to_owned(), cause: self.to_string() }
    }

    /// What a failed TLS handshake with a server behind a proxy means. A tunnel that ends in it, or in which something
    /// other than TLS comes, did not lead to the server: Konnectivity's http-connect mode says that it leads there
    /// before it knows, and then has no other way to say that it does not.
    pub(super) fn tunnelled_handshake(proxy: String, address: &str, error: &io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let cause = match inner {
            None => error.to_string(),
            Some(rustls::Error::InvalidMessage(_)) => "something other than TLS came".to_owned(),
            Some(_) => return Self::handshake(address, error),
        };
        let address = address.to_owned();
        Self::Unreached { proxy, address, cause: format!("the tunnel ended in the TLS handshake: {cause}") }
    }

    /// What a failed TLS handshake means.
    pub(super) fn handshake(address: &str, error: &io::Error) -> Self {
        use rustls::Error::{AlertReceived, InvalidCertificate};
        let address = address.to_owned();
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(InvalidCertificate(cause)) => Self::NotTrusted { address, cause: cause.to_string() },
            Some(AlertReceived(alert)) if Self::refuses_certificate(*alert) => {
                Self::CredentialRefused { address, cause: format!("{alert:?}") }
            }
            Some(other) => Self::Tls { address, cause: other.to_string() },
            None => Self::Tls { address, cause: error.to_string() },
        }
    }

    /// The kind of an I/O error that stands for an alert by which a server refuses our certificate. `Io` gives it to
    /// nothing else.
    pub(super) const REFUSED: io::ErrorKind = io::ErrorKind::PermissionDenied;

    /// What an error of an HTTP/2 stream or connection means.
    pub(super) fn h2(address: &str, error: &h2::Error) -> Self {
        if let Some(refused) = error.get_io().and_then(|error| Self::refused(address, error)) {
            return refused;
        }
        // RFC 9113 6.8 and 8.7: a stream above GOAWAY's last one, and a refused one, were not acted upon.
        let unprocessed = error.reason() == Some(h2::Reason::REFUSED_STREAM)
            || (error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR));
        Self::Broken { cause: error.to_string(), unprocessed }
    }

    /// What an error of an HTTP/1.1 connection means.
    pub(super) fn h1(address: &str, error: &hyper::Error) -> Self {
        let mut cause = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            let io = inner.downcast_ref::<io::Error>();
            if let Some(refused) = io.and_then(|error| Self::refused(address, error)) {
                return refused;
            }
            cause = format!("{cause}: {inner}");
            source = inner.source();
        }
        Self::Broken { cause, unprocessed: error.is_canceled() }
    }

    /// Whether an alert refuses our certificate. In TLS 1.3 the client learns only after its own handshake that it
    /// was not good enough.
    pub(super) fn refuses_certificate(alert: rustls::AlertDescription) -> bool {
        use rustls::AlertDescription as Alert;
        matches!(
            alert,
            Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
                | Alert::CertificateRequired
                // Its signature is by another authority of the name that the server knows.
                | Alert::DecryptError
        )
    }

    fn refused(address: &str, error: &io::Error) -> Option<Self> {
        let cause = error.get_ref().map(ToString::to_string).unwrap_or_default();
        (error.kind() == Self::REFUSED)
            .then(|| Self::CredentialRefused { address: address.to_owned(), cause })
    }
}
