//! The tables, in the order in which they are asked.

mod discovery;
mod negotiation;
mod operations;
mod reads;
mod verbs;
mod watches;
mod writes;

use super::row::Row;

pub(super) fn all() -> Vec<Row> {
    [
        discovery::rows(),
        reads::rows(),
        negotiation::rows(),
        verbs::rows(),
        watches::rows(),
        operations::rows(),
        writes::rows(),
    ]
    .concat()
}
