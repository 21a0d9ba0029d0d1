//! The API of our own group: an aggregated apiserver with no storage.
//!
//! A function from a request and the clusters' table to an answer: no I/O, no proxy library, and no waiting but for
//! a table that is as new as a caller asks for (three seconds). Discovery and OpenAPI are made once and never depend
//! on the table, so that the hub has them in well under its five seconds whatever else goes on; objects are made from
//! the table's snapshot, and need it to have been filled once (503 before); a [`Watch`] goes on from there.
//! Credentials are never shown. Every failure is a Kubernetes Status. Who calls and whether they may was decided
//! before.

mod accept;
mod cursor;
mod discovery;
mod document;
mod encode;
mod gateway;
mod go_json;
mod gzip;
mod health;
mod list;
mod meta;
mod metrics;
mod negotiation;
mod openapi;
mod options;
mod pieces;
mod protobuf;
mod refusal;
mod resource;
mod restful;
mod selector;
mod serve;
mod table;
mod virtual_cluster;
mod watch;

use std::sync::Arc;

use http::{HeaderMap, Method};

use crate::clusters::Tables;
use crate::model::{Answer, GroupName, Status};

use discovery::Discovery;
use openapi::OpenApi;

pub use gzip::{gzip, wants_gzip};
pub use health::{BODY_LIMIT, HealthChange, HealthWanted, HealthWrite, MODIFIED, Warnings};
pub use metrics::Metrics;
pub use pieces::Pieces;
pub use watch::Watch;

/// The one version of the group.
pub const VERSION: &str = "v1alpha1";

/// Answers for the group. One for all workers: it never changes.
#[derive(Debug)]
pub struct Api {
    group: GroupName,
    /// Whether the hub is a VirtualCluster.
    shows_local: bool,
    discovery: Discovery,
    openapi: OpenApi,
    metrics: Metrics,
}

/// What comes of a request.
#[derive(Debug)]
pub enum Outcome {
    /// A whole answer.
    Answer(Answer),
    /// 200, and more than should be in memory at once.
    Pieces(Box<Pieces>),
    /// 200, and events for as long as there are any.
    Watch(Box<Watch>),
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
    /// The API of a group. `shows_local`: whether the hub itself is a VirtualCluster.
    pub fn new(group: GroupName, shows_local: bool, metrics: Metrics) -> Self {
        let (discovery, openapi) = (Discovery::new(&group), OpenApi::new(&group));
        Self { discovery, openapi, group, shows_local, metrics }
    }

    /// The answer, complete but for what [`crate::model::local_headers`] adds. Without its body (but with its length)
    /// to HEAD.
    pub async fn answer(self: &Arc<Self>, request: &Request<'_>, tables: &Tables) -> Outcome {
        serve::serve(self, request, tables).await
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
mod testing;
#[cfg(test)]
mod tests;
