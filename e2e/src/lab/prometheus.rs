//! Prometheus as Debian packages it, and its promtool.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::leash::leash;
use super::ports::free_port;
use super::process::{Process, Program};

const READY: Duration = Duration::from_secs(60);
const ANSWER: Duration = Duration::from_secs(20);

/// A running Prometheus. Ends when it is dropped.
pub struct Prometheus {
    port: u16,
    process: Process,
}

impl Prometheus {
    /// Starts one that scrapes what `scrape_configs` says (as in its configuration file, but in JSON) and has the
    /// alerts of `rules`. Its data is gone with the lab.
    pub async fn start(scrape_configs: Value, rules: &Path) -> Result<Self> {
        let path = installed("prometheus")?;
        let folder = tempfile::Builder::new().prefix("prometheus-").tempdir_in(leash()?.folder())?.keep();
        let config = json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "scrape_configs": scrape_configs,
            "rule_files": [rules],
        });
        // JSON is YAML.
        std::fs::write(folder.join("prometheus.yml"), config.to_string())?;
        let port = free_port()?;
        let args = vec![
            "--config.file=prometheus.yml".to_owned(),
            "--storage.tsdb.path=data".to_owned(),
            format!("--web.listen-address=127.0.0.1:{port}"),
        ];
        let name = "prometheus".to_owned();
        let process = Process::start(Program { name, path, args, env: Vec::new(), folder })?;
        let prometheus = Self { port, process };
        let ready = || async { prometheus.get("/-/ready").await.map(drop) };
        prometheus.process.wait_ready(READY, ready).await?;
        Ok(prometheus)
    }

    /// What an expression is now: the result's list of series.
    pub async fn query(&self, expression: &str) -> Result<Vec<Value>> {
        let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let data =
            self.api(&format!("query?query={encoded}")).await.with_context(|| expression.to_owned())?;
        Ok(data["result"].as_array().context("no result")?.clone())
    }

    /// The targets that it scrapes.
    pub async fn targets(&self) -> Result<Vec<Value>> {
        Ok(self.api("targets").await?["activeTargets"].as_array().context("no targets")?.clone())
    }

    /// Its rules, with what became of them.
    pub async fn rules(&self) -> Result<Vec<Value>> {
        let data = self.api("rules").await?;
        let groups = data["groups"].as_array().context("no groups")?;
        Ok(groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default()).collect())
    }

    async fn api(&self, path: &str) -> Result<Value> {
        let answer: Value = serde_json::from_str(&self.get(&format!("/api/v1/{path}")).await?)?;
        ensure!(answer["status"] == "success", "{answer}");
        Ok(answer["data"].clone())
    }

    async fn get(&self, path: &str) -> Result<String> {
        let ask = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            // Of version 1.0, so that the answer ends with its connection and comes in one piece.
            stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            anyhow::Ok(answer)
        };
        let answer = tokio::time::timeout(ANSWER, ask).await.context("no answer in time")??;
        let (head, body) = answer.split_once("\r\n\r\n").context("no end of the head")?;
        // An expression that cannot be read is 400, with the reason in the body.
        ensure!(head.split(' ').nth(1) == Some("200"), "{head}\n{body}");
        Ok(body.to_owned())
    }
}

/// Runs promtool in a folder, with something to read; its output, when it is content.
pub async fn promtool(folder: &Path, arguments: &[&str], input: &str) -> Result<String> {
    let mut child = tokio::process::Command::new(installed("promtool")?)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = child.stdin.take().context("no stdin")?;
    let write = async {
        // It need not read to the end, when it has seen enough.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
    };
    let ((), output) = tokio::join!(write, child.wait_with_output());
    let output = output?;
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    ensure!(output.status.success(), "promtool {}: {}\n{said}", arguments.join(" "), output.status);
    Ok(said)
}

fn installed(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    match std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => bail!(
            "{name} is not installed. Type (`make test` does it for root where there is apt): \
             sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends prometheus'"
        ),
    }
}
