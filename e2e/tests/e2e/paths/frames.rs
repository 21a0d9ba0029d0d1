//! Requests that no HTTP/2 library sends, as frames written by hand (RFC 9113 sections 4.1 and 8.2, RFC 7541 section
//! 6.2.2).

use std::time::Duration;

use anyhow::{Result, bail};
use e2e::client::HttpsClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::setup::{CLUSTERS, TOKEN, setup};

const SOON: Duration = Duration::from_secs(10);

/// Fields after the pseudo-header fields; with `true` the request is a good one and arrives as the hub meant it.
const FIELDS: &[(&[(&str, &str)], bool)] = &[
    (&[], true),
    (&[("host", "somewhere.else")], true),
    (&[("te", "trailers")], true),
    (&[("x-forwarded-host", "a"), ("x-remote-extra-a", "b")], true),
    (&[("connection", "x-remote-user")], false),
    (&[("connection", "close")], false),
    (&[("transfer-encoding", "chunked")], false),
    (&[("keep-alive", "timeout=5")], false),
    (&[("proxy-connection", "keep-alive")], false),
    (&[("upgrade", "h2c")], false),
    (&[("X-Remote-User", "root")], false),
    (&[("x-a b", "c")], false),
    (&[("x-a:x-remote-user", "c")], false),
    (&[("x-a\r\nx-remote-user", "root")], false),
    (&[("x-a", "b\r\nx-remote-user: root")], false),
    (&[("x-a", "b\nx-remote-user: root")], false),
    (&[("x-a", "b\0")], false),
    (&[("", "a")], false),
    (&[(":path", "/readyz")], false),
    (&[(":method", "DELETE")], false),
    (&[(":x-remote-user", "root")], false),
    (&[("x-a", "b"), (":authority", "late")], false),
    (&[("content-length", "5")], false),
    (&[("content-length", "0"), ("content-length", "7")], false),
];

#[tokio::test]
async fn malformed_http_2_reaches_no_cluster() {
    let setup = setup().await;
    let client = setup.admin();
    for (number, (fields, good)) in FIELDS.iter().enumerate() {
        for (cluster, echo) in [("h1", &setup.h1), ("h2", &setup.h2)] {
            let mark = format!("frames-{number}-{cluster}");
            let path = format!("{CLUSTERS}/{cluster}/proxy/{mark}");
            let answered = tokio::time::timeout(SOON, request(&client, &path, fields)).await;
            let answered = answered.unwrap_or_else(|_| panic!("{fields:?}: no answer")).unwrap();
            assert_eq!(answered == Some(200), *good, "{fields:?}: {answered:?}");
            let reached = setup.reached(&mark);
            assert_eq!(reached.len(), usize::from(*good), "{fields:?}");
            for received in reached {
                assert_eq!(received.authority, echo.address().to_string(), "{fields:?}");
                assert_eq!(received.header("authorization"), [format!("Bearer {TOKEN}")]);
                assert!(!received.has_header_starting("x-remote-"), "{fields:?}");
                assert!(received.header("te").is_empty() && received.header("host") != ["somewhere.else"]);
            }
        }
    }
}

/// Sends one GET and gives the status of its answer; none when the stream or the connection was ended instead.
async fn request(client: &HttpsClient, path: &str, fields: &[(&str, &str)]) -> Result<Option<u16>> {
    let mut stream = client.tls(&["h2"]).await?;
    let mut block = Vec::new();
    let own = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", path),
        ("x-remote-user", "paths-admin"),
        ("x-remote-group", "system:masters"),
    ];
    // Pseudo-header fields come first, or that alone were wrong.
    let (pseudo, rest) = own.split_at(4);
    let (early, late): (Vec<_>, Vec<_>) =
        fields.iter().copied().partition(|(name, _)| name.starts_with(':') && fields.len() == 1);
    for (name, value) in pseudo.iter().copied().chain(early).chain(rest.iter().copied()).chain(late) {
        block.push(0);
        string(&mut block, name);
        string(&mut block, value);
    }
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frame(&mut bytes, 4, 0, 0, &[]);
    // END_STREAM and END_HEADERS.
    frame(&mut bytes, 1, 0x5, 1, &block);
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            return Ok(None);
        }
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        if stream.read_exact(&mut payload).await.is_err() {
            return Ok(None);
        }
        match head[3] {
            1 => return status(&payload).map(Some),
            3 | 7 => return Ok(None),
            _ => {}
        }
    }
}

/// The status that an answer's block begins with: an index of the static table, or a literal with that name.
fn status(block: &[u8]) -> Result<u16> {
    match block {
        [0x88, ..] => Ok(200),
        [0x8c, ..] => Ok(400),
        [0x8d, ..] => Ok(404),
        // Anything else is no 200.
        [first, ..] if first & 0xf != 0 => Ok(0),
        _ => bail!("an answer without a status: {block:?}"),
    }
}

fn string(block: &mut Vec<u8>, text: &str) {
    // An integer with a prefix of seven bits (RFC 7541 section 5.1), no Huffman code.
    if text.len() < 127 {
        block.push(text.len() as u8);
    } else {
        block.push(127);
        let mut rest = text.len() - 127;
        while rest >= 128 {
            block.push((rest % 128) as u8 | 0x80);
            rest /= 128;
        }
        block.push(rest as u8);
    }
    block.extend_from_slice(text.as_bytes());
}

fn frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
}
