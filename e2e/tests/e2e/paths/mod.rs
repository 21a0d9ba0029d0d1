//! What reaches a cluster of a request's path and headers, what is refused, and what comes back: tables of cases
//! against an echoing upstream, sent to the gateway as a hub sends them.

mod answers;
mod frames;
mod headers;
mod refused;
mod setup;
mod smuggled;
mod targets;
