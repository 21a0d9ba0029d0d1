//! What the echo is to answer, read from a request's query.

use std::time::Duration;

/// Switches of the query. Unknown ones, and values that cannot be read, are left alone: they may be a test's own.
///
/// | switch | effect |
/// | --- | --- |
/// | `status=N` | this status code; 204 and 304 have no body |
/// | `size=N` | a body of N bytes instead of the JSON |
/// | `chunked=1` | no Content-Length |
/// | `delay=MS` | waits before the head |
/// | `trailers=1` | a trailer `x-echo-trailer: done` |
/// | `hints=N` | N answers 103 before the final one |
/// | `watch=MS` | a line of JSON at this interval, without end |
/// | `events=N` | ends a watch after N lines |
/// | `echo=1` | the request's body comes back as it arrives |
/// | `location=URL` | a Location header |
/// | `header=NAME:VALUE` | a header, any number of them |
/// | `cut=N` | breaks the connection off (HTTP/2: the stream) after N bytes of body |
/// | `stale=1` | hangs up without an answer, unless the request is the first of its connection |
/// | `drip=MS` | the head in pieces, one at this interval (HTTP/1.1 only) |
/// | `early=1` | answers without reading the request's body |
/// | `switch=TEXT` | HTTP/1.1: switches to the first protocol that is asked for, says TEXT in one piece with the 101, sends back all that comes, and `(end)` when that ends |
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// `status`
    pub status: Option<u16>,
    /// `size`
    pub size: Option<u64>,
    /// `chunked`
    pub chunked: bool,
    /// `delay`
    pub delay: Duration,
    /// `trailers`
    pub trailers: bool,
    /// `hints`
    pub hints: u32,
    /// `watch`
    pub watch: Option<Duration>,
    /// `events`
    pub events: Option<u64>,
    /// `echo`
    pub echo: bool,
    /// `location` and `header`
    pub headers: Vec<(String, String)>,
    /// `cut`
    pub cut: Option<u64>,
    /// `stale`
    pub stale: bool,
    /// `drip`
    pub drip: Option<Duration>,
    /// `early`
    pub early: bool,
    /// `switch`
    pub switch: Option<String>,
}

/// The longest piece of a generated body.
const PIECE: u64 = 64 << 10;

impl Plan {
    /// From the target of a request.
    pub fn parse(target: &str) -> Self {
        let mut plan = Self::default();
        let query = target.split_once('?').map_or("", |(_, query)| query);
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decode(value);
            let millis = || value.parse().ok().map(Duration::from_millis);
            match key {
                "status" => plan.status = value.parse().ok().filter(|code| (200..=599).contains(code)),
                "size" => plan.size = value.parse().ok(),
                "chunked" => plan.chunked = true,
                "delay" => plan.delay = millis().unwrap_or_default(),
                "trailers" => plan.trailers = true,
                "hints" => plan.hints = value.parse().unwrap_or(0),
                "watch" => plan.watch = millis(),
                "events" => plan.events = value.parse().ok(),
                "echo" => plan.echo = true,
                "location" => plan.headers.push(("location".to_owned(), value)),
                "header" => {
                    plan.headers
                        .extend(value.split_once(':').map(|(n, v)| (n.to_owned(), v.trim().to_owned())));
                }
                "cut" => plan.cut = value.parse().ok(),
                "stale" => plan.stale = true,
                "drip" => plan.drip = millis(),
                "early" => plan.early = true,
                "switch" => plan.switch = Some(value),
                _ => {}
            }
        }
        plan
    }

    /// The status code.
    pub(super) fn code(&self) -> u16 {
        self.status.unwrap_or(200)
    }

    /// Whether an answer to `method` has a body.
    pub(super) fn has_body(&self, method: &str) -> bool {
        method != "HEAD" && !matches!(self.code(), 204 | 304)
    }

    /// Whether the body's length is known, and said, before it is sent.
    pub(super) fn length_known(&self) -> bool {
        !self.chunked && !self.trailers && !self.echo && self.watch.is_none()
    }

    /// The pieces of a body of `size` bytes: the same bytes for the same size.
    pub(super) fn pieces(size: u64) -> impl Iterator<Item = Vec<u8>> {
        (0..size.div_ceil(PIECE)).map(move |piece| {
            let start = piece * PIECE;
            (start..size.min(start + PIECE)).map(|at| b'a' + (at % 26) as u8).collect()
        })
    }

    /// The line of a watch.
    pub(super) fn event(number: u64) -> Vec<u8> {
        format!("{{\"type\":\"ADDED\",\"object\":{{\"number\":{number}}}}}\n").into_bytes()
    }
}

fn decode(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_are_read_and_the_rest_is_left_alone() {
        let plan = Plan::parse("/a?status=307&location=https%3A%2F%2Fx%2Fy&limit=500&size=many&hints=2");
        assert_eq!(plan.code(), 307);
        assert_eq!(plan.headers, [("location".to_owned(), "https://x/y".to_owned())]);
        assert_eq!((plan.size, plan.hints), (None, 2));
    }

    #[test]
    fn pieces_make_up_the_size() {
        assert_eq!(Plan::pieces(200_000).map(|piece| piece.len()).sum::<usize>(), 200_000);
        assert_eq!(Plan::pieces(0).count(), 0);
    }
}
