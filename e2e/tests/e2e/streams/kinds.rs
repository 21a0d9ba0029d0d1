//! Every kind of stream, each tried out on one way from a kubectl to the pods.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use e2e::lab::kubectl::Output;
use e2e::lab::{Kubectl, Process, Terminal, leash::leash, until, until_every};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::place::{KWOK, NAMESPACE, Place, STAND_IN};

const SOON: Duration = Duration::from_secs(40);
const NOW_AND_THEN: Duration = Duration::from_millis(250);

/// A kubectl that is aimed at the member, on whatever way, and the pods there.
pub(super) struct Way<'a> {
    pub(super) kubectl: Kubectl,
    pub(super) place: &'a Place,
    /// Unique: files and objects are called so.
    pub(super) name: String,
}

impl<'a> Way<'a> {
    pub(super) fn new(place: &'a Place, name: &str, kubectl: Kubectl) -> Self {
        let kubectl = kubectl.flag(&format!("--namespace={NAMESPACE}"));
        Self { kubectl, place, name: name.to_owned() }
    }

    /// Everything that there is.
    pub(super) async fn everything(&self, size: usize) -> Result<()> {
        self.exec().await.context("exec")?;
        self.terminal().await.context("exec -it")?;
        self.attach().await.context("attach")?;
        self.attach_with_stdin().await.context("attach -i")?;
        self.port_forward().await.context("port-forward")?;
        self.copy(size).await.context("cp")?;
        self.logs(Duration::ZERO).await.context("logs -f")?;
        self.watch_and_list().await.context("watch and list")
    }

    /// Output on both channels, an exit code, stdin with its end.
    pub(super) async fn exec(&self) -> Result<()> {
        for pod in [KWOK, STAND_IN] {
            let output = self.run(&["exec", pod, "--", "sh", "-c", "echo out; echo err >&2"]).await?;
            ensure!(output.stdout == "out\n" && output.messages().starts_with("err\n"), "{output:?}");
            ensure!(output.success(), "{output:?}");
        }
        let output =
            self.run(&["exec", STAND_IN, "--", "sh", "-c", "echo out; echo err >&2; exit 7"]).await?;
        ensure!(output.stdout == "out\n" && output.code == Some(7), "{output:?}");
        ensure!(output.messages() == "err\ncommand terminated with exit code 7\n", "{output:?}");
        let input = "every line of it\n".repeat(40_000);
        let output = self.kubectl.run_with_input(&["exec", "-i", STAND_IN, "--", "cat"], &input).await?;
        ensure!(
            output.success() && output.stdout == input,
            "{} bytes, {}",
            output.stdout.len(),
            output.stderr
        );
        self.spoke_the_protocol(&output)
    }

    /// A terminal: somebody types, and makes the window larger.
    pub(super) async fn terminal(&self) -> Result<()> {
        let program = self.kubectl.program("exec-it", &["exec", "-it", STAND_IN, "--", "sh"]).await?;
        let mut terminal = Terminal::start(&program, 100, 40)?;
        for (columns, rows) in [(100, 40), (132, 51)] {
            terminal.resize(columns, rows)?;
            let size = format!("{rows} {columns}\r\n");
            until_every(NOW_AND_THEN, "the size in the pod", SOON, || {
                let typed = terminal.input("stty size\n");
                let screen = terminal.screen();
                let size = &size;
                async move {
                    typed?;
                    ensure!(screen.contains(size), "{screen}");
                    Ok(())
                }
            })
            .await?;
        }
        terminal.input("echo $((6 * 7)) fold; exit 5\n")?;
        terminal.shows("42 fold", SOON).await?;
        let status = terminal.wait_exit(SOON).await?;
        ensure!(status.code() == Some(5), "{status}: {}", terminal.screen());
        ensure!(!terminal.screen().contains("fallback"), "{}", terminal.screen());
        Ok(())
    }

    /// kwok's attach: what the container writes from now on.
    pub(super) async fn attach(&self) -> Result<()> {
        let attached = self.start("attach", &["attach", KWOK, "-c", "main"]).await?;
        let line = format!("attached by {}", self.name);
        until_every(NOW_AND_THEN, "a line by attach", SOON, || async {
            self.place.node.log(&line)?;
            ensure!(attached.logs().contains(&line), "{}", attached.logs());
            Ok(())
        })
        .await?;
        no_fallback(&attached)
    }

    /// Attach to a process that reads: its stdin ends, and so does it.
    pub(super) async fn attach_with_stdin(&self) -> Result<()> {
        let arguments = ["attach", "-i", STAND_IN, "-c", "main"];
        let output = self.kubectl.run_with_input(&arguments, "one\ntwo\n").await?;
        ensure!(output.stdout == "attached\nout one\nout two\nended\n", "{output:?}");
        let messages = output.messages();
        ensure!(messages.contains("err one\n") && messages.contains("err two\n"), "{output:?}");
        ensure!(output.success(), "{output:?}");
        self.spoke_the_protocol(&output)
    }

