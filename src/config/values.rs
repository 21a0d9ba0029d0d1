//! Values as Go's flag package reads them, because existing manifests were written for it.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

/// `strconv.ParseBool`.
pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("it is neither true nor false".to_owned()),
    }
}

/// `time.ParseDuration`, positive ones only: `30s`, `1m30s`, `1.5h`, `250ms`, `0`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let complaint = || "it is no duration like 30s, 1m30s or 250ms".to_owned();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(complaint)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let unit = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return Err(complaint()),
        };
        seconds += number.parse::<f64>().map_err(|_| complaint())? * unit;
        rest = tail;
    }
    if text.is_empty() {
        return Err(complaint());
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| complaint())
}

/// As [`duration`], but zero would mean that nothing ever works.
pub(super) fn deadline(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("a deadline of zero would let nothing pass".to_owned()),
        deadline => Ok(deadline),
    }
}

/// As [`duration`], but what is not for ever is long enough for more than one request.
pub(super) fn age(text: &str) -> Result<Duration, String> {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    match duration(text)? {
        age if age > YEAR => Err("more than a year: 0 means never".to_owned()),
        age if age.is_zero() || age >= Duration::from_secs(1) => Ok(age),
        _ => Err("less than 1s would be a connection for each request; 0 means never".to_owned()),
    }
}

/// A file's name. An empty one means none, as in Go: `Config::from_matches` makes `None` of it.
pub(super) fn file(text: &str) -> Result<PathBuf, Infallible> {
    Ok(PathBuf::from(text))
}

/// An IP address; blank means all of them, as in Kubernetes.
pub(super) fn bind_address(text: &str) -> Result<IpAddr, String> {
    if text.is_empty() {
        return Ok(Ipv4Addr::UNSPECIFIED.into());
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| "it is no IP address".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        for (text, milliseconds) in
            [("30s", 30_000), ("1m30s", 90_000), ("1.5h", 5_400_000), ("250ms", 250), ("0", 0), ("0s", 0)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "30", "s", "-1s", "1y", "1s2", "1..5s", "99999999999999999999h"] {
            assert!(duration(text).is_err(), "{text:?}");
        }
        assert!(deadline("0s").is_err());
        assert_eq!((age("0"), age("1s")), (Ok(Duration::ZERO), Ok(Duration::from_secs(1))));
        assert!(age("999ms").unwrap_err().contains("0 means never"));
    }

    #[test]
    fn booleans_are_gos() {
        assert_eq!((boolean("t"), boolean("1"), boolean("False")), (Ok(true), Ok(true), Ok(false)));
        assert!(boolean("yes").is_err());
    }

    #[test]
    fn a_blank_address_means_every_address() {
        assert_eq!(bind_address(""), Ok(Ipv4Addr::UNSPECIFIED.into()));
        assert!(bind_address("[::1]").unwrap().is_ipv6());
        assert!(bind_address("localhost").is_err());
    }
}
