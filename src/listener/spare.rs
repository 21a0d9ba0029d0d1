use std::cell::RefCell;

/// Of a worker: as many connections as write within one turn of its event loop and cannot get rid of it at once.
const KEPT: usize = 8;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer with room for so much: one that this thread used before, if there is one. All have the same size.
pub(super) fn take(capacity: usize) -> Vec<u8> {
    SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(capacity))
}

/// Gives one back. It stays warm in the cache for the next connection that writes.
pub(super) fn give(mut buffer: Vec<u8>) {
    if buffer.capacity() == 0 {
        return;
    }
    buffer.clear();
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < KEPT {
            spare.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_and_only_some_are_kept() {
        let mut buffer = take(100);
        buffer.extend_from_slice(b"somebody's secret");
        let address = buffer.as_ptr();
        give(buffer);
        let again = take(100);
        assert!(again.is_empty());
        assert_eq!(again.as_ptr(), address);
        (0..KEPT * 2).for_each(|_| give(Vec::with_capacity(100)));
        assert_eq!(SPARE.with_borrow(Vec::len), KEPT);
        give(Vec::new());
        assert_eq!(SPARE.with_borrow(Vec::len), KEPT);
    }
}
