//! A gateway to the API of every cluster, through the aggregation layer of one: the map of the house is in
//! ARCHITECTURE.md.

pub mod admin;
pub mod api;
pub mod app;
pub mod authn;
pub mod authz;
pub mod cli;
pub mod clusters;
pub mod config;
pub mod credentials;
pub mod exchange;
pub mod gateway;
pub mod listener;
pub mod model;
pub mod reviews;
pub mod telemetry;
pub mod tls;
pub mod upstream;
