use std::time::SystemTime;

use k8s_openapi::jiff::Timestamp;
use k8s_openapi::jiff::civil::date;
use k8s_openapi::jiff::fmt::temporal::Pieces;
use serde::Deserialize;
use thiserror::Error;

use crate::credentials::{ClientCertificate, Credential, Supplied, bearer};
use crate::tls::InvalidIdentity;

use super::config::Version;
use super::text;

/// Why what a command wrote is no credential. Repeats none of it but API versions.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidAnswer {
    /// No JSON, or other types than it should have.
    #[error("wrote no ExecCredential in JSON to stdout (line {line}, column {column})")]
    Json {
        /// Where reading ended.
        line: usize,
        /// And in that line.
        column: usize,
    },
    /// JSON of another kind.
    #[error("returned something of another kind than ExecCredential")]
    Kind,
    /// Another version than was asked for.
    #[error("is configured to use API version {asked}, but returned version {returned:?}")]
    Version {
        /// The Secret's.
        asked: &'static str,
        /// The command's.
        returned: String,
    },
    /// Nothing in it.
    #[error("didn't return a status field")]
    NoStatus,
    /// A status without a credential.
    #[error("didn't return a token or cert/key pair")]
    Nothing,
    /// A certificate without its key, or a key without its certificate.
    #[error("returned only certificate or key, not both")]
    Half,
    /// The token cannot be used.
    #[error("returned a token that {0}")]
    Token(crate::credentials::InvalidToken),
    /// The certificate or its key cannot be used.
    #[error("returned a client certificate that cannot be used: {}", identity(.0))]
    Identity(InvalidIdentity),
    /// The time cannot be read.
    #[error("returned an expirationTimestamp that is no time in RFC 3339, like 2026-01-02T03:04:05Z")]
    Expiration,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    kind: Option<String>,
    api_version: Option<String>,
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    expiration_timestamp: Option<String>,
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

/// The credential of an `ExecCredential`.
pub(super) fn parse(stdout: &[u8], version: Version) -> Result<Supplied, InvalidAnswer> {
    let raw: Raw = serde_json::from_slice(stdout)
        .map_err(|error| InvalidAnswer::Json { line: error.line(), column: error.column() })?;
    if raw.kind.as_deref() != Some("ExecCredential") {
        return Err(InvalidAnswer::Kind);
    }
    let returned = raw.api_version.unwrap_or_default();
    if returned != version.as_str() {
        let returned = text::short(&returned);
        return Err(InvalidAnswer::Version { asked: version.as_str(), returned });
    }
    let status = raw.status.ok_or(InvalidAnswer::NoStatus)?;
    let given = |value: Option<String>| value.filter(|value| !value.is_empty());
    let token = given(status.token);
    let (chain, key) = (given(status.client_certificate_data), given(status.client_key_data));
    let certificate = match (chain, key) {
        (Some(chain), Some(key)) => Some(
            ClientCertificate::from_pem(chain.as_bytes(), key.as_bytes()).map_err(InvalidAnswer::Identity)?,
        ),
        (None, None) if token.is_none() => return Err(InvalidAnswer::Nothing),
        (None, None) => None,
        _ => return Err(InvalidAnswer::Half),
    };
    let authorization =
        token.map(|token| bearer(token.as_bytes())).transpose().map_err(InvalidAnswer::Token)?;
    let expires = match given(status.expiration_timestamp) {
        Some(time) => expiry(&time)?,
        None => None,
    };
    Ok(Supplied::new(Credential { authorization, certificate }, expires))
}

/// A time that is beyond what is counted here, as the last second of the year 9999, is no end: Go takes it, and
/// commands mean "never" by it.
fn expiry(time: &str) -> Result<Option<SystemTime>, InvalidAnswer> {
    if let Ok(time) = time.parse::<Timestamp>() {
        return Ok(Some(time.into()));
    }
    let pieces = Pieces::parse(time).map_err(|_| InvalidAnswer::Expiration)?;
    let is_whole = pieces.time().is_some() && pieces.to_numeric_offset().is_some();
    match is_whole && pieces.date() >= date(9999, 12, 30) {
        true => Ok(None),
        false => Err(InvalidAnswer::Expiration),
    }
}

/// Less the parser's own words, which may repeat a line of what they could not read.
fn identity(error: &InvalidIdentity) -> String {
    match error {
        InvalidIdentity::CertificatePem(_) => "the certificate is not valid PEM".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_beyond_what_is_counted_is_no_end() {
        for never in ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59-08:00"] {
            assert_eq!(expiry(never), Ok(None), "{never}");
        }
        assert!(expiry("9999-12-01T00:00:00Z").unwrap().is_some());
        for bad in
            ["9999-12-31", "9999-12-31T23:59:59", "9999-13-31T23:59:59Z", "2026-02-30T00:00:00Z", "soon"]
        {
            assert_eq!(expiry(bad), Err(InvalidAnswer::Expiration), "{bad}");
        }
    }
}
