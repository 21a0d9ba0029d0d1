//! Real control planes on one machine: the lab, and what is run on it.
pub mod client;
pub mod echo;
pub mod lab;
