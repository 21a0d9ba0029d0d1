//! A node on which pods run, or seem to: kwok plays the kubelet, with real exec, attach, logs and port-forward.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use k8s_openapi::api::core::v1::{Node as KubeNode, Pod};
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

use super::binaries::{self, KWOK};
use super::control_plane::ControlPlane;
use super::pki::{Authority, write_file};
use super::ports::free_port;
use super::process::{Process, Program};
use super::wait::until;

const READY: Duration = Duration::from_secs(60);

/// A node of a member, and the fake kubelet behind it.
pub struct Node {
    name: String,
    process: Process,
    logs: PathBuf,
    work: PathBuf,
    forward_to: u16,
}

impl Node {
    /// Starts kwok for `plane` and makes a node of this name. It does not wait until the node is Ready:
    /// [`Node::start_pod`] waits for what counts.
    pub(super) async fn start(plane: &ControlPlane, name: &str) -> Result<Self> {
        let path = binaries::program_async(&KWOK, "kwok").await?;
        let folder = plane.folder().join(format!("node-{name}"));
        let work = folder.join("work");
        std::fs::create_dir_all(&work).with_context(|| format!("making {}", work.display()))?;
        let logs = folder.join("containers.log");
        std::fs::File::create(&logs)?;
        let (port, forward_to) = (free_port()?, free_port()?);
        let authority = Authority::new(&format!("{name}-kubelet-ca"))?;
        authority.server(&[name, "127.0.0.1"])?.write(&folder, "kubelet")?;
        write_file(&folder.join("kwok.yaml"), &configuration(&work, &logs, forward_to))?;
        let args = vec![
            format!("--kubeconfig={}", plane.admin_kubeconfig().display()),
            // Not a node that something else serves.
            "--manage-all-nodes=false".to_owned(),
            "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake".to_owned(),
            "--node-ip=127.0.0.1".to_owned(),
            format!("--node-port={port}"),
            format!("--server-address=127.0.0.1:{port}"),
            "--tls-cert-file=kubelet.crt".to_owned(),
            "--tls-private-key-file=kubelet.key".to_owned(),
            "--config=kwok.yaml".to_owned(),
        ];
        let process =
            Process::start(Program { name: "kwok".to_owned(), path, args, env: Vec::new(), folder })?;
        let node = Self { name: name.to_owned(), process, logs, work, forward_to };
        node.announce(plane).await?;
        node.log("the container has started")?;
        Ok(node)
    }

    /// Its name in the cluster.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kwok process.
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

    /// Makes a pod with one container `main` on this node and waits until it is Running.
    pub async fn start_pod(&self, plane: &ControlPlane, namespace: &str, name: &str) -> Result<()> {
        plane.ensure_namespace(namespace).await?;
        let pods: Api<Pod> = Api::namespaced(plane.admin_client().await?, namespace);
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": name},
            "spec": {
                "nodeName": self.name,
                "automountServiceAccountToken": false,
                "containers": [{"name": "main", "image": "lab"}],
                "tolerations": [{"operator": "Exists"}],
            },
        }))?;
        pods.create(&PostParams::default(), &pod).await?;
        until(&format!("pod {namespace}/{name} running"), READY, || async {
            let status = pods.get(name).await?.status.unwrap_or_default();
            match status.phase.as_deref() {
                Some("Running") => Ok(()),
                phase => bail!("its phase is {phase:?}"),
            }
        })
        .await
        .map_err(|error| anyhow!("{error:#}\nkwok's log ends with:\n{}", self.process.log_tail(15)))
    }

    /// Appends a line to the log of every container on this node; `kubectl logs -f` shows it.
    pub fn log(&self, line: &str) -> Result<()> {
        let now = time::OffsetDateTime::now_utc();
        let stamp = now.format(&time::format_description::well_known::Rfc3339)?;
        let mut file = std::fs::OpenOptions::new().append(true).open(&self.logs)?;
        // One write per line: a reader that follows sees whole lines. The format is a container runtime's.
        file.write_all(format!("{stamp} stdout F {line}\n").as_bytes())?;
        Ok(())
    }

    async fn announce(&self, plane: &ControlPlane) -> Result<()> {
        let nodes: Api<KubeNode> = Api::all(plane.admin_client().await?);
        let node: KubeNode = serde_json::from_value(json!({
            "metadata": {
                "name": self.name,
                "annotations": {"kwok.x-k8s.io/node": "fake"},
                "labels": {"kubernetes.io/hostname": self.name},
            },
            "status": {"capacity": {"pods": "110"}, "allocatable": {"pods": "110"}},
        }))?;
        nodes.create(&PostParams::default(), &node).await?;
        Ok(())
    }
}

fn configuration(work: &std::path::Path, logs: &std::path::Path, forward_to: u16) -> String {
    let object = |kind: &str, spec: serde_json::Value| {
        json!({"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": kind, "metadata": {"name": "lab"}, "spec": spec})
            .to_string()
    };
    [
        object("ClusterExec", json!({"execs": [{"local": {"workDir": work}}]})),
        object("ClusterLogs", json!({"logs": [{"logsFile": logs, "follow": true}]})),
        object("ClusterAttach", json!({"attaches": [{"logsFile": logs}]})),
        object(
            "ClusterPortForward",
            json!({"forwards": [{"target": {"port": forward_to, "address": "127.0.0.1"}}]}),
        ),
    ]
    .join("\n---\n")
}
