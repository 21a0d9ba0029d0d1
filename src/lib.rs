//! A gateway to the API of every cluster, through the aggregation layer of one: the map of the house is in
//! ARCHITECTURE.md.

pub mod authn;
pub mod authz;
pub mod clusters;
pub mod exchange;
pub mod model;
pub mod reviews;
pub mod tls;
pub mod upstream;
