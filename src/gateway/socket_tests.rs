use super::*;

fn said(stream: &[u8], size: usize) -> Vec<Said> {
    let mut frames = Frames { unread: BytesMut::new(), skip: 0 };
    let mut all = Vec::new();
    for part in stream.chunks(size) {
        frames.unread.extend_from_slice(part);
        all.extend(std::iter::from_fn(|| frames.next()));
    }
    all
}

#[test]
fn what_a_caller_says_is_skipped_but_for_pings_and_goodbyes() {
    let stream = [
        &[0x81, 0x83, 1, 2, 3, 4, 0, 0, 0][..],
        &[0x89, 0x84, 1, 1, 1, 1],
        b"qhof",
        &[0x02, 0xfe, 1, 0, 0, 0, 0, 0],
        &[0x88; 256],
        &[0x80, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 9, 9, 9, 9],
        &[0x88; 65536],
        &[0x8a, 0x80, 0, 0, 0, 0],
        &[0x88, 0x82, 0, 0, 0, 0, 3, 0xe8],
    ]
    .concat();
    for size in [1, 2, 3, 100, 1000, stream.len()] {
        assert_eq!(said(&stream, size), [Said::Ping(b"ping".to_vec()), Said::Close], "by {size}");
    }
}

#[test]
fn what_is_against_the_protocol_is_told() {
    for stream in [
        // No mask; a ping that is too long, one in pieces.
        &[0x81, 4, 0, 0, 0, 0][..],
        &[0x89, 0xfe, 1, 0, 0, 0, 0, 0],
        &[0x09, 0x80, 0, 0, 0, 0],
    ] {
        let mut frames = Frames { unread: stream.into(), skip: 0 };
        assert_eq!(frames.next(), Some(Said::Nonsense), "{stream:?}");
    }
}

#[test]
fn frames_say_their_length_in_as_few_bytes_as_it_takes() {
    for (length, header) in [
        (0, &[0x81, 0][..]),
        (125, &[0x81, 125]),
        (126, &[0x81, 126, 0, 126]),
        (65535, &[0x81, 126, 255, 255]),
        (65536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
    ] {
        let frame = frame(TEXT, &vec![7; length]);
        assert!(frame.starts_with(header) && frame.len() == header.len() + length, "{length}");
    }
}

#[test]
fn origins_are_addresses() {
    for origin in ["http://localhost", "https://a.b:1/c", "/", "chrome-extension://x"] {
        assert!(is_origin(origin), "{origin}");
    }
    for none in ["", "null", "::::", "1a://x", "a b://c"] {
        assert!(!is_origin(none), "{none}");
    }
}

#[test]
fn a_token_beside_the_protocol_is_neither_in_the_way_nor_repeated() {
    let asked = |values: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(value));
        }
        protocol(&headers)
    };
    assert_eq!(asked(&["base64url.bearer.authorization.k8s.io.c2VjcmV0, v1"]), "v1");
    assert_eq!(asked(&["base64url.bearer.authorization.k8s.io.c2VjcmV0", "v1"]), "v1");
    assert_eq!(asked(&["v1"]), "v1");
    assert_eq!(asked(&[]), "");
}
