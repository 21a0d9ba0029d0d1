//! The tables.

mod changes;
mod discovery;
mod negotiation;
mod operations;
mod reads;
mod verbs;
mod watches;
mod writes;

use super::row::Row;

/// What changes nothing.
pub(super) fn reads() -> Vec<Row> {
    [
        discovery::rows(),
        reads::rows(),
        negotiation::rows(),
        verbs::rows(),
        watches::rows(),
        operations::rows(),
    ]
    .concat()
}

/// Watches that do not end by themselves.
pub(super) fn changes() -> Vec<Row> {
    changes::rows()
}

/// What changes something, or would.
pub(super) fn writes() -> Vec<Row> {
    writes::rows()
}
