//! Lists that are too long to stand in memory: ten thousand clusters with their certificates are twenty megabytes,
//! and five readers would have them five times.

use std::collections::VecDeque;
use std::fmt;
use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, VARY};
use http::{Response, StatusCode, response};

use crate::model::{Status, answer};

use super::encode::{Encoding, append, unwritten};
use super::gzip::{THRESHOLD, takes_gzip};
use super::meta::Partial;
use super::negotiation::Form;
use super::resource::{Kept, Object, Resource};
use super::table::{Include, Row};
use super::{Api, Outcome};

/// About so much is made at once: less than a millisecond of a thread that has others to serve.
const PIECE: usize = 64 << 10;
/// So much more fits without moving what is there: more than most objects take.
const SLACK: usize = 8 << 10;

/// A long answer in JSON, made piece by piece as its reader takes it. Shows the objects as they were when it began.
pub struct Pieces {
    objects: Objects,
    /// Made, and not taken.
    made: Vec<u8>,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

/// What is yet to be written.
pub(super) struct Objects {
    api: Arc<Api>,
    resource: Resource,
    form: Form,
    include: Include,
    rest: VecDeque<Kept>,
    /// What the list begins with, up to its objects; none once that is written.
    begin: Option<Vec<u8>>,
    ended: bool,
}

/// What every list in JSON ends with, after its objects.
const END: &[u8] = b"]}\n";

impl Objects {
    /// The objects of a list. `empty` is the list as it would be without any.
    pub(super) fn new(
        api: &Arc<Api>,
        resource: Resource,
        (form, include): (Form, Include),
        rest: VecDeque<Kept>,
        empty: &[u8],
    ) -> Self {
        let begin = empty.strip_suffix(END).unwrap_or(empty).to_vec();
        Self { api: Arc::clone(api), resource, form, include, rest, begin: Some(begin), ended: false }
    }

    /// Writes objects until there is so much, or none is left.
    fn write(&mut self, text: &mut Vec<u8>, enough: usize) -> Result<(), Status> {
        let mut is_first = false;
        if let Some(begin) = self.begin.take() {
            text.extend(begin);
            is_first = true;
        }
        while text.len() < enough {
            let Some(kept) = self.rest.pop_front() else {
                if !std::mem::replace(&mut self.ended, true) {
                    text.extend(END);
                }
                return Ok(());
            };
            // It was one when it was chosen, and views do not change.
            let Some(object) = kept.object(self.resource, &self.api) else { continue };
            if !std::mem::replace(&mut is_first, false) {
                text.push(b',');
            }
            self.write_one(text, object)?;
        }
        Ok(())
    }

    fn write_one(&self, text: &mut Vec<u8>, object: Object<'_>) -> Result<(), Status> {
        let (api, version) = (&*self.api, object.version());
        match self.form {
            Form::Plain => append(text, &object.show(version, api)),
            Form::Partial(group_version) => {
                append(text, &Partial::new(object.metadata(version, api), group_version))
            }
            Form::Table(group_version) => {
                append(text, &Row::new(object, version, group_version, self.include, api))
            }
        }
    }
}

impl Pieces {
    /// The answer that has these objects: a whole one if it is short.
    pub(super) fn begin(mut objects: Objects) -> Result<Outcome, Status> {
        let mut made = Vec::new();
        objects.write(&mut made, THRESHOLD + 1)?;
        if objects.ended {
            return Ok(Outcome::Answer(answer(StatusCode::OK, Encoding::Json.content_type(), made)));
        }
        Ok(Outcome::Pieces(Box::new(Self { objects, made, gzip: None })))
    }

    /// Compressed from here on, if a caller takes that; whether it is. That takes more time than a thread has that
    /// has others to serve.
    pub fn compress(&mut self, headers: &HeaderMap) -> bool {
        let gzip = takes_gzip(headers).then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        self.gzip = gzip;
        self.gzip.is_some()
    }

    /// The answer's header. It does not say how long the answer is.
    pub fn head(&self) -> response::Parts {
        let (mut head, ()) = Response::new(()).into_parts();
        head.headers.insert(CONTENT_TYPE, Encoding::Json.content_type());
        if self.gzip.is_some() {
            head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            head.headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
        }
        head
    }

    /// The next piece; none at the end.
    pub fn piece(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            let plain = self.plain()?;
            let Some(gzip) = &mut self.gzip else { return Ok(plain.map(Bytes::from)) };
            let is_over = plain.is_none();
            // Writing to memory cannot fail; what is finished stays so.
            let written = match plain {
                Some(plain) => gzip.write_all(&plain),
                None => gzip.try_finish(),
            };
            written.map_err(|error| unwritten(&error))?;
            let compressed = gzip.get_mut();
            if compressed.len() >= PIECE || is_over {
                let compressed = std::mem::take(compressed);
                return Ok((!compressed.is_empty()).then(|| compressed.into()));
            }
        }
    }

    fn plain(&mut self) -> Result<Option<Vec<u8>>, Status> {
        if self.made.is_empty() && !self.objects.ended {
            self.made.reserve_exact(PIECE + SLACK);
            self.objects.write(&mut self.made, PIECE)?;
        }
        let made = std::mem::take(&mut self.made);
        Ok((!made.is_empty()).then_some(made))
    }
}

impl fmt::Debug for Pieces {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pieces").field("left", &self.objects.rest.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "pieces_tests.rs"]
mod tests;
