use bytes::Bytes;

use super::client::{Body, Gone};

/// How much of a body is kept so that it can be sent again over another connection: what kubectl and controllers
/// write is smaller nearly always, and a larger body is simply not repeated.
const KEPT: usize = 64 << 10;

/// A request's body that can be read from the start again while it is small.
pub(super) struct Replay {
    body: Body,
    kept: Vec<Bytes>,
    size: usize,
    ended: bool,
}

impl Replay {
    pub(super) fn new(body: Body) -> Self {
        Self { body, kept: Vec::new(), size: 0, ended: false }
    }

    /// Bytes read so far.
    pub(super) fn size(&self) -> u64 {
        self.size as u64
    }

    /// Whether everything that was read so far is still here.
    pub(super) fn is_whole(&self) -> bool {
        self.size <= KEPT
    }

    /// Whether nothing was read yet.
    pub(super) fn is_untouched(&self) -> bool {
        self.size == 0
    }

    /// The part at a position (which begins at 0 with each attempt); none at the end. Cancel safe.
    pub(super) async fn next(&mut self, position: &mut usize) -> Result<Option<Bytes>, Gone> {
        if let Some(part) = self.kept.get(*position) {
            *position += 1;
            return Ok(Some(part.clone()));
        }
        if self.ended {
            return Ok(None);
        }
        let part = self.body.next().await?;
        match &part {
            None => self.ended = true,
            Some(part) => {
                self.size += part.len();
                if self.is_whole() {
                    self.kept.push(part.clone());
                    *position += 1;
                } else {
                    self.kept = Vec::new();
                }
            }
        }
        Ok(part)
    }

    /// Resolves when the caller leaves after the end of the body.
    pub(super) async fn left(&mut self) -> Gone {
        self.body.left().await
    }
}
