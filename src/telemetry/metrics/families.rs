//! Names and meanings of what is counted for each request. Those with `ocm_proxy_` are the Go gateway's own, labels,
//! buckets and help included.

use crate::telemetry::text::{Family, Kind};

pub(super) const BY_RESOURCE: Family = Family {
    name: "ocm_proxy_proxied_resource_requests_by_resource_total",
    help: "Number of requests proxied requests",
    kind: Kind::Counter,
};
pub(super) const BY_CLUSTER: Family = Family {
    name: "ocm_proxy_proxied_requests_by_cluster_total",
    help: "Number of requests proxied requests",
    kind: Kind::Counter,
};
pub(super) const DURATION: Family = Family {
    name: "ocm_proxy_proxied_request_duration_seconds",
    help: "Cluster proxy request time cost",
    kind: Kind::Histogram,
};
pub(super) const HEADER: Family = Family {
    name: "cluster_gateway_upstream_header_duration_seconds",
    help: "Time from sending a request to a cluster to the header of its answer",
    kind: Kind::Histogram,
};
pub(super) const HISTOGRAMS: Family = Family {
    name: "cluster_gateway_cluster_histograms",
    help: "Histograms with a cluster's name; there are no more than --metrics-cluster-histograms",
    kind: Kind::Gauge,
};
pub(super) const ERRORS: Family = Family {
    name: "cluster_gateway_upstream_errors_total",
    help: "Requests that a cluster did not answer as it should",
    kind: Kind::Counter,
};
pub(super) const IN_FLIGHT: Family = Family {
    name: "cluster_gateway_requests_in_flight",
    help: "Requests that are being proxied, watches included",
    kind: Kind::Gauge,
};
pub(super) const RECEIVED: Family = Family {
    name: "cluster_gateway_request_bytes_total",
    help: "Bytes of request bodies sent to clusters",
    kind: Kind::Counter,
};
pub(super) const SENT: Family = Family {
    name: "cluster_gateway_response_bytes_total",
    help: "Bytes of response bodies received from clusters",
    kind: Kind::Counter,
};
pub(super) const STREAMS: Family = Family {
    name: "cluster_gateway_upgraded_streams",
    help: "Upgraded connections (exec, attach, port-forward) that are open",
    kind: Kind::Gauge,
};
pub(super) const STREAMED: Family = Family {
    name: "cluster_gateway_upgraded_bytes_total",
    help: "Bytes passed on over upgraded connections, by direction: to_cluster or to_caller",
    kind: Kind::Counter,
};
pub(super) const LOCAL: Family = Family {
    name: "cluster_gateway_local_requests_total",
    help: "Requests that were answered without any cluster, refused ones included",
    kind: Kind::Counter,
};
