//! Kubeconfig files.

use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::pki::{Identity, write_file};

/// Who a client is.
#[derive(Clone, Debug)]
pub enum Login {
    /// By a client certificate.
    Certificate(Identity),
    /// By a bearer token.
    Token(String),
    /// Nobody: `system:anonymous`.
    Anonymous,
}

/// A kubeconfig in the making. The first context is the current one.
#[derive(Clone, Debug, Default)]
pub struct Kubeconfig {
    contexts: Vec<(String, Value, Value)>,
}

impl Kubeconfig {
    /// One with no context.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a context with a cluster and a user of the same name.
    pub fn context(mut self, name: &str, url: &str, ca_pem: &str, login: &Login) -> Self {
        let cluster = json!({"server": url, "certificate-authority-data": BASE64_STANDARD.encode(ca_pem)});
        let user = match login {
            Login::Certificate(identity) => json!({
                "client-certificate-data": BASE64_STANDARD.encode(&identity.cert),
                "client-key-data": BASE64_STANDARD.encode(&identity.key),
            }),
            Login::Token(token) => json!({"token": token}),
            Login::Anonymous => json!({}),
        };
        self.contexts.push((name.to_owned(), cluster, user));
        self
    }

    /// Writes it. JSON is YAML, so that every client reads it.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_file(path, &serde_json::to_string_pretty(&self.value())?)
    }

    /// A client of its current context, made anew at each call: a test has a runtime of its own, and a client
    /// must not outlive the one that it was made on.
    pub async fn client(&self) -> Result<kube::Client> {
        Ok(kube::Client::try_from(self.config().await?)?)
    }

    /// The settings of a client of its current context.
    pub async fn config(&self) -> Result<kube::Config> {
        super::use_ring();
        let kubeconfig: kube::config::Kubeconfig = serde_json::from_value(self.value())?;
        kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default())
            .await
            .context("reading a kubeconfig of the lab")
    }

    fn value(&self) -> Value {
        let list = |key: &str, pick: &dyn Fn(&(String, Value, Value)) -> Value| -> Vec<Value> {
            self.contexts.iter().map(|context| json!({"name": context.0, key: pick(context)})).collect()
        };
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": self.contexts.first().map(|context| context.0.as_str()).unwrap_or_default(),
            "clusters": list("cluster", &|context| context.1.clone()),
            "users": list("user", &|context| context.2.clone()),
            "contexts": list("context", &|context| json!({"cluster": context.0, "user": context.0})),
        })
    }
}
