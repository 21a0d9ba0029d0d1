use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

/// What is read at once while there is much: two TLS records, nearly.
const PIECE: usize = 32 << 10;

/// A byte stream that is read in larger pieces while more is there than whoever reads asks for.
///
/// rustls asks for 4 kB at a time: that is four system calls a record where records are full. A stream that brings
/// little, or nothing, keeps no buffer.
#[derive(Debug)]
pub struct Ahead<S> {
    inner: S,
    unread: BytesMut,
    /// The last read got all that it asked for.
    more: bool,
}

impl<S> Ahead<S> {
    /// Nothing is read yet.
    pub fn new(inner: S) -> Self {
        Self { inner, unread: BytesMut::new(), more: false }
    }

    /// Something was read already, and is to be read first.
    pub fn after(early: Bytes, inner: S) -> Self {
        Self { inner, unread: BytesMut::from(early), more: false }
    }

    /// The stream itself. What is read from it directly comes before what is [unread](Self::has_unread).
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Whether something was read that nobody has taken.
    pub fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    fn take(&mut self, buffer: &mut ReadBuf<'_>) {
        let size = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread[..size]);
        self.unread.advance(size);
        if self.unread.is_empty() && !self.more {
            self.unread = BytesMut::new();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Ahead<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.unread.is_empty() {
            this.take(buffer);
            return Poll::Ready(Ok(()));
        }
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if !this.more {
            ready!(Pin::new(&mut this.inner).poll_read(context, buffer))?;
            this.more = buffer.remaining() == 0;
            return Poll::Ready(Ok(()));
        }
        this.unread.reserve(PIECE);
        let room = this.unread.capacity();
        let read = poll_read_buf(Pin::new(&mut this.inner), context, &mut this.unread);
        this.more = matches!(read, Poll::Ready(Ok(size)) if size == room);
        if !matches!(read, Poll::Ready(Ok(1..))) {
            this.unread = BytesMut::new();
        }
        ready!(read)?;
        this.take(buffer);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Ahead<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    /// Has these pieces, each as much as is there at one time; counts how often it is read.
    struct Pieces {
        there: VecDeque<Vec<u8>>,
        reads: usize,
    }

    impl AsyncRead for Pieces {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.reads += 1;
            let Some(piece) = self.there.front_mut() else { return Poll::Ready(Ok(())) };
            if piece.is_empty() {
                self.there.pop_front();
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let size = piece.len().min(buffer.remaining());
            buffer.put_slice(&piece[..size]);
            piece.drain(..size);
            Poll::Ready(Ok(()))
        }
    }

    /// Reads to the end, so much at a time.
    fn read(early: &[u8], pieces: &[Vec<u8>], at_a_time: usize) -> (Vec<u8>, Ahead<Pieces>) {
        let pieces = Pieces { there: pieces.to_vec().into(), reads: 0 };
        let mut ahead = Ahead::after(Bytes::copy_from_slice(early), pieces);
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut whole = Vec::new();
        let mut part = vec![0; at_a_time];
        loop {
            let mut buffer = ReadBuf::new(&mut part);
            match Pin::new(&mut ahead).poll_read(&mut context, &mut buffer) {
                Poll::Pending => assert!(!ahead.has_unread()),
                Poll::Ready(read) => {
                    read.unwrap();
                    if buffer.filled().is_empty() {
                        return (whole, ahead);
                    }
                    whole.extend_from_slice(buffer.filled());
                }
            }
        }
    }

    #[test]
    fn much_is_read_in_large_pieces_and_no_buffer_stays() {
        let (whole, ahead) = read(b"", &[vec![7; 1 << 20]], 4096);
        assert_eq!(whole.len(), 1 << 20);
        assert!(ahead.inner.reads < 40, "{} reads for a megabyte", ahead.inner.reads);
        assert_eq!(ahead.unread.capacity(), 0);
    }

    #[test]
    fn little_is_read_as_it_is_asked_for() {
        let (whole, ahead) = read(b"", &[vec![1; 300], vec![2; 300]], 4096);
        assert_eq!((whole.len(), ahead.unread.capacity()), (600, 0));
    }

    proptest! {
        #[test]
        fn bytes_come_whole_and_in_order(
            early in proptest::collection::vec(any::<u8>(), 0..50),
            sizes in proptest::collection::vec(0_usize..90_000, 0..8),
            at_a_time in 1_usize..9000,
        ) {
            let pieces: Vec<Vec<u8>> =
                sizes.iter().map(|&size| (0..size).map(|index| index as u8 ^ size as u8).collect()).collect();
            let expected = [early.clone(), pieces.concat()].concat();
            prop_assert_eq!(read(&early, &pieces, at_a_time).0, expected);
        }
    }
}
