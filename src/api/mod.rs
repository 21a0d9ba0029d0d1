//! The API of our own group: an aggregated apiserver with no storage.
//!
//! A pure function from a request and a table to an answer: no I/O, no proxy library, no waiting. Discovery and
//! OpenAPI are made once and never depend on the table, so that the hub has them in well under its five seconds
//! whatever else goes on; objects are made from the table's snapshot, and need it to have been filled once (503
//! before). Credentials are never shown. Every failure is a Kubernetes Status. Who calls and whether they may was
//! decided before.

mod accept;
mod discovery;
mod document;
mod encode;
mod gateway;
mod gzip;
mod health;
mod negotiation;
mod openapi;
mod protobuf;
mod refusal;
mod selector;
mod serve;
mod table;

use http::{HeaderMap, Method};

use crate::clusters::Table;
use crate::model::{Answer, GroupName, Status};

use discovery::Discovery;
use openapi::OpenApi;

pub use gzip::{gzip, wants_gzip};
pub use health::{BODY_LIMIT, HealthChange, HealthWanted, HealthWrite, MODIFIED};

/// The one version of the group.
pub const VERSION: &str = "v1alpha1";

/// Answers for the group. One for all workers: it never changes.
#[derive(Debug)]
pub struct Api {
    group: GroupName,
    discovery: Discovery,
    openapi: OpenApi,
}

/// What of a request matters here.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path, percent-decoded.
    pub path: &'a str,
    /// The query as it came, still encoded.
    pub query: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
}

impl Api {
    /// The API of a group.
    pub fn new(group: GroupName) -> Self {
        Self { discovery: Discovery::new(&group), openapi: OpenApi::new(&group), group }
    }

    /// The answer, complete but for what [`crate::model::local_headers`] adds. Without its body (but with its length) to
    /// HEAD.
    pub fn answer(&self, request: &Request<'_>, table: &Table) -> Answer {
        serve::serve(self, request, table)
    }

    /// A failure in the form that the caller takes, for whoever fails on a request. As [`Api::answer`] otherwise.
    pub fn refuse(status: &Status, request: &Request<'_>) -> Answer {
        let mut answer = refusal::refuse(status, request);
        if request.method == Method::HEAD {
            answer.body_mut().clear();
        }
        answer
    }
}

#[cfg(test)]
mod tests;
