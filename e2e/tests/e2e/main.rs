//! All tests against real control planes: one binary, so that one lab serves the whole run. See the crate's
//! documentation for how to write one.

#![allow(clippy::unwrap_used)]

mod bodies;
mod echo;
mod exposure;
mod idle;
mod informer;
mod kubectl;
mod lab;
mod paths;
