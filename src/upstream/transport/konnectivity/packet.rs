//! What is said to Konnectivity by gRPC: `konnectivity-client/proto/client/client.proto` of
//! sigs.k8s.io/apiserver-network-proxy, each packet behind gRPC's five bytes.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::{Enumeration, Message, Oneof};

/// Go's gRPC takes no longer messages by default either; packets have 32 KiB or a little more.
const MAX_MESSAGE: usize = 4 << 20;
const PREFIX: usize = 5;

#[derive(Clone, PartialEq, Message)]
pub(super) struct Packet {
    #[prost(enumeration = "Kind", tag = "1")]
    pub(super) r#type: i32,
    #[prost(oneof = "Payload", tags = "2, 3, 4, 5, 6, 7")]
    pub(super) payload: Option<Payload>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub(super) enum Kind {
    DialRequest = 0,
    DialResponse = 1,
    CloseRequest = 2,
    CloseResponse = 3,
    Data = 4,
    DialClose = 5,
    Drain = 6,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Payload {
    #[prost(message, tag = "2")]
    DialRequest(DialRequest),
    #[prost(message, tag = "3")]
    DialResponse(DialResponse),
    #[prost(message, tag = "4")]
    Data(Data),
    #[prost(message, tag = "5")]
    CloseRequest(CloseRequest),
    #[prost(message, tag = "6")]
    CloseResponse(CloseResponse),
    #[prost(message, tag = "7")]
    DialClose(DialClose),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct DialRequest {
    #[prost(string, tag = "1")]
    pub(super) protocol: String,
    #[prost(string, tag = "2")]
    pub(super) address: String,
    #[prost(int64, tag = "3")]
    pub(super) random: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct DialResponse {
    #[prost(string, tag = "1")]
    pub(super) error: String,
    #[prost(int64, tag = "2")]
    pub(super) connect_id: i64,
    #[prost(int64, tag = "3")]
    pub(super) random: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct CloseRequest {
    #[prost(int64, tag = "1")]
    pub(super) connect_id: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct CloseResponse {
    #[prost(string, tag = "1")]
    pub(super) error: String,
    #[prost(int64, tag = "2")]
    pub(super) connect_id: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct DialClose {
    #[prost(int64, tag = "1")]
    pub(super) random: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Data {
    #[prost(int64, tag = "1")]
    pub(super) connect_id: i64,
    #[prost(string, tag = "2")]
    pub(super) error: String,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) data: Bytes,
}

/// Bytes that are no packet.
#[derive(Debug, thiserror::Error)]
pub(super) enum Garbled {
    #[error("a message is compressed, which nobody asked for")]
    Compressed,
    #[error("a message of {0} bytes is too long")]
    TooLong(usize),
    #[error("a message is no packet: {0}")]
    NoPacket(prost::DecodeError),
}

impl Packet {
    /// With gRPC's prefix (PROTOCOL-HTTP2.md of grpc): not compressed, and how long.
    pub(super) fn frame(payload: Payload) -> Bytes {
        let packet = Self { r#type: payload.kind().into(), payload: Some(payload) };
        let length = packet.encoded_len();
        let mut frame = BytesMut::with_capacity(PREFIX + length);
        frame.put_u8(0);
        // A packet is made of 32 KiB at most.
        frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        packet.encode_raw(&mut frame);
        frame.freeze()
    }

    /// Takes the next packet out of what has come; none while it is not complete.
    pub(super) fn take(received: &mut BytesMut) -> Result<Option<Self>, Garbled> {
        let Some(mut prefix) = received.get(..PREFIX) else {
            return Ok(None);
        };
        if prefix.get_u8() != 0 {
            return Err(Garbled::Compressed);
        }
        let length = prefix.get_u32() as usize;
        if length > MAX_MESSAGE {
            return Err(Garbled::TooLong(length));
        }
        if received.len() < PREFIX + length {
            return Ok(None);
        }
        let message = received.split_to(PREFIX + length).freeze().slice(PREFIX..);
        Self::decode(message).map(Some).map_err(Garbled::NoPacket)
    }
}

impl Payload {
    fn kind(&self) -> Kind {
        match self {
            Self::DialRequest(_) => Kind::DialRequest,
            Self::DialResponse(_) => Kind::DialResponse,
            Self::Data(_) => Kind::Data,
            Self::CloseRequest(_) => Kind::CloseRequest,
            Self::CloseResponse(_) => Kind::CloseResponse,
            Self::DialClose(_) => Kind::DialClose,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_those_of_the_go_client() {
        let request = DialRequest { protocol: "tcp".to_owned(), address: "a:443".to_owned(), random: 5 };
        // As protoc-gen-go writes it: the type 0 is left out.
        let expected = b"\0\0\0\0\x10\x12\x0e\x0a\x03tcp\x12\x05a:443\x18\x05";
        assert_eq!(&Packet::frame(Payload::DialRequest(request))[..], expected);
        let close = Packet::frame(Payload::CloseRequest(CloseRequest { connect_id: 3 }));
        assert_eq!(&close[..], b"\0\0\0\0\x06\x08\x02\x2a\x02\x08\x03");
        let data = Data { connect_id: 1, error: String::new(), data: Bytes::from_static(b"x") };
        assert_eq!(&Packet::frame(Payload::Data(data))[..], b"\0\0\0\0\x09\x08\x04\x22\x05\x08\x01\x1a\x01x");
    }

    #[test]
    fn packets_come_in_any_pieces() {
        let data = |text: &'static str| {
            let data = Bytes::from_static(text.as_bytes());
            Payload::Data(Data { connect_id: 1, error: String::new(), data })
        };
        let all = [Packet::frame(data("one")), Packet::frame(data("two"))].concat();
        for size in 1..all.len() {
            let (mut received, mut packets) = (BytesMut::new(), Vec::new());
            for piece in all.chunks(size) {
                received.extend_from_slice(piece);
                while let Some(packet) = Packet::take(&mut received).unwrap() {
                    packets.push(packet.payload.unwrap());
                }
            }
            assert_eq!(packets, [data("one"), data("two")]);
        }
    }

    #[test]
    fn what_is_no_packet_is_refused_before_it_is_waited_for() {
        let garbled = |bytes: &[u8]| Packet::take(&mut BytesMut::from(bytes)).unwrap_err();
        assert!(matches!(garbled(b"\x01\0\0\0\0"), Garbled::Compressed));
        assert!(matches!(garbled(b"\0\xff\0\0\0"), Garbled::TooLong(_)));
        assert!(matches!(garbled(b"\0\0\0\0\x01\xff"), Garbled::NoPacket(_)));
        // What later versions may send is no error.
        assert!(Packet::take(&mut BytesMut::from(&b"\0\0\0\0\x04\x08\x07\x4a\0"[..])).unwrap().is_some());
    }
}
