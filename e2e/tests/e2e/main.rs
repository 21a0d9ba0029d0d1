//! All tests against real control planes: one binary, so that one lab serves the whole run. See the crate's
//! documentation for how to write one.

#![allow(clippy::unwrap_used)]

mod age;
mod api_watch;
mod bare;
mod bodies;
mod churn;
mod credentials;
mod differential;
mod drain;
mod echo;
mod exposure;
mod flags;
mod group;
mod health;
mod hostile;
mod identity;
mod idle;
mod in_cluster;
mod informer;
mod isolation;
mod kubectl;
mod lab;
mod metrics;
mod operations;
mod outage;
mod patch;
mod paths;
mod penetration;
mod resources;
mod rotation;
mod secrecy;
mod silence;
mod spread;
mod status;
mod streams;
mod through;
mod upgrades;
mod watches;