    /// Several connections over one port-forward, at once and one after the other.
    pub(super) async fn port_forward(&self) -> Result<()> {
        for pod in [KWOK, STAND_IN] {
            let target = format!("pod/{pod}");
            let log = format!("port-forward-{pod}");
            let forward = self.start(&log, &["port-forward", &target, ":80"]).await?;
            let port = until("the forwarded port", SOON, || async {
                let logs = forward.logs();
                let port = logs.split_once("Forwarding from 127.0.0.1:").and_then(|(_, rest)| {
                    rest.split_once(' ').and_then(|(port, _)| port.parse::<u16>().ok())
                });
                port.with_context(|| logs.clone())
            })
            .await?;
            let told = || format!("{pod}: {}", forward.logs());
            let exchanges = futures::future::try_join_all((0..3).map(|number| exchange(port, number)));
            let exchanged = tokio::time::timeout(SOON, exchanges).await.context("three connections");
            exchanged.and_then(|exchanged| exchanged.map(drop)).with_context(told)?;
            let exchanged =
                tokio::time::timeout(SOON, exchange(port, 3)).await.context("one more connection");
            exchanged.flatten().with_context(told)?;
            no_fallback(&forward)?;
        }
        Ok(())
    }

    /// A file of this many bytes there and back again.
    pub(super) async fn copy(&self, size: usize) -> Result<()> {
        let folder = tempfile::Builder::new().prefix("cp-").tempdir_in(leash()?.folder())?;
        let (file, back) = (folder.path().join("file"), folder.path().join("back"));
        std::fs::write(&file, noise(size))?;
        let there = format!("{NAMESPACE}/{STAND_IN}:{}", self.name);
        let kubectl = self.kubectl.clone().limit(Duration::from_secs(60) + SOON * (size >> 26) as u32);
        kubectl.ok(&["cp", "-c", "main", path(&file)?, &there]).await?;
        let arrived = self.place.kubelet.work_folder().join(&self.name);
        ensure!(same(&file, &arrived)?, "another file arrived than was sent");
        kubectl.ok(&["cp", "-c", "main", &there, path(&back)?]).await?;
        ensure!(same(&file, &back)?, "another file came back than was sent");
        Ok(std::fs::remove_file(arrived)?)
    }

    /// A log that is followed, with a line each second for so long.
    pub(super) async fn logs(&self, duration: Duration) -> Result<()> {
        let seconds = duration.as_secs();
        let logs = self.start(&format!("logs-{seconds}"), &["logs", "--follow", KWOK]).await?;
        let mut expected = Vec::new();
        let mut pace = tokio::time::interval(Duration::from_secs(1));
        for second in 0..=seconds {
            pace.tick().await;
            let line = format!("{} writes line {second} of {seconds}", self.name);
            self.place.node.log(&line)?;
            expected.push(line.clone());
            until_every(Duration::from_secs(1), &line, SOON, || async {
                if !logs.logs().contains(&line) {
                    // kwok may miss that its file grew until it grows again.
                    self.place.node.log("and goes on")?;
                    bail!("{}", logs.log_tail(3));
                }
                Ok(())
            })
            .await?;
        }
        let written = logs.logs();
        ensure!(logs.exit().is_none(), "it ended: {written}");
        ensure!(expected.iter().all(|line| written.lines().any(|found| found == line)), "{written}");
        Ok(())
    }

    /// A watch and a list.
    pub(super) async fn watch_and_list(&self) -> Result<()> {
        let map = format!("map-{}", self.name);
        let watch = self.start("watch", &["get", "configmaps", "--watch", "-o", "name"]).await?;
        self.kubectl.ok(&["create", "configmap", &map]).await?;
        until("the event", SOON, || async {
            ensure!(watch.logs().contains(&map), "{}", watch.logs());
            Ok(())
        })
        .await?;
        let list = self.kubectl.ok(&["get", "configmaps", "-o", "name"]).await?;
        ensure!(list.contains(&map), "{list}");
        Ok(())
    }

    async fn run(&self, arguments: &[&str]) -> Result<Output> {
        let output = self.kubectl.run(arguments).await?;
        self.spoke_the_protocol(&output)?;
        Ok(output)
    }

    async fn start(&self, kind: &str, arguments: &[&str]) -> Result<Process> {
        self.kubectl.start(&format!("{kind}-{}", self.name), arguments).await
    }

    fn spoke_the_protocol(&self, output: &Output) -> Result<()> {
        ensure!(!output.fell_back(), "WebSocket was refused: {}", output.stderr);
        Ok(())
    }
}

fn no_fallback(process: &Process) -> Result<()> {
    ensure!(!process.logs().contains("fallback"), "{}", process.logs());
    Ok(())
}

/// Sends half a megabyte over one connection and gets it back.
async fn exchange(port: u16, number: usize) -> Result<()> {
    let sent = noise((512 << 10) + number);
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut reader, mut writer) = connection.split();
    let mut received = vec![0; sent.len()];
    let (written, read) = tokio::join!(writer.write_all(&sent), reader.read_exact(&mut received));
    written?;
    read?;
    ensure!(received == sent, "other bytes came back");
    Ok(())
}

/// Bytes that no compression makes fewer, and no shift leaves equal.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

fn same(one: &Path, other: &Path) -> Result<bool> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("reading {}", path.display()));
    Ok(read(one)? == read(other)?)
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a folder with a name that is not text")
}
