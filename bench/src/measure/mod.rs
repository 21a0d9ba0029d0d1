//! What processes use, rounds, and the spread of what they gave.

mod meter;
mod quiet;
mod rounds;
mod sampler;
mod spread;

pub(crate) use meter::Meter;
pub(crate) use quiet::until_quiet;
pub(crate) use rounds::rounds;
pub(crate) use sampler::{Sampler, Samples};
pub(crate) use spread::Spread;
