use std::sync::Arc;

use super::UpstreamError;
use super::connection::Ended;
use super::h1;
use super::pool::Shared;

/// Gives its place back when dropped.
pub(super) struct Slot {
    shared: Arc<Shared>,
    /// The HTTP/2 connection, and where it will say why it ended; HTTP/1 ones have no more than one place.
    h2: Option<(u64, Ended)>,
}

impl Slot {
    pub(super) fn new(shared: &Arc<Shared>, h2: Option<(u64, Ended)>) -> Self {
        Self { shared: Arc::clone(shared), h2 }
    }

    /// Where to, for messages.
    pub(super) fn authority(&self) -> &str {
        self.shared.target.authority()
    }

    /// What an error of an HTTP/2 stream means.
    pub(super) fn h2_error(&self, error: &h2::Error) -> UpstreamError {
        match &self.h2 {
            Some((_, ended)) => ended.explain(self.authority(), error),
            None => UpstreamError::h2(self.authority(), error),
        }
    }

    /// A stream was answered, or given up without an answer. A connection on which too many were is used for no new
    /// ones.
    pub(super) fn answered(&self, in_time: bool) {
        if let Some((id, ended)) = &self.h2
            && ended.is_mute(in_time)
        {
            self.shared.closed(*id);
        }
    }

    /// Keeps an HTTP/1 connection that is ready for another request.
    pub(super) fn keep(self, connection: h1::Connection) {
        let shared = Arc::clone(&self.shared);
        drop(self);
        shared.keep(connection);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.release(self.h2.as_ref().map(|(id, _)| *id));
    }
}
