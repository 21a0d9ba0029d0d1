//! Credentials that do not stand in Secrets: what commands give and what files hold, against real control planes.

mod allowed;
mod chains;
mod files;
mod plugin;
mod rotation;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::client::{Answer, HttpsClient};
use e2e::lab::{ControlPlane, Gateway, GatewayOptions, Identity, Registration, shared, until};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::identity::GATEWAYS;
use crate::operations::get;

const SOON: Duration = Duration::from_secs(30);
const V1: &str = "client.authentication.k8s.io/v1";

/// A command that gives what stands in the file `answer`, and counts its runs.
const FROM_FILE: &str = "echo run >> runs; cat answer";

/// A command in a folder of its own, where it runs.
struct Plugin {
    folder: TempDir,
}

impl Plugin {
    fn new(body: &str) -> Self {
        let plugin = Self { folder: tempfile::tempdir().unwrap() };
        let new = plugin.folder.path().join("new");
        fs::write(&new, format!("#!/bin/sh\ncd '{}'\n{body}\n", plugin.folder.path().display())).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(new, plugin.path()).unwrap();
        plugin
    }

    fn path(&self) -> String {
        self.folder.path().join("plugin").display().to_string()
    }

    fn config(&self, args: &[&str]) -> String {
        json!({"apiVersion": V1, "command": self.path(), "args": args, "interactiveMode": "Never"})
            .to_string()
    }

    /// From now on it gives this.
    fn answer(&self, status: Value) {
        let credential = json!({"apiVersion": V1, "kind": "ExecCredential", "status": status});
        let new = self.folder.path().join("answer.new");
        fs::write(&new, credential.to_string()).unwrap();
        fs::rename(new, self.folder.path().join("answer")).unwrap();
    }

    fn runs(&self) -> usize {
        let runs = fs::read_to_string(self.folder.path().join("runs")).unwrap_or_default();
        runs.lines().count()
    }

    fn cluster(&self, namespace: &str, member: &ControlPlane) -> Registration {
        let (url, ca) = (member.url(), member.ca_pem());
        Registration::dynamic(namespace, member.name(), &url, &ca, &self.config(&[]))
    }
}

/// A gateway with its Secrets, and somebody who may do everything there.
struct Bench {
    gateway: Gateway,
    secrets: kube::Client,
    caller: HttpsClient,
}

impl Bench {
    async fn start(namespace: &str, flags: &[String]) -> Self {
        let hub = shared().await.hub();
        let options =
            flags.iter().fold(GatewayOptions::new(hub, namespace), |options, flag| options.flag(flag));
        let gateway = Gateway::start(hub, options).await.unwrap();
        let caller = gateway.front_proxy("t5-admin", &["system:masters"]).unwrap();
        Self { gateway, secrets: hub.admin_client().await.unwrap(), caller }
    }

    /// With a command that may be run.
    async fn with(namespace: &str, plugin: &Plugin) -> Self {
        Self::start(namespace, &[format!("--exec-allowed={}", plugin.path())]).await
    }

    /// Applies it, and waits until it is in force.
    async fn register(&self, registration: &Registration) {
        registration.apply(&self.secrets).await.unwrap();
        let path = format!("{GATEWAYS}/{}", registration.name);
        until("the cluster is there", SOON, || async {
            let answer = self.caller.h1().await?.get(&path).await?;
            ensure!(answer.status == 200, "{}", answer.text());
            Ok(())
        })
        .await
        .unwrap();
    }

    async fn ask(&self, cluster: &str) -> Answer {
        let path = format!("{GATEWAYS}/{cluster}/proxy/api/v1/namespaces/default/configmaps/whoami");
        get(&self.caller, &path).await
    }

    /// Waits until the condition CredentialReady says so: it follows what happens by a moment.
    async fn until_credential_ready(&self, name: &str, status: &str, message: &str) {
        until("the condition CredentialReady", SOON, || async {
            let found = self.credential_ready(name).await?;
            ensure!(found == (status.to_owned(), message.to_owned()), "{found:?}");
            Ok(())
        })
        .await
        .unwrap();
    }

    /// The condition CredentialReady: its status and its message.
    async fn credential_ready(&self, cluster: &str) -> Result<(String, String)> {
        let object = self.caller.h1().await?.get(&format!("{GATEWAYS}/{cluster}")).await?.json()?;
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.into_iter().find(|condition| condition["type"] == "CredentialReady");
        let ready = ready.unwrap_or_default();
        let text = |key: &str| ready[key].as_str().unwrap_or_default().to_owned();
        Ok((text("status"), text("message")))
    }

    async fn metrics(&self) -> String {
        get(&self.caller, "/metrics").await.text()
    }
}

/// A service account that may do everything there, and a token of it.
async fn account(member: &ControlPlane, name: &str) -> String {
    let token = member.service_account_token("kube-system", name, None).await.unwrap();
    member.grant_all(name, e2e::lab::service_account("kube-system", name)).await.unwrap();
    token
}

/// Ends an account: its tokens are refused from some seconds later on, when kube-apiserver has forgotten them.
async fn end_account(member: &ControlPlane, name: &str) {
    let accounts: kube::Api<ServiceAccount> =
        kube::Api::namespaced(member.admin_client().await.unwrap(), "kube-system");
    accounts.delete(name, &DeleteParams::default()).await.unwrap();
}

/// A certificate as a plugin gives it.
fn certificate(identity: &Identity) -> Value {
    json!({"clientCertificateData": identity.cert, "clientKeyData": identity.key})
}

/// As a kubelet renews a mounted Secret: a new folder, and a link that is exchanged at once.
fn mount(volume: &Path, version: &str, files: &[(&str, &str)]) {
    use std::os::unix::fs::symlink;
    fs::create_dir_all(volume.join(version)).unwrap();
    for (name, contents) in files {
        fs::write(volume.join(version).join(name), contents).unwrap();
        // There already from the second time on.
        let _ = symlink(Path::new("..data").join(name), volume.join(name));
    }
    symlink(version, volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
}
