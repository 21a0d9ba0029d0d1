use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use k8s_openapi::jiff::Timestamp;
use thiserror::Error;
use x509_parser::parse_x509_certificate;

use crate::tls::{Identity, InvalidIdentity};

/// A client certificate, its key, and when it may be used.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// What is shown in the handshake.
    pub identity: Identity,
    /// Of the leaf.
    pub validity: Validity,
}

/// When a certificate may be used, in whole seconds since 1970 (RFC 5280, 4.1.2.5: both ends included).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    not_before: i64,
    not_after: i64,
}

/// Why a text is no bearer token. Never holds any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("holds something other than one line of visible ASCII, so it is no bearer token")]
pub struct InvalidToken;

/// The Authorization header of a bearer token (RFC 6750), marked sensitive. White space around it is ignored: tokens
/// come from files, which end in a newline.
pub fn bearer(token: &[u8]) -> Result<HeaderValue, InvalidToken> {
    let token = token.trim_ascii();
    if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
        return Err(InvalidToken);
    }
    let mut value = HeaderValue::from_bytes(&[b"Bearer ", token].concat()).map_err(|_| InvalidToken)?;
    value.set_sensitive(true);
    Ok(value)
}

impl ClientCertificate {
    /// Takes a chain (leaf first) and its key, both PEM, which must belong together. An expired one is taken too:
    /// whoever shows it learns from the cluster that it is refused.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, InvalidIdentity> {
        let identity = Identity::from_pem(chain, key)?;
        let leaf = identity.chain().first().ok_or(InvalidIdentity::NoCertificate)?;
        let (_, parsed) = parse_x509_certificate(leaf)
            .map_err(|_| InvalidIdentity::Certificate("it is not an X.509 certificate in DER".to_owned()))?;
        let validity = Validity {
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
        };
        Ok(Self { identity, validity })
    }
}

/// Renewing a certificate by hand takes a while: with less than this left, somebody should know.
const SOON: i64 = 14 * 86_400;

impl Validity {
    /// The last moment at which it may be used.
    pub fn not_after(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(u64::try_from(self.not_after).unwrap_or_default())
    }

    /// That it expires in the next fourteen days, and in the last tenth of its life: a certificate that is renewed
    /// every day is no news.
    pub fn ends_soon(&self, now: SystemTime) -> Option<String> {
        let left = self.not_after - seconds(now);
        let life = self.not_after - self.not_before;
        let soon = self.problem(now).is_none() && left < SOON.min(life / 10);
        soon.then(|| {
            let days = left / 86_400;
            format!("the client certificate expires at {}, in {days} days", rfc3339(self.not_after))
        })
    }

    /// Why the certificate cannot be used at this time, if it cannot.
    pub fn problem(&self, now: SystemTime) -> Option<String> {
        let now = seconds(now);
        if now > self.not_after {
            return Some(format!("the client certificate expired at {}", rfc3339(self.not_after)));
        }
        if now < self.not_before {
            return Some(format!("the client certificate is not valid before {}", rfc3339(self.not_before)));
        }
        None
    }
}

fn seconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(_) => 0,
    }
}

fn rfc3339(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| format!("second {seconds}"), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_token_becomes_a_sensitive_header_less_white_space_around_it() {
        let value = bearer(b" abc.def-_~+/=\r\n").unwrap();
        assert_eq!(value.as_bytes(), b"Bearer abc.def-_~+/=");
        assert!(value.is_sensitive());
        assert_eq!(format!("{value:?}"), "Sensitive");
    }

    #[test]
    fn what_could_smuggle_a_header_is_no_token() {
        for bad in [&b""[..], b"\n", b"a b", b"a\r\nX-Remote-User: root", "tök".as_bytes(), b"a\0b"] {
            assert_eq!(bearer(bad), Err(InvalidToken));
        }
    }

    #[test]
    fn both_ends_of_the_validity_are_usable_and_nothing_outside() {
        let validity = Validity { not_before: 1_000, not_after: 2_000 };
        assert_eq!(validity.problem(at(1_000)), None);
        assert_eq!(validity.problem(at(2_000)), None);
        assert_eq!(
            validity.problem(at(2_001)).unwrap(),
            "the client certificate expired at 1970-01-01T00:33:20Z"
        );
        assert_eq!(
            validity.problem(at(999)).unwrap(),
            "the client certificate is not valid before 1970-01-01T00:16:40Z"
        );
    }

    #[test]
    fn an_end_that_is_near_is_said_unless_the_whole_life_is_short() {
        const DAY: i64 = 86_400;
        let year = Validity { not_before: 0, not_after: 365 * DAY };
        assert_eq!(year.ends_soon(at(350 * 86_400)), None);
        assert_eq!(
            year.ends_soon(at(352 * 86_400)).unwrap(),
            "the client certificate expires at 1971-01-01T00:00:00Z, in 13 days"
        );
        assert_eq!(year.ends_soon(at(366 * 86_400)), None, "then it is a problem");
        let day = Validity { not_before: 0, not_after: DAY };
        assert_eq!(day.ends_soon(at(77_000)), None);
        assert!(day.ends_soon(at(80_000)).is_some());
    }

    #[test]
    fn validity_is_that_of_the_leaf() {
        let mut params = rcgen::CertificateParams::new(["test".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2001, 2, 3);
        params.not_after = rcgen::date_time_ymd(2002, 3, 4);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let made = ClientCertificate::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes())
            .unwrap();
        assert_eq!(made.validity, Validity { not_before: 981_158_400, not_after: 1_015_200_000 });
    }
}
