use std::fmt;

use ring::digest::{Context, SHA256};

/// What an access was made of, as a hash: equal when nothing that matters for connections has changed, so that they
/// survive a Secret's other changes, without keeping private keys a second time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of parts in order. Each part's length goes in too, so that no two lists of parts run together.
    pub(super) fn of<const N: usize>(parts: [&[u8]; N]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        Self(hash)
    }
}

/// A hash of a weak token could be guessed from, so it is shown nowhere.
impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Fingerprint(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        assert!(Fingerprint::of([b"ab", b"c"]) == Fingerprint::of([b"ab", b"c"]));
        assert!(Fingerprint::of([b"ab", b"c"]) != Fingerprint::of([b"a", b"bc"]));
    }
}
