//! The two resources that are read here, and their objects, under one roof: lists and watches know nothing else.

use std::cmp::Reverse;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::clusters::View;

use super::gateway::{self, ClusterGateway};
use super::meta::ObjectMeta;
use super::table::Column;
use super::virtual_cluster::{self, LOCAL, Source, VirtualCluster};
use super::{Api, selector::Selectors};

/// A resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource {
    ClusterGateways,
    VirtualClusters,
}

/// One of its objects.
#[derive(Debug, Clone, Copy)]
pub(super) enum Object<'a> {
    Gateway(&'a View),
    Virtual(Source<'a>),
}

/// An object that is kept for later.
#[derive(Debug)]
pub(super) enum Kept {
    View(Arc<View>),
    Constant,
}

/// An object, ready to be written.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Shown<'a> {
    Gateway(ClusterGateway<'a>),
    Virtual(VirtualCluster<'a>),
}

impl Resource {
    /// The resource of a name in a path.
    pub(super) fn of(name: &str) -> Option<Self> {
        [Self::ClusterGateways, Self::VirtualClusters].into_iter().find(|resource| resource.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ClusterGateways => "clustergateways",
            Self::VirtualClusters => "virtualclusters",
        }
    }

    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::ClusterGateways => gateway::KIND,
            Self::VirtualClusters => virtual_cluster::KIND,
        }
    }

    pub(super) fn columns(self) -> &'static [Column] {
        match self {
            Self::ClusterGateways => gateway::COLUMNS,
            Self::VirtualClusters => virtual_cluster::COLUMNS,
        }
    }

    /// What a cluster is here, if it is anything.
    pub(super) fn object<'a>(self, view: &'a View, api: &Api) -> Option<Object<'a>> {
        match self {
            Self::ClusterGateways => Some(Object::Gateway(view)),
            // A Secret of the hub's name is not the hub.
            Self::VirtualClusters if api.shows_local && view.name.as_str() == LOCAL => None,
            Self::VirtualClusters => Source::secret(view, &api.group).map(Object::Virtual),
        }
    }

    /// What is always here, whatever clusters there are.
    pub(super) fn constant(self, api: &Api) -> Option<Object<'static>> {
        let local = self == Self::VirtualClusters && api.shows_local;
        local.then_some(Object::Virtual(Source::Local))
    }
}

impl Kept {
    /// The constant, where there is no view.
    pub(super) fn of(view: Option<&Arc<View>>) -> Self {
        view.map_or(Self::Constant, |view| Self::View(Arc::clone(view)))
    }

    /// What it is in a resource.
    pub(super) fn object(&self, resource: Resource, api: &Api) -> Option<Object<'_>> {
        match self {
            Self::View(view) => resource.object(view, api),
            Self::Constant => resource.constant(api),
        }
    }
}

impl<'a> Object<'a> {
    pub(super) fn name(&self) -> &'a str {
        match self {
            Self::Gateway(view) => view.name.as_str(),
            Self::Virtual(source) => source.name(),
        }
    }

    /// Its resourceVersion.
    pub(super) fn version(&self) -> u64 {
        match self {
            Self::Gateway(view) => view.version,
            Self::Virtual(source) => source.version(),
        }
    }

    /// Where it stands in a list.
    pub(super) fn place(&self) -> Place<'a> {
        let (rank, created) = match self {
            Self::Gateway(_) => (1, ""),
            Self::Virtual(Source::Local) => (0, ""),
            Self::Virtual(source) => (1, source.created().unwrap_or_default()),
        };
        Place { rank, created: Reverse(created), name: self.name() }
    }

    /// Whether it is wanted.
    pub(super) fn is_chosen(&self, selectors: &Selectors, api: &Api) -> bool {
        selectors.choose(self.name(), |key| match self {
            Self::Gateway(view) => view.metadata.labels.get(key),
            Self::Virtual(source) => source.label(key, &api.group),
        })
    }

    /// Its metadata, by this resourceVersion.
    pub(super) fn metadata(&self, version: u64, api: &Api) -> ObjectMeta<'a> {
        match self {
            Self::Gateway(view) => gateway::metadata(view, version, &api.group),
            Self::Virtual(source) => source.metadata(version, &api.group),
        }
    }

    /// All of it, by this resourceVersion.
    pub(super) fn show(&self, version: u64, api: &Api) -> Shown<'a> {
        match self {
            Self::Gateway(view) => Shown::Gateway(gateway::show(view, version, &api.group)),
            Self::Virtual(source) => Shown::Virtual(source.show(version, &api.group)),
        }
    }

    /// What stands in its columns.
    pub(super) fn cells(&self, api: &Api) -> Vec<Value> {
        match self {
            Self::Gateway(view) => gateway::cells(view),
            Self::Virtual(source) => source.cells(&api.group),
        }
    }
}

/// By what lists are ordered: ClusterGateways by name; of VirtualClusters the hub is first, then come the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place<'a> {
    pub(super) rank: u8,
    /// RFC 3339, where it counts.
    pub(super) created: Reverse<&'a str>,
    pub(super) name: &'a str,
}
