//! A node whose kubelet is a stand-in of the lab's own (`e2e/servers/kubelet`): kwok's attach only follows a file, and
//! its exec loses exit codes and the end of stdin (so that `kubectl cp` into a pod never ends). The streams are those
//! of kubelet's packages; what they lead to is ours. It may stand beside a [`super::Node`] of the same cluster.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Node as KubeNode, Pod};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use super::binaries::{self, KUBELET};
use super::control_plane::ControlPlane;
use super::pki::Authority;
use super::ports::free_port;
use super::process::{Process, Program};

const READY: Duration = Duration::from_secs(30);

/// A node and the stand-in that serves it.
pub struct Kubelet {
    name: String,
    process: Process,
    work: PathBuf,
    forward_to: u16,
}

impl Kubelet {
    /// Starts the stand-in and makes a node of this name that names it.
    pub async fn start(plane: &ControlPlane, name: &str) -> Result<Self> {
        let path = binaries::program_async(&KUBELET, "kubelet").await?;
        let folder = plane.folder().join(format!("kubelet-{name}"));
        let work = folder.join("work");
        std::fs::create_dir_all(&work).with_context(|| format!("making {}", work.display()))?;
        let (port, forward_to) = (free_port()?, free_port()?);
        let authority = Authority::new(&format!("{name}-kubelet-ca"))?;
        let (cert, key) = authority.server(&[name, "127.0.0.1"])?.write(&folder, "kubelet")?;
        let args = vec![
            format!("--listen=127.0.0.1:{port}"),
            format!("--cert={}", cert.display()),
            format!("--key={}", key.display()),
            format!("--work={}", work.display()),
            format!("--forward={forward_to}"),
        ];
        let program = Program { name: "kubelet".to_owned(), path, args, env: Vec::new(), folder };
        let process = Process::start(program)?;
        process
            .wait_ready(READY, || async {
                tokio::net::TcpStream::connect(("127.0.0.1", port)).await.map(drop).map_err(Into::into)
            })
            .await?;
        announce(plane, name, port).await?;
        Ok(Self { name: name.to_owned(), process, work, forward_to })
    }

    /// The stand-in's process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Where commands of `kubectl exec` run, on this machine.
    pub fn work_folder(&self) -> &PathBuf {
        &self.work
    }

    /// The port on 127.0.0.1 that every `kubectl port-forward` ends at.
    pub fn forward_port(&self) -> u16 {
        self.forward_to
    }

    /// Makes a pod with one container `main` on this node, with stdin, and says of it that it runs.
    pub async fn start_pod(&self, plane: &ControlPlane, namespace: &str, name: &str) -> Result<()> {
        plane.ensure_namespace(namespace).await?;
        let pods: Api<Pod> = Api::namespaced(plane.admin_client().await?, namespace);
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": name},
            "spec": {
                "nodeName": self.name,
                "automountServiceAccountToken": false,
                "containers": [{"name": "main", "image": "lab", "stdin": true}],
                "tolerations": [{"operator": "Exists"}],
            },
        }))?;
        pods.create(&PostParams::default(), &pod).await?;
        let now = time::OffsetDateTime::now_utc().format(&time::format_description::well_known::Rfc3339)?;
        let status = json!({"status": {
            "phase": "Running",
            "podIP": "127.0.0.1",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": now}],
            "containerStatuses": [{
                "name": "main", "image": "lab", "imageID": "lab", "ready": true, "restartCount": 0,
                "started": true, "state": {"running": {"startedAt": now}},
            }],
        }});
        pods.patch_status(name, &PatchParams::default(), &Patch::Merge(&status)).await?;
        Ok(())
    }
}

/// A Node says where its kubelet is: an address in its status, and a port.
async fn announce(plane: &ControlPlane, name: &str, port: u16) -> Result<()> {
    let nodes: Api<KubeNode> = Api::all(plane.admin_client().await?);
    let node: KubeNode = serde_json::from_value(json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
    }))?;
    nodes.create(&PostParams::default(), &node).await?;
    let status = json!({"status": {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        "conditions": [{"type": "Ready", "status": "True"}],
    }});
    nodes.patch_status(name, &PatchParams::default(), &Patch::Merge(&status)).await?;
    Ok(())
}
