//! Large answers compressed, as kube-apiserver compresses them (responsewriters, SerializeObject).

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue, VARY};

use crate::model::Answer;

/// Up to here compressing costs more than it saves.
pub(super) const THRESHOLD: usize = 128 * 1024;

/// Whether an answer is to be compressed.
pub fn wants_gzip(headers: &HeaderMap, answer: &Answer) -> bool {
    answer.body().len() > THRESHOLD && takes_gzip(headers)
}

/// Whether a caller takes `gzip`, by that name and nothing else about it.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.split(',').any(|token| token.trim() == "gzip")
}

/// The answer compressed, at the level that takes least time. Ten megabytes take tens of milliseconds: not for a
/// worker's thread.
pub fn gzip(answer: Answer) -> Answer {
    let mut encoder = GzEncoder::new(Vec::with_capacity(answer.body().len() / 4), Compression::fast());
    // Writing to memory cannot fail; if it ever did, the answer would go out as it is.
    let Ok(compressed) = encoder.write_all(answer.body()).and_then(|()| encoder.finish()) else {
        return answer;
    };
    let (mut head, _) = answer.into_parts();
    head.headers.insert(CONTENT_LENGTH, compressed.len().into());
    head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    head.headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    Answer::from_parts(head, Bytes::from(compressed))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use http::StatusCode;

    use super::*;
    use crate::model::answer;

    #[test]
    fn large_answers_are_compressed_for_those_who_take_it() {
        let large = || answer(StatusCode::OK, HeaderValue::from_static("a/b"), vec![b'x'; THRESHOLD + 1]);
        let takes = |encodings: &'static str| {
            HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(encodings))])
        };
        assert!(wants_gzip(&takes("br, gzip"), &large()));
        assert!(!wants_gzip(&takes("gzip;q=1"), &large()) && !wants_gzip(&HeaderMap::new(), &large()));
        let small = answer(StatusCode::OK, HeaderValue::from_static("a/b"), vec![b'x'; THRESHOLD]);
        assert!(!wants_gzip(&takes("gzip"), &small));
        let compressed = gzip(large());
        assert_eq!(compressed.headers()[CONTENT_ENCODING], "gzip");
        assert_eq!(compressed.headers()[CONTENT_LENGTH], compressed.body().len().to_string());
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(&compressed.body()[..]).read_to_end(&mut text).unwrap();
        assert_eq!(text, *large().body());
    }
}
