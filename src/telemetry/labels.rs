use std::collections::HashMap;
use std::sync::LazyLock;

use ahash::RandomState;

/// What a request does, in the terms of Kubernetes authorization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Verb {
    /// One object, or what is no resource.
    Get,
    /// Many objects.
    List,
    /// Changes of many objects.
    Watch,
    /// POST
    Create,
    /// PUT
    Update,
    /// PATCH
    Patch,
    /// DELETE of one object
    Delete,
    /// DELETE of many
    DeleteCollection,
    /// Any other.
    Other,
}

impl Verb {
    /// The verb of a `RequestInfo`, the method in lower case included.
    pub fn of(verb: &str) -> Self {
        match verb {
            "get" | "head" => Self::Get,
            "list" => Self::List,
            "watch" => Self::Watch,
            "create" | "post" => Self::Create,
            "update" | "put" => Self::Update,
            "patch" => Self::Patch,
            "delete" => Self::Delete,
            "deletecollection" => Self::DeleteCollection,
            _ => Self::Other,
        }
    }

    /// As it stands in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Other => "other",
        }
    }

    pub(super) const ALL: [Self; 9] = [
        Self::Get,
        Self::List,
        Self::Watch,
        Self::Create,
        Self::Update,
        Self::Patch,
        Self::Delete,
        Self::DeleteCollection,
        Self::Other,
    ];

    /// What it was for the hub, where the proxied request has a name and is never a list: the Go gateway counts so.
    pub(super) fn at_the_hub(self) -> Self {
        match self {
            Self::List | Self::Watch => Self::Get,
            Self::DeleteCollection => Self::Delete,
            other => other,
        }
    }
}

/// The resource that a request is for: one of Kubernetes' own, none, or some other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Resource(u8);

/// None, those of a kube-apiserver's own groups (a test asks one for them) and ours. Custom
/// resources have names without end, and a caller can invent them.
const RESOURCES: [&str; 71] = [
    "",
    "apiservices",
    "bindings",
    "certificatesigningrequests",
    "clustergateways",
    "clusterrolebindings",
    "clusterroles",
    "clustertrustbundles",
    "componentstatuses",
    "configmaps",
    "controllerrevisions",
    "cronjobs",
    "csidrivers",
    "csinodes",
    "csistoragecapacities",
    "customresourcedefinitions",
    "daemonsets",
    "deployments",
    "deviceclasses",
    "endpoints",
    "endpointslices",
    "events",
    "flowschemas",
    "horizontalpodautoscalers",
    "ingressclasses",
    "ingresses",
    "ipaddresses",
    "jobs",
    "leasecandidates",
    "leases",
    "limitranges",
    "localsubjectaccessreviews",
    "mutatingadmissionpolicies",
    "mutatingadmissionpolicybindings",
    "mutatingwebhookconfigurations",
    "namespaces",
    "networkpolicies",
    "nodes",
    "persistentvolumeclaims",
    "persistentvolumes",
    "poddisruptionbudgets",
    "pods",
    "podtemplates",
    "priorityclasses",
    "prioritylevelconfigurations",
    "replicasets",
    "replicationcontrollers",
    "resourceclaims",
    "resourceclaimtemplates",
    "resourcequotas",
    "resourceslices",
    "rolebindings",
    "roles",
    "runtimeclasses",
    "secrets",
    "selfsubjectaccessreviews",
    "selfsubjectreviews",
    "selfsubjectrulesreviews",
    "serviceaccounts",
    "servicecidrs",
    "services",
    "statefulsets",
    "storageclasses",
    "subjectaccessreviews",
    "tokenreviews",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
    "validatingwebhookconfigurations",
    "virtualclusters",
    "volumeattachments",
    "volumeattributesclasses",
];

impl Resource {
    const OTHER: u8 = RESOURCES.len() as u8;
    /// How many labels there are, `other` included.
    pub(super) const COUNT: usize = RESOURCES.len() + 1;

    /// For a request that is for none.
    pub const NONE: Self = Self(0);

    /// A resource by its plural name; empty where a request is for none.
    pub fn of(name: &str) -> Self {
        static KNOWN: LazyLock<HashMap<&str, Resource, RandomState>> =
            LazyLock::new(|| RESOURCES.into_iter().zip(Resource::all()).collect());
        KNOWN.get(name).copied().unwrap_or(Self(Self::OTHER))
    }

    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..=Self::OTHER).map(Self)
    }

    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }

    /// As it stands in metrics.
    pub fn as_str(self) -> &'static str {
        RESOURCES.get(usize::from(self.0)).copied().unwrap_or("other")
    }
}

