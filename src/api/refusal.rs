//! Failures in the encoding that the caller takes (responsewriters.ErrorNegotiated).

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};

use crate::model::{Answer, Status};

use super::encode::{self, Encoding, Format};
use super::{Request, negotiation, protobuf};

/// The answer that says so. Whoever takes nothing that can be written gets indented JSON.
pub(super) fn refuse(status: &Status, request: &Request<'_>) -> Answer {
    let mut answer = Answer::from(status);
    let format = negotiation::failure(request);
    if format == Some(Format::JSON) {
        return answer;
    }
    let encoding = format.map_or(Encoding::Json, |format| format.encoding);
    let body = match format {
        Some(Format { encoding: Encoding::Protobuf, .. }) => Ok(Bytes::from(protobuf::status(status))),
        Some(format) => format.bytes(status).map_err(drop),
        None => encode::json(status, true).map(Bytes::from).map_err(drop),
    };
    // Texts and numbers: there is nothing in a Status that could fail to be written.
    let Ok(body) = body else { return answer };
    answer.headers_mut().insert(CONTENT_TYPE, encoding.content_type());
    answer.headers_mut().insert(CONTENT_LENGTH, body.len().into());
    *answer.body_mut() = body;
    answer
}
