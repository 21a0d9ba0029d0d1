use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Read at once: as many as two TLS records hold.
const SCRATCH: usize = 32 << 10;
/// Parts passed on in one turn: then others have theirs.
const TURN: usize = 32;

thread_local! {
    /// What is read is written at once and seldom kept, so that an idle stream holds no memory.
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
}

/// One way of a stream: what one side says, on its way to the other.
pub(super) struct Flow {
    /// Read, but not taken yet.
    pending: BytesMut,
    state: State,
    unflushed: bool,
    moved: Instant,
}

enum State {
    Open,
    /// The reader has come to its end, which the writer is to be told.
    Closing,
    /// The reader broke, which is told when everything it said before is written.
    Broken(io::Error),
    Done,
}

/// Which side failed.
#[derive(Debug)]
pub(super) enum Broken {
    Read(io::Error),
    Write(io::Error),
}

impl Flow {
    pub(super) fn new() -> Self {
        Self { pending: BytesMut::new(), state: State::Open, unflushed: false, moved: Instant::now() }
    }

    /// Something to be said before anything that is read.
    pub(super) fn begin(&mut self, first: &[u8]) {
        self.pending.extend_from_slice(first);
    }

    /// Whether more may come.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Whether the writer has not taken all that there is for it.
    pub(super) fn is_stuck(&self) -> bool {
        !self.pending.is_empty() || self.unflushed || matches!(self.state, State::Closing)
    }

    /// When anything last went by.
    pub(super) fn moved(&self) -> Instant {
        self.moved
    }

    /// Nothing more is to be read. `last`: what is still to be said.
    pub(super) fn close(&mut self, last: &[u8]) {
        if self.is_open() {
            self.pending.extend_from_slice(last);
            self.state = State::Closing;
        }
    }

    /// Nothing more can be said.
    pub(super) fn give_up(&mut self) {
        self.pending = BytesMut::new();
        self.unflushed = false;
        self.state = State::Done;
    }

    /// Passes on what there is. Ready when this way is at its end and the writer knows, or when a side broke.
    /// `passed` sees everything once, in order.
    pub(super) fn poll(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
        context: &mut Context<'_>,
        mut passed: impl FnMut(&[u8]),
    ) -> Poll<Result<(), Broken>> {
        for _ in 0..TURN {
            if !self.is_open() {
                return self.poll_end(writer, context);
            }
            ready!(self.poll_pending(writer, context)).map_err(Broken::Write)?;
            match self.poll_part(reader, writer, context, &mut passed) {
                Poll::Ready(part) => part?,
                Poll::Pending => {
                    if self.unflushed {
                        ready!(Pin::new(&mut *writer).poll_flush(context)).map_err(Broken::Write)?;
                        self.unflushed = false;
                    }
                    return Poll::Pending;
                }
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes what is left, and the end.
    pub(super) fn poll_end(
        &mut self,
        writer: &mut (impl AsyncWrite + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        ready!(self.poll_pending(writer, context)).map_err(Broken::Write)?;
        match self.state {
            State::Open | State::Done => return Poll::Ready(Ok(())),
            State::Closing => ready!(Pin::new(writer).poll_shutdown(context)).map_err(Broken::Write)?,
            State::Broken(_) => ready!(Pin::new(writer).poll_flush(context)).map_err(Broken::Write)?,
        }
        self.unflushed = false;
        match std::mem::replace(&mut self.state, State::Done) {
            State::Broken(error) => Poll::Ready(Err(Broken::Read(error))),
            State::Open | State::Closing | State::Done => Poll::Ready(Ok(())),
        }
    }

    /// Passes on what `frame` says belongs to the frame that is under way; the rest of what is read is dropped.
    /// Ready when something was read, or at the end.
    pub(super) fn poll_rest_of_frame(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
        context: &mut Context<'_>,
        frame: impl FnOnce(&[u8]) -> usize,
    ) -> Poll<Result<(), Broken>> {
        ready!(self.poll_pending(writer, context)).map_err(Broken::Write)?;
        READ.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(reader).poll_read(context, &mut buffer)).map_err(Broken::Read)?;
            match buffer.filled() {
                [] => self.state = State::Closing,
                data => self.pending.extend_from_slice(&data[..frame(data)]),
            }
            Poll::Ready(Ok(()))
        })
    }

    /// Writes what was read before.
    pub(super) fn poll_pending(
        &mut self,
        writer: &mut (impl AsyncWrite + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.pending.is_empty() {
            match ready!(Pin::new(&mut *writer).poll_write(context, &self.pending))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.pending.advance(count),
            }
            self.moved = Instant::now();
            self.unflushed = true;
        }
        if self.pending.capacity() > 0 {
            self.pending = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Reads one part and writes as much of it as is taken at once.
    fn poll_part(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
        context: &mut Context<'_>,
        passed: &mut impl FnMut(&[u8]),
    ) -> Poll<Result<(), Broken>> {
        READ.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            match ready!(Pin::new(reader).poll_read(context, &mut buffer)) {
                Ok(()) if buffer.filled().is_empty() => self.state = State::Closing,
                Ok(()) => {}
                Err(error) => self.state = State::Broken(error),
            }
            let mut data = buffer.filled();
            self.moved = Instant::now();
            passed(data);
            while !data.is_empty() {
                self.unflushed = true;
                match Pin::new(&mut *writer).poll_write(context, data).map_err(Broken::Write)? {
                    Poll::Ready(0) => {
                        return Poll::Ready(Err(Broken::Write(io::ErrorKind::WriteZero.into())));
                    }
                    Poll::Ready(count) => data = &data[count..],
                    Poll::Pending => {
                        self.pending.extend_from_slice(data);
                        break;
                    }
                }
            }
            Poll::Ready(Ok(()))
        })
    }
}
