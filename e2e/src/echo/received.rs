//! What reached the echo.

use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A request as it reached the echo; also what it answers, as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// The echo's name.
    pub echo: String,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub version: String,
    /// The method.
    pub method: String,
    /// Path and query, byte for byte.
    pub target: String,
    /// `:authority`, or the Host header.
    pub authority: String,
    /// All header lines: in order and with their case over HTTP/1.1; over HTTP/2 those of one name together.
    /// Bytes that are not UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
    /// Length of the body.
    pub body_length: u64,
    /// SHA-256 of the body, in hexadecimal.
    pub body_sha256: String,
    /// Trailers of the request.
    pub trailers: Vec<(String, String)>,
    /// CN of the client's certificate.
    pub client: Option<String>,
    /// The number of the connection that it came over, from 0.
    pub connection: usize,
}

impl Received {
    /// All values of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// Whether there is a header whose name starts so, whatever its case.
    pub fn has_header_starting(&self, prefix: &str) -> bool {
        let prefix = prefix.to_ascii_lowercase();
        self.headers.iter().any(|(name, _)| name.to_ascii_lowercase().starts_with(&prefix))
    }

    /// Reads an answer of the echo.
    pub fn parse(body: &[u8]) -> anyhow::Result<Self> {
        use anyhow::Context as _;
        serde_json::from_slice(body)
            .with_context(|| format!("not an answer of the echo: {}", String::from_utf8_lossy(body)))
    }
}

/// Length and digest of a body that is not kept.
#[derive(Default)]
pub(super) struct BodyDigest {
    length: u64,
    digest: Sha256,
}

impl BodyDigest {
    pub(super) fn add(&mut self, data: &[u8]) {
        self.length += data.len() as u64;
        self.digest.update(data);
    }

    pub(super) fn put_into(self, received: &mut Received) {
        received.body_length = self.length;
        received.body_sha256 = self.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    }
}

/// CN of the subject, found by its object identifier 2.5.4.3: the lab's certificates hold it once in the issuer
/// and then once in the subject, each a UTF8String.
pub(super) fn client_subject(chain: Option<&[CertificateDer<'_>]>) -> Option<String> {
    const COMMON_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];
    let der = chain?.first()?.as_ref();
    let mut places = der.windows(COMMON_NAME.len()).enumerate().filter(|(_, window)| *window == COMMON_NAME);
    let (place, _) = places.next_back()?;
    let value = der.get(place + COMMON_NAME.len()..)?;
    let length = usize::from(*value.get(1)?);
    Some(String::from_utf8_lossy(value.get(2..2 + length)?).into_owned())
}
