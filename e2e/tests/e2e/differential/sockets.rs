//! Watches over WebSocket: the same bytes to both servers, and what comes back.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::client::HttpsClient;

use super::compare::events;
use super::names::renamed;
use super::peer::Peer;
use super::row::{CUSTOM_GROUP, GROUP, collection};
use super::setup::Setup;

/// For a server to close the connection by itself.
const SOON: Duration = Duration::from_secs(20);
const SHORT: &str = "&timeoutSeconds=1";
/// Without events, which come before or after what answers the caller, as it happens.
const QUIET_SHORT: &str = "&timeoutSeconds=1&labelSelector=none";
/// The longest watch: who is to leave before it ends says so.
const QUIET_LONG: &str = "&timeoutSeconds=600&labelSelector=none";

/// The key of RFC 6455, and an origin, which Go's server insists on.
const HANDSHAKE: [&str; 5] = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Origin: http://localhost",
];
const CLOSE: &[u8] = &[0x88, 0x82, 0, 0, 0, 0, 3, 0xe8];

/// What is asked: a name, the query behind `watch=1`, changed headers, and what is said after the request.
struct Asked {
    name: &'static str,
    query: String,
    changed: &'static [(&'static str, &'static str)],
    said: &'static [u8],
}

fn asked() -> Vec<Asked> {
    let plain = |name, query: &str| Asked { name, query: query.to_owned(), changed: &[], said: b"" };
    let changed = |name, changed| Asked { changed, ..plain(name, SHORT) };
    let said = |name, query, said| Asked { said, ..plain(name, query) };
    let one = "&labelSelector=env%3Done";
    vec![
        plain("everything there is", SHORT),
        plain("one object", &format!("{SHORT}{one}")),
        plain("the future", &format!("{SHORT}&resourceVersion=999999999")),
        plain("not a selector", "&labelSelector=a+b"),
        changed("no key", &[("Sec-WebSocket-Key", "")]),
        changed("any key", &[("Sec-WebSocket-Key", "abc")]),
        changed("no version", &[("Sec-WebSocket-Version", "")]),
        changed("another version", &[("Sec-WebSocket-Version", "8")]),
        changed("no origin", &[("Origin", "")]),
        changed("an origin that is none", &[("Origin", "null")]),
        changed("a protocol", &[("Sec-WebSocket-Protocol", "foo")]),
        changed("two protocols", &[("Sec-WebSocket-Protocol", "foo, bar")]),
        changed("capitals", &[("Upgrade", "WebSocket"), ("Connection", "keep-alive, Upgrade")]),
        changed("rows", &[("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")]),
        changed("metadata", &[("Accept", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io")]),
        said("ping", QUIET_SHORT, b"\x89\x84\0\0\0\0ping"),
        said("words that nobody hears", QUIET_SHORT, b"\x81\x84\0\0\0\0text"),
        said("goodbye", QUIET_LONG, CLOSE),
    ]
}

/// One answer: its status line and the headers that a browser looks at; what is behind them, frame by frame or whole.
async fn ask(client: &HttpsClient, group: &str, asked: &Asked) -> Result<String> {
    let headers = HANDSHAKE.iter().map(|line| line.split_once(": ").unwrap_or_default());
    let mut headers: Vec<(&str, &str)> = headers.collect();
    for &(name, value) in asked.changed {
        headers.retain(|(header, _)| *header != name);
        if !value.is_empty() {
            headers.push((name, value));
        }
    }
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let path = format!("{}?watch=1{}", collection(group), asked.query);
    let request = format!("GET {path} HTTP/1.1\r\n{}{lines}\r\n", client.header_lines());
    let answer = client.raw(&[request.as_bytes(), asked.said].concat(), SOON).await?;
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n").context("no end of the head")?;
    let (head, body) = (std::str::from_utf8(&answer[..end])?, &answer[end + 4..]);
    let mut lines = head.lines();
    let mut read = lines.next().unwrap_or_default().to_owned();
    let mut kept: Vec<String> = lines.map(str::to_ascii_lowercase).collect();
    kept.retain(|line| line.starts_with("sec-") || line.starts_with("upgrade"));
    kept.sort_unstable();
    read.push_str(&format!(" {kept:?}\n"));
    match read.starts_with("HTTP/1.1 101") {
        true => read.push_str(&frames(body)?),
        false => read.push_str(&renamed(std::str::from_utf8(body)?, Peer::Custom)),
    }
    Ok(read)
}

/// Frames, one to a line: what they are, and what is in them.
fn frames(mut rest: &[u8]) -> Result<String> {
    let mut read = String::new();
    while !rest.is_empty() {
        ensure!(rest.len() >= 2, "a frame is cut");
        let (extended, first) = match rest[1] {
            126 => (2, 4),
            127 => (8, 10),
            _ => (0, 2),
        };
        ensure!(rest.len() >= first, "a length is cut");
        let long = rest[2..first].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        let length = if extended == 0 { usize::from(rest[1]) } else { long };
        ensure!(rest.len() >= first + length, "a frame is cut");
        let payload = &rest[first..first + length];
        let text = match rest[0] {
            0x81 => events(&renamed(std::str::from_utf8(payload)?, Peer::Custom), Peer::Custom)?,
            _ => format!("{payload:?}"),
        };
        read.push_str(&format!("{:#x} {text}\n", rest[0]));
        rest = &rest[first + length..];
    }
    Ok(read)
}

#[tokio::test]
async fn watches_over_websocket_are_what_kube_apiserver_makes_of_them() {
    let setup = Setup::start("differential-sockets").await.unwrap();
    let (hub, gateway) = (setup.hub_client().unwrap(), setup.gateway_client().unwrap());
    let asked = asked();
    // At once: whoever refuses keeps the connection for the next request.
    let compared = asked.iter().map(|asked| compare(&hub, &gateway, asked));
    let problems = futures::future::try_join_all(compared).await.unwrap().concat();
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

/// How the gateway's answers differ, straight and by way of the hub.
async fn compare(hub: &HttpsClient, gateway: &HttpsClient, asked: &Asked) -> Result<Vec<String>> {
    let (expected, direct) = tokio::try_join!(ask(hub, CUSTOM_GROUP, asked), ask(gateway, GROUP, asked))?;
    let mut answers = vec![("direct", direct)];
    // A hub passes the switch on, but loses what was said before it.
    if asked.said.is_empty() {
        answers.push(("through the hub", ask(hub, GROUP, asked).await?));
    }
    answers.retain(|(_, answer)| *answer != expected);
    let told = answers.into_iter().map(|(way, ours)| {
        let lines = ours.lines().zip(expected.lines()).find(|(ours, theirs)| ours != theirs);
        let (first, instead) = lines.unwrap_or(("…", "…"));
        let (many, more) = (ours.lines().count(), expected.lines().count());
        format!(
            "{} {way} ({many} and {more} lines):\n  ours   {first:.500}\n  theirs {instead:.500}",
            asked.name
        )
    });
    Ok(told.collect())
}