/// Why a cluster did not answer as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ErrorKind {
    /// Its name has no address.
    Unresolved,
    /// No connection, or it took too long to be made.
    Unreachable,
    /// What should lead to it does not: a forward proxy, or Konnectivity.
    Proxy,
    /// Its certificate is not to be trusted, or TLS failed otherwise.
    Untrusted,
    /// It answered 401: our credential was refused.
    CredentialRefused,
    /// There was no credential to show to it.
    NoCredential,
    /// It did not begin its answer in time.
    Timeout,
    /// It broke off, or did not speak HTTP.
    Broken,
    /// Too much is waiting for it already.
    Overloaded,
    /// The caller went away. No error of the cluster's.
    ClientGone,
}

impl ErrorKind {
    pub(super) const ALL: [Self; 10] = [
        Self::Unresolved,
        Self::Unreachable,
        Self::Proxy,
        Self::Untrusted,
        Self::CredentialRefused,
        Self::NoCredential,
        Self::Timeout,
        Self::Broken,
        Self::Overloaded,
        Self::ClientGone,
    ];

    /// As it stands in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unresolved => "unresolved",
            Self::Unreachable => "unreachable",
            Self::Proxy => "proxy",
            Self::Untrusted => "untrusted",
            Self::CredentialRefused => "credential_refused",
            Self::NoCredential => "no_credential",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Overloaded => "overloaded",
            Self::ClientGone => "client_gone",
        }
    }
}

/// A status code as a label: itself when servers of Kubernetes use it, else its class. A cluster could send 900
/// others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Code(u8);

const CODES: [(u16, &str); 31] = [
    (101, "101"),
    (200, "200"),
    (201, "201"),
    (202, "202"),
    (204, "204"),
    (206, "206"),
    (301, "301"),
    (302, "302"),
    (304, "304"),
    (307, "307"),
    (308, "308"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (406, "406"),
    (408, "408"),
    (409, "409"),
    (410, "410"),
    (412, "412"),
    (413, "413"),
    (415, "415"),
    (422, "422"),
    (429, "429"),
    (499, "499"),
    (500, "500"),
    (501, "501"),
    (502, "502"),
    (503, "503"),
    (504, "504"),
];

/// Of the others, by their first digit.
const CLASSES: [&str; 6] = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];

impl Code {
    /// How many labels there are.
    pub(super) const COUNT: usize = CODES.len() + CLASSES.len();

    pub(super) fn of(code: u16) -> Self {
        let index = match CODES.binary_search_by_key(&code, |(known, _)| *known) {
            Ok(index) => index,
            Err(_) => {
                CODES.len()
                    + Some(usize::from(code / 100)).filter(|class| *class < CLASSES.len()).unwrap_or(0)
            }
        };
        // There are 37.
        Self(index as u8)
    }

    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT as u8).map(Self)
    }

    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }

    pub(super) fn as_str(self) -> &'static str {
        match CODES.get(self.index()) {
            Some((_, text)) => text,
            None => CLASSES[self.index() - CODES.len()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_in_the_order_that_the_search_needs() {
        assert!(RESOURCES.is_sorted() && CODES.is_sorted());
        for name in RESOURCES {
            assert_eq!(Resource::of(name).as_str(), name);
        }
        for (code, text) in CODES {
            assert_eq!((Code::of(code).as_str(), text), (text, code.to_string().as_str()));
        }
        assert!(Resource::all().enumerate().all(|(index, resource)| resource.index() == index));
        assert!(Code::all().enumerate().all(|(index, code)| code.index() == index));
        assert!(Verb::ALL.iter().enumerate().all(|(index, verb)| *verb as usize == index));
        assert!(ErrorKind::ALL.iter().enumerate().all(|(index, kind)| *kind as usize == index));
    }

    #[test]
    fn whatever_a_caller_or_a_cluster_invents_is_one_label() {
        assert_eq!(Resource::of("widgets").as_str(), "other");
        assert_eq!(Verb::of("PROPFIND").as_str(), "other");
        for (code, text) in
            [(299, "2xx"), (418, "4xx"), (599, "5xx"), (0, "other"), (999, "other"), (u16::MAX, "other")]
        {
            assert_eq!(Code::of(code).as_str(), text);
        }
    }
}
