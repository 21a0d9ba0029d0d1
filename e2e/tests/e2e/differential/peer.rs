//! Whom ours is compared with.

use super::row::{CUSTOM_GROUP, GROUP};

/// The namespace of the Secrets that are compared with.
pub(super) const PEERS: &str = "peers";

/// A resource of kube-apiserver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// Built in, and all there are in their namespace are the clusters' names, labels and annotations.
    Secrets,
    /// Built in, cluster scoped, with a status that can be written.
    Nodes,
    /// The same, and validated once only.
    Namespaces,
    /// Built in, cluster scoped, and only to be read.
    ComponentStatuses,
    /// Built in, cluster scoped, with no fields of its own to select by, in a group of one version.
    PriorityClasses,
    /// Built in, cluster scoped, with a status that can be written, in a group.
    FlowSchemas,
    /// A custom resource of the same names and fields in another group.
    Custom,
    /// The same path.
    Itself,
}

/// Where a resource is, and what it is called.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The path of a group, for what is asked of one.
    pub(super) group: &'static str,
    /// The path of its version.
    pub(super) version: String,
    /// The path of the collection.
    pub(super) collection: String,
    pub(super) plural: &'static str,
    pub(super) kind: &'static str,
    pub(super) api_version: String,
}

impl Peer {
    /// Whether it is a resource that kube-apiserver has by itself.
    pub(super) fn is_built_in(self) -> bool {
        !matches!(self, Self::Custom | Self::Itself)
    }

    /// Where kube-apiserver has it.
    pub(super) fn place(self) -> Place {
        let core = |collection: &str, plural, kind| Place {
            // The core group has no path of its own.
            group: "/apis/batch",
            version: "/api/v1".to_owned(),
            collection: format!("/api/v1/{collection}"),
            plural,
            kind,
            api_version: "v1".to_owned(),
        };
        let grouped = |group, version: &str, plural, kind| Place {
            group,
            version: version.to_owned(),
            collection: format!("{version}/{plural}"),
            plural,
            kind,
            api_version: version.trim_start_matches("/apis/").to_owned(),
        };
        match self {
            Self::Secrets => core(&format!("namespaces/{PEERS}/secrets"), "secrets", "Secret"),
            Self::Nodes => core("nodes", "nodes", "Node"),
            Self::Namespaces => core("namespaces", "namespaces", "Namespace"),
            Self::ComponentStatuses => core("componentstatuses", "componentstatuses", "ComponentStatus"),
            Self::PriorityClasses => grouped(
                "/apis/scheduling.k8s.io",
                "/apis/scheduling.k8s.io/v1",
                "priorityclasses",
                "PriorityClass",
            ),
            Self::FlowSchemas => {
                let (group, version) =
                    ("/apis/flowcontrol.apiserver.k8s.io", "/apis/flowcontrol.apiserver.k8s.io/v1");
                grouped(group, version, "flowschemas", "FlowSchema")
            }
            Self::Custom => Place::of_group("/apis/differential.example.com", CUSTOM_GROUP),
            Self::Itself => Place::ours(),
        }
    }
}

impl Place {
    /// Where the gateway has it.
    pub(super) fn ours() -> Self {
        Self::of_group("/apis/cluster.core.oam.dev", GROUP)
    }

    /// Where watches were asked for before there was `?watch`.
    pub(super) fn watched(&self) -> String {
        let below = self.collection.strip_prefix(&self.version).unwrap_or_default();
        format!("{}/watch{below}", self.version)
    }

    fn of_group(path: &'static str, group: &str) -> Self {
        Self {
            group: path,
            version: format!("{path}/v1alpha1"),
            collection: format!("{path}/v1alpha1/clustergateways"),
            plural: "clustergateways",
            kind: "ClusterGateway",
            api_version: format!("{group}/v1alpha1"),
        }
    }
}
