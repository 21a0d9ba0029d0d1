use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::admin;
use crate::authn::HubConfigError;
use crate::config::{self, Config};
use crate::listener::{self, Acceptor, Endings, Workers};
use crate::tls::{self, ServingCertificate};

use super::Error;
use super::build::{Built, build};
use super::hub::Clients;
use super::text::give_back_start_up;

/// For streams that never end by themselves to be told that this is the end: the last part of the drain timeout.
const LAST_CALL: Duration = Duration::from_secs(1);

/// For processes of ours to be gone once they were killed.
const CHILDREN: Duration = Duration::from_secs(2);

/// From the first listener to the last request.
pub(super) async fn run(config: Config) -> Result<(), Error> {
    let certificate = ServingCertificate::load(&config.serving.certificate_source())
        .map_err(|error| config::Error::serving_certificate(&config.serving, error))?;
    let clients = Clients::new(&config.hub).await?;
    let acceptor = listen(&config)?;
    let plain = listen_plain(&config).await?;
    let mut signals = Signals::new()?;
    // Not before: what cannot be had is one line and nothing else.
    tracing::info!(version = env!("CARGO_PKG_VERSION"), workers = config.runtime.workers(), "starting");
    for warning in &config.warnings {
        tracing::warn!(flag = warning.flag(), meaning = warning.meaning(), "flag not used");
    }
    let built = build(&config, &clients, &certificate).await?;
    if config.clusters.expose_credentials {
        tracing::warn!(
            flag = "--expose-credentials",
            "credentials are shown: whoever may get, list or watch clustergateways, or use clustergateways/health, \
             reads the tokens and private keys of all clusters and can go there past this gateway's authorization"
        );
    }
    let Built { gateways, operations, readiness, connections, credentials, mut tasks } = built;

    let mut options = config.serving.tls()?;
    options.http2 = !config.serving.disable_http2_serving;
    let tls = Arc::new(tls::server_config(certificate, &options)?);
    let endings = Endings::default();
    let listening = listener::Options {
        max_streams: config.serving.max_streams(),
        max_connection_age: config.serving.max_connection_age(),
    };
    let (workers, threads) = Workers::start(gateways, &tls, &listening, &connections, &endings)?;
    if let Ok(address) = acceptor.address() {
        tracing::info!(%address, "serving");
    }
    let accept = acceptor.run(workers, endings.drain.clone());
    tasks.spawn(async move {
        accept.await;
        std::future::pending().await
    });
    if let Some(listener) = plain {
        if let Ok(address) = listener.local_addr() {
            tracing::info!(%address, "serving operations in the clear");
        }
        tasks.spawn(async move {
            admin::listen(listener, operations).await;
            std::future::pending().await
        });
    }

    let given_back = give_back_start_up(readiness.clone());
    tasks.spawn(async move {
        given_back.await;
        std::future::pending().await
    });

    let result = until_told(&mut signals, &mut tasks).await;
    readiness.shut_down();
    let delay = config.runtime.shutdown_delay_duration;
    tracing::info!(?delay, drain_timeout = ?config.runtime.drain_timeout, "shutting down: not ready any more");
    if result.is_ok() {
        // Whoever sends requests here learns first that it should not.
        tokio::select! {
            () = sleep(delay) => {}
            () = signals.next() => {}
        }
    }
    endings.drain.cancel();
    drained(threads, config.runtime.drain_timeout, &mut signals, &endings).await;
    credentials.stop(CHILDREN).await;
    result
}

/// On the first address that can be had: both families where there are both.
fn listen(config: &Config) -> Result<Acceptor, Error> {
    let mut failure = None;
    for address in config.serving.listen_addresses() {
        match Acceptor::bind(address) {
            Ok(acceptor) => return Ok(acceptor),
            Err(error) => failure = Some(config::Error::secure_port(address, error.into_cause())),
        }
    }
    Err(failure.unwrap_or_else(|| config::Error::Usage("--bind-address names no address".to_owned())).into())
}

async fn listen_plain(config: &Config) -> Result<Option<TcpListener>, Error> {
    let Some(address) = config.serving.operations_address else {
        return Ok(None);
    };
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) => Err(config::Error::operations_address(address, error).into()),
    }
}

/// Until somebody wants us to end, or a task says that we cannot go on.
async fn until_told(
    signals: &mut Signals,
    tasks: &mut JoinSet<Result<(), HubConfigError>>,
) -> Result<(), Error> {
    loop {
        tokio::select! {
            () = signals.next() => return Ok(()),
            ended = tasks.join_next() => match ended {
                Some(Ok(Err(error))) => return Err(error.into()),
                Some(Ok(Ok(()))) | None => {}
                // What it kept true (who may call, which clusters there are) is not kept true any more: going on
                // with it would be failing open.
                Some(Err(panic)) => return Err(Error::Task(panic)),
            },
        }
    }
}

/// Waits for the workers' last requests, but not for ever.
async fn drained(threads: Vec<JoinHandle<()>>, limit: Duration, signals: &mut Signals, endings: &Endings) {
    let mut ended = tokio::task::spawn_blocking(move || {
        threads.into_iter().map(JoinHandle::join).filter(Result::is_err).count()
    });
    let mut in_time = tokio::select! {
        ended = timeout(limit.saturating_sub(LAST_CALL), &mut ended) => ended.is_ok(),
        () = signals.next() => false,
    };
    if !in_time {
        endings.last_call.cancel();
        in_time = timeout(LAST_CALL, &mut ended).await.is_ok();
    }
    if in_time {
        tracing::info!("drained: every request has ended");
    } else {
        tracing::warn!("requests that had not ended were cut");
        endings.stop.cancel();
        // They only have to return.
        let _ = timeout(Duration::from_secs(1), ended).await;
    }
}

/// What a kubelet (TERM) or a terminal (INT) says.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, Error> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(Error::Signals)?,
            interrupt: signal(SignalKind::interrupt()).map_err(Error::Signals)?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
