//! The servers that the lab runs, as executables.
//!
//! `KUBEBUILDER_ASSETS` (a folder with etcd, kube-apiserver and kubectl, the convention of envtest) is used when it
//! is set. Everything else is built from the pinned Go modules in `e2e/tools` and in other folders of `e2e`, once
//! for a user: results are kept in `$XDG_CACHE_HOME/cluster-gateway-lab/NAME-KEY` (or `~/.cache/…`), where the key
//! is a digest of the module's files and of the recipe. A second run finds the folder and builds nothing; two runs
//! at once build once, since the second waits for a file lock; a build that was broken off is never taken for a whole
//! one, since the folder is renamed into place when it is complete.

mod build;
mod toolchain;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

pub use build::cache_key;

/// A Go module and how its programs are built.
#[derive(Clone, Debug)]
pub struct Module {
    /// Name in messages and in the cache.
    pub name: &'static str,
    /// The folder with `go.mod`, below `e2e`.
    pub folder: &'static str,
    /// Programs, as (file name, package). The package `.` is the folder's own.
    pub programs: &'static [(&'static str, &'static str)],
    /// What goes into `-ldflags` besides `-s -w`.
    pub ldflags: &'static str,
    /// How long it takes on two cores, for the message.
    pub takes: &'static str,
}

/// kube-apiserver and kubectl. Without the version flags clients would see v0.0.0.
pub const KUBERNETES: Module = Module {
    name: "kubernetes",
    folder: "tools/kubernetes",
    programs: &[
        ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
        ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    ],
    ldflags: "-X k8s.io/component-base/version.gitVersion=v1.35.4 \
              -X k8s.io/component-base/version.gitMajor=1 \
              -X k8s.io/component-base/version.gitMinor=35",
    takes: "3 to 5 minutes",
};

/// etcd.
pub const ETCD: Module = Module {
    name: "etcd",
    folder: "tools/etcd",
    programs: &[("etcd", "go.etcd.io/etcd/server/v3")],
    ldflags: "",
    takes: "a minute",
};

/// kwok, a fake kubelet whose exec, logs and port-forward are real.
pub const KWOK: Module = Module {
    name: "kwok",
    folder: "tools/kwok",
    programs: &[("kwok", "sigs.k8s.io/kwok/cmd/kwok")],
    ldflags: "",
    takes: "1 to 2 minutes",
};

/// An informer of client-go and a writer whose changes it has to see, for a test of watches.
pub const INFORMER: Module = Module {
    name: "informer",
    folder: "clients/informer",
    programs: &[("informer", ".")],
    ldflags: "",
    takes: "a minute",
};

/// kubectl of Kubernetes 1.31, four minor versions older than [`KUBERNETES`]: clients are seldom as new as servers.
pub const OLD_KUBECTL: Module = Module {
    name: "kubectl-1.31",
    folder: "tools/kubectl-1.31",
    programs: &[("kubectl-1.31", ".")],
    ldflags: "-X k8s.io/component-base/version.gitVersion=v1.31.4 \
              -X k8s.io/component-base/version.gitMajor=1 \
              -X k8s.io/component-base/version.gitMinor=31",
    takes: "a minute",
};

/// The Konnectivity server and agent.
pub const KONNECTIVITY: Module = Module {
    name: "konnectivity",
    folder: "tools/konnectivity",
    programs: &[
        ("proxy-server", "sigs.k8s.io/apiserver-network-proxy/cmd/server"),
        ("proxy-agent", "sigs.k8s.io/apiserver-network-proxy/cmd/agent"),
    ],
    ldflags: "",
    takes: "a minute",
};

/// Forward proxies that somebody else wrote.
pub const PROXIES: Module = Module {
    name: "proxies",
    folder: "servers/proxies",
    programs: &[("connect", "./connect"), ("socks5", "./socks5")],
    ldflags: "",
    takes: "half a minute",
};

/// A stand-in for a kubelet, for what kwok does not do: attach with stdin, and exit codes.
pub const KUBELET: Module = Module {
    name: "kubelet",
    folder: "servers/kubelet",
    programs: &[("kubelet", ".")],
    ldflags: "",
    takes: "a minute",
};

/// Exec sessions of client-go, many at once.
pub const STREAMS: Module = Module {
    name: "streams",
    folder: "clients/streams",
    programs: &[("streams", ".")],
    ldflags: "",
    takes: "a minute",
};

/// Readers of the gateway's own resources, as controllers are made of, and a writer of Secrets; and a typed client.
pub const API: Module = Module {
    name: "api",
    folder: "clients/api",
    programs: &[("api", "."), ("typed", "./typed")],
    ldflags: "",
    takes: "a minute",
};

/// Where a program of a module is, built when it is not there yet.
pub fn program(module: &Module, name: &str) -> Result<PathBuf> {
    if let Some(path) = asset(name)? {
        return Ok(path);
    }
    if !module.programs.iter().any(|(program, _)| *program == name) {
        bail!("the Go module {} has no program {name}", module.name);
    }
    Ok(build::ensure(module)?.join(name))
}

/// [`program`] for callers on a runtime: a build takes minutes and must not hold a worker.
pub async fn program_async(module: &'static Module, name: &'static str) -> Result<PathBuf> {
    tokio::task::spawn_blocking(move || program(module, name)).await.context("building")?
}

/// The user's cache of the lab.
pub fn cache_folder() -> Result<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base =
        absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache"))).context(
            "neither XDG_CACHE_HOME nor HOME is set: the lab does not know where to keep what it builds",
        )?;
    Ok(base.join("cluster-gateway-lab"))
}

/// A program from `KUBEBUILDER_ASSETS`; kwok and our own programs are never there.
fn asset(name: &str) -> Result<Option<PathBuf>> {
    let Some(folder) = std::env::var_os("KUBEBUILDER_ASSETS").filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    if !["etcd", "kube-apiserver", "kubectl"].contains(&name) {
        return Ok(None);
    }
    let path = Path::new(&folder).join(name);
    if !path.is_file() {
        bail!(
            "KUBEBUILDER_ASSETS={}: no {name} there; unset it to have the lab build its own",
            path.display()
        );
    }
    // A relative one would be looked up in the lab's folder.
    Ok(Some(path.canonicalize()?))
}
