//! The commands that the quickstart runs and prints.

use std::time::Duration;

use anyhow::{Result, anyhow, ensure};

use super::Stage;
use super::terminal::Terminal;
use crate::lab::{Kubectl, until};

/// A change is on a watcher's screen at once; a busy machine gets more.
const SEEN: Duration = Duration::from_secs(20);

pub(super) async fn run(terminal: &mut Terminal, stage: &Stage) -> Result<()> {
    let kubectl = Kubectl::new(stage.kubeconfig.clone());
    let shown = async |arguments: &[&str]| -> Result<String> {
        terminal.command(&format!("kubectl {}", arguments.join(" ")));
        let output = kubectl.ok(arguments).await.map_err(|error| with_log(stage, &error))?;
        terminal.output(&output);
        Ok(output)
    };
    let clusters = shown(&["--context=hub", "get", "clustergateways"]).await?;
    ensure!(clusters.contains("east") && clusters.contains("west"), "a member is missing from the list");
    shown(&["--context=east", "get", "nodes"]).await?;
    shown(&["--context=east", "get", "pods", "--all-namespaces"]).await?;
    let logs = shown(&["--context=east", "--namespace=demo", "logs", "hello"]).await?;
    ensure!(logs.contains("hello from a pod in east"), "these are not the pod's logs");
    for member in super::MEMBERS {
        let context = format!("--context={member}");
        shown(&[&context, "create", "configmap", "greeting", &format!("--from-literal=to={member}")]).await?;
        let answer = shown(&[&context, "get", "configmap", "greeting", "--output=jsonpath={.data}"]).await?;
        ensure!(answer.contains(member), "{member} answered with something else");
    }
    watch(terminal, stage, &kubectl).await?;
    refused(terminal, stage).await
}

/// A watch on one member, and a change that arrives in it.
async fn watch(terminal: &Terminal, stage: &Stage, kubectl: &Kubectl) -> Result<()> {
    let arguments = ["--context=west", "get", "configmaps", "--watch", "--output=name"];
    terminal.command(&format!("kubectl {} &", arguments.join(" ")));
    let watch = kubectl.start("watch", &arguments).await?;
    seen(&watch, "configmap/greeting").await.map_err(|error| with_log(stage, &error))?;
    let create = ["--context=west", "create", "configmap", "news", "--from-literal=seen=at-once"];
    terminal.command(&format!("kubectl {}", create.join(" ")));
    terminal.output(&kubectl.ok(&create).await?);
    seen(&watch, "configmap/news").await.map_err(|error| with_log(stage, &error))?;
    terminal.output(&format!("the watch says:\n{}", watch.logs()));
    Ok(())
}

/// Somebody without rights on the hub.
async fn refused(terminal: &Terminal, stage: &Stage) -> Result<()> {
    let hub = stage.lab.hub();
    let stranger = hub.kubectl("stranger", &[])?.server(&hub.proxy_url("east"));
    terminal.command("kubectl --context=east get nodes      # as a stranger to the hub");
    let output = stranger.run(&["get", "nodes"]).await?;
    terminal.output(&output.stderr);
    ensure!(
        !output.success() && output.stderr.contains("orbidden"),
        "a stranger was not refused: {}",
        output.stdout
    );
    Ok(())
}

/// What to try next.
pub(super) fn farewell(terminal: &mut Terminal, stage: &Stage, took: Duration, once: bool) -> Result<()> {
    let memory = stage.gateway.rss_kb()? / 1024;
    terminal.line(&format!("\nAll of it worked, in {} s. The gateway uses {memory} MB.", took.as_secs()));
    if once {
        return Ok(());
    }
    let kubectl = stage.kubectl.display();
    let gateway_log = stage.gateway.process().log_path().display();
    let folder = stage.lab.folder().display();
    terminal.line(&format!(
        "It stays up until Ctrl-C. In another terminal:\n\n\
         \x20 export KUBECONFIG={}\n\
         \x20 alias kubectl={kubectl}\n\n\
         \x20 kubectl --context east get all --all-namespaces\n\
         \x20 kubectl --context west create namespace mine\n\
         \x20 kubectl --context east --namespace demo logs -f hello\n\
         \x20 kubectl --context hub get clustergateway east -o yaml\n\n\
         The same with the hub's own administrator, as one who adds and removes clusters:\n\n\
         \x20 kubectl --kubeconfig {} --namespace vela-system get secrets -L cluster.core.oam.dev/cluster-credential-type\n\n\
         Logs: the gateway's is {gateway_log}, the rest is below {folder}.",
        stage.kubeconfig.display(),
        stage.lab.hub().admin_kubeconfig().display(),
    ));
    Ok(())
}

async fn seen(watch: &crate::lab::Process, what: &str) -> Result<()> {
    until(&format!("{what} in the watch"), SEEN, || async {
        ensure!(watch.logs().contains(what), "it says:\n{}", watch.logs());
        Ok(())
    })
    .await
}

fn with_log(stage: &Stage, error: &anyhow::Error) -> anyhow::Error {
    anyhow!("{error:#}\nthe gateway's log ends with:\n{}", stage.gateway.process().log_tail(20))
}
