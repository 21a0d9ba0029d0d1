use std::fmt;

/// A cluster's credential as it stands in its Secret, where the operator wants it to be shown
/// (`--expose-credentials`). What a command or a file gives is never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Exposed {
    /// A bearer token.
    Token(String),
    /// A client certificate and its private key, PEM.
    Certificate {
        /// The certificate and its chain.
        certificate: Vec<u8>,
        /// The key.
        key: Vec<u8>,
    },
}

/// Shown to whoever may read clusters, but not in logs.
impl fmt::Debug for Exposed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Exposed(…)")
    }
}
