use serde::{Deserialize, Serialize};

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Unit {
    /// Requests, events, connections a second.
    PerSecond,
    /// The same for each second of processor time.
    PerCpuSecond,
    /// Megabytes (10⁶) a second.
    MegabytesPerSecond,
    /// The same for each second of processor time.
    MegabytesPerCpuSecond,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// kB (1024 bytes).
    Kilobytes,
    /// MB (1024 kB).
    Megabytes,
    /// Percent of one processor.
    PercentOfACore,
    /// Percent of anything else.
    Percent,
    /// A quotient.
    Times,
    /// A number of things.
    Count,
}

impl Unit {
    /// As it stands behind a number.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::PerSecond => "/s",
            Self::PerCpuSecond => "/cpu-s",
            Self::MegabytesPerSecond => "MB/s",
            Self::MegabytesPerCpuSecond => "MB/cpu-s",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::Kilobytes => "kB",
            Self::Megabytes => "MB",
            Self::PercentOfACore => "% of a core",
            Self::Percent => "%",
            Self::Times => "×",
            Self::Count => "",
        }
    }
}

/// A number in three digits or so, thousands apart.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => grouped(value.round() as i64),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        size if size >= 0.001 => format!("{value:.4}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.1e}"),
    }
}

fn grouped(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if value < 0 {
        text.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let shorts: Vec<String> = [0.0, 0.0123, 1.5, 12.34, 999.4, 1234567.0, -5000.0].map(short).into();
        assert_eq!(shorts, ["0", "0.0123", "1.50", "12.3", "999", "1,234,567", "-5,000"]);
    }
}
