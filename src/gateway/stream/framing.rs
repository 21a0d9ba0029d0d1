use http::{HeaderMap, HeaderValue, header};

/// The longest header of a frame: WebSocket's, with a length of eight bytes and a mask.
const LONGEST: usize = 14;
/// WebSocket's "going away" (RFC 6455 section 7.4.1).
const GOING_AWAY: u16 = 1001;
/// What a control frame may hold (RFC 6455 section 5.5), less the code.
const LONGEST_REASON: usize = 123;
/// SPDY/3.1 section 2.6.6: nothing here is known of the streams, so none is said to be refused.
const SPDY_GOAWAY: [u8; 16] = [0x80, 3, 0, 7, 0, 0, 0, 8, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// Where one frame ends and the next begins, of the protocol that a connection was switched to, so that the caller
/// can be told the end in its own words. Looks at lengths only.
#[derive(Debug)]
pub(super) struct Framing {
    protocol: Protocol,
    header: [u8; LONGEST],
    of_header: usize,
    /// Of the frame's payload.
    left: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    WebSocket,
    Spdy,
    /// One that is passed on as it is.
    Other,
}

impl Framing {
    /// Of the protocol that the answer's header names.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let name = headers.get(header::UPGRADE).map_or(&b""[..], HeaderValue::as_bytes);
        let protocol = if name.eq_ignore_ascii_case(b"websocket") {
            Protocol::WebSocket
        } else if name.eq_ignore_ascii_case(b"SPDY/3.1") {
            Protocol::Spdy
        } else {
            Protocol::Other
        };
        Self { protocol, header: [0; LONGEST], of_header: 0, left: 0 }
    }

    /// Takes note of what goes by.
    pub(super) fn see(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            data = &data[self.see_one(data)..];
        }
    }

    /// Takes note of what goes by, up to the end of a frame, and says how much that is.
    pub(super) fn see_one(&mut self, data: &[u8]) -> usize {
        let mut seen = 0;
        if self.protocol == Protocol::Other {
            return data.len();
        }
        while let Some(rest) = data.get(seen..).filter(|rest| !rest.is_empty()) {
            if self.left > 0 {
                let part = usize::try_from(self.left).map_or(rest.len(), |left| left.min(rest.len()));
                seen += part;
                self.left -= part as u64;
            } else {
                self.header[self.of_header] = rest[0];
                self.of_header += 1;
                seen += 1;
                if let Some(length) = self.length() {
                    self.of_header = 0;
                    self.left = length;
                }
            }
            if self.is_between_frames() {
                break;
            }
        }
        seen
    }

    /// Whether something of our own could be said now.
    pub(super) fn is_between_frames(&self) -> bool {
        self.of_header == 0 && self.left == 0
    }

    /// What tells a client that this is the end, and why; nothing where the protocol is not known.
    pub(super) fn goodbye(&self, why: &str) -> Option<Vec<u8>> {
        match self.protocol {
            Protocol::WebSocket => {
                let why = &why.as_bytes()[..why.len().min(LONGEST_REASON)];
                let length = u8::try_from(why.len() + 2).unwrap_or(u8::MAX);
                Some([&[0x88, length], &GOING_AWAY.to_be_bytes()[..], why].concat())
            }
            Protocol::Spdy => Some(SPDY_GOAWAY.to_vec()),
            Protocol::Other => None,
        }
    }

    /// Of the payload, once the header is there as a whole.
    fn length(&self) -> Option<u64> {
        let header = &self.header[..self.of_header];
        match self.protocol {
            Protocol::WebSocket => {
                let (first, mask) = (header.get(1)? & 0x7f, if header[1] & 0x80 == 0 { 0 } else { 4 });
                let bytes = match first {
                    126 => 2,
                    127 => 8,
                    _ => 0,
                };
                if header.len() < 2 + bytes + mask {
                    return None;
                }
                let long = header[2..2 + bytes].iter().fold(0, |length, byte| length << 8 | u64::from(*byte));
                Some(if bytes == 0 { u64::from(first) } else { long })
            }
            Protocol::Spdy => {
                let length = header.get(5..8)?;
                Some(length.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)))
            }
            Protocol::Other => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(protocol: &'static str) -> Framing {
        let mut headers = HeaderMap::new();
        headers.insert(header::UPGRADE, HeaderValue::from_static(protocol));
        Framing::of(&headers)
    }

    fn ends(protocol: &'static str, stream: &[u8], size: usize) -> Vec<usize> {
        let (mut framing, mut ends, mut position) = (framing(protocol), Vec::new(), 0);
        for part in stream.chunks(size) {
            let mut part = part;
            while !part.is_empty() {
                let seen = framing.see_one(part);
                position += seen;
                part = &part[seen..];
                if framing.is_between_frames() {
                    ends.push(position);
                }
            }
        }
        ends
    }

    #[test]
    fn websocket_frames_end_after_their_length_however_they_are_cut() {
        let stream = [
            &[0x82, 3, 1, 2, 3][..],
            &[0x82, 126, 1, 0],
            &[7; 256],
            &[0x89, 0],
            &[0x82, 0x82, 9, 9, 9, 9, 1, 2],
            &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0],
            &[5; 65536],
        ]
        .concat();
        let expected = [5, 5 + 4 + 256, 267, 275, stream.len()];
        for size in [1, 2, 3, 7, 1000, stream.len()] {
            assert_eq!(ends("WebSocket", &stream, size), expected, "by {size}");
        }
    }

    #[test]
    fn spdy_frames_end_after_their_length_however_they_are_cut() {
        let stream = [&[0x80, 3, 0, 6, 0, 0, 0, 4, 1, 2, 3, 4][..], &[0, 0, 0, 1, 1, 0, 0, 0]].concat();
        for size in [1, 5, 8, stream.len()] {
            assert_eq!(ends("SPDY/3.1", &stream, size), [12, 20], "by {size}");
        }
    }

    #[test]
    fn a_goodbye_is_a_frame_of_the_protocol() {
        let why = "x".repeat(200);
        let mut reader = framing("websocket");
        let goodbye = reader.goodbye(&why).unwrap();
        assert_eq!(&goodbye[..4], [0x88, 125, 3, 0xe9]);
        assert_eq!(reader.see_one(&goodbye), goodbye.len());
        assert!(reader.is_between_frames());
        let mut reader = framing("SPDY/3.1");
        let goodbye = reader.goodbye("").unwrap();
        assert_eq!(reader.see_one(&goodbye), goodbye.len());
        assert!(reader.is_between_frames());
    }

    #[test]
    fn other_protocols_are_told_nothing() {
        let mut framing = framing("tcp");
        framing.see(b"anything");
        assert!(framing.is_between_frames());
        assert_eq!(framing.goodbye("why"), None);
    }
}
