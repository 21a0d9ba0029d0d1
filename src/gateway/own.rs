//! Requests for our own API: read from memory, or, for a cluster's health, written to the hub.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use tokio::time::timeout;

use crate::api::{self, BODY_LIMIT, HealthChange, HealthWanted, HealthWrite, Pieces, Warnings};
use crate::clusters::{Cluster, HealthUpdate, NotWritten};
use crate::model::{Answer, Reason, Status, local_headers};

use super::client::{Body, Gone, Reply};
use super::record::{Progress, Traffic};
use super::service::{Caller, Gateway};
use super::socket::{self, Socket};
use super::{headers, local};

/// Bodies that one worker reads at once: what is read is held until it is written.
pub(super) const BODIES: usize = 32;
/// For a body to arrive.
const READ_WITHIN: Duration = Duration::from_secs(30);
/// For the table to follow what was written to the hub: milliseconds, unless the hub is in trouble.
const FOLLOW_WITHIN: Duration = Duration::from_secs(1);
/// Writes that are tried again on what changed in between (kube-apiserver's patch handler: five).
const ATTEMPTS: usize = 5;

/// Why there is no answer of the kind that was asked for.
enum Failure {
    Status(Status),
    Gone(Gone),
}

impl Gateway {
    /// Serves a request that is not for a cluster; the caller may do what it asks. Gives what its connection becomes,
    /// or what is to be answered, if that has not been done.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one request, each of which somebody else owns"
    )]
    pub(super) async fn own(
        &self,
        parts: &http::request::Parts,
        path: &str,
        mut body: Body,
        reply: &mut Reply,
        caller: &Caller,
        audit_id: &HeaderValue,
        progress: &mut Progress,
    ) -> Result<Socket, Option<Answer>> {
        let served = match self.outcome(parts, path, &mut body, reply).await {
            Ok(api::Outcome::Answer(answer)) => return Err(Some(answer)),
            Ok(api::Outcome::Pieces(pieces)) => {
                progress.code(StatusCode::OK);
                let mut traffic = Traffic::default();
                let sent = &mut traffic.sent;
                let streamed = self.pieces(pieces, &parts.headers, audit_id, reply, sent).await;
                progress.traffic(traffic);
                streamed
            }
            Ok(api::Outcome::Watch(watch)) if socket::is_wanted(parts.version, &parts.headers) => {
                return Socket::open(watch, &parts.headers).map_err(|answer| Some(*answer));
            }
            Ok(api::Outcome::Watch(watch)) => {
                progress.code(StatusCode::OK);
                let mut traffic = Traffic::default();
                let drain = &caller.drain;
                let streamed = local::stream(watch, body, audit_id, reply, drain, &mut traffic.sent).await;
                progress.traffic(traffic);
                streamed
            }
            Err(gone) => Err(gone),
        };
        if let Err(gone) = served {
            progress.gone(&gone);
            reply.abort();
        }
        Err(None)
    }

    async fn outcome(
        &self,
        parts: &http::request::Parts,
        path: &str,
        body: &mut Body,
        reply: &mut Reply,
    ) -> Result<api::Outcome, Gone> {
        let query = parts.uri.query();
        if let Some(answer) = self.parts.operations.answer(&parts.method, path, query).await {
            return Ok(api::Outcome::Answer(self.compressed(answer, &parts.headers).await));
        }
        let request = api::Request { method: &parts.method, path, query, headers: &parts.headers };
        let answer = match self.parts.api.health_write(&request) {
            None => match self.parts.api.answer(&request, &self.parts.tables).await {
                api::Outcome::Answer(answer) => answer,
                long @ (api::Outcome::Pieces(_) | api::Outcome::Watch(_)) => return Ok(long),
            },
            Some(begun) => {
                let mut warnings = Warnings::default();
                let written =
                    async { self.write(begun?, &parts.headers, body, reply, &mut warnings).await }.await;
                let mut answer = match written {
                    Ok(answer) => answer,
                    Err(Failure::Status(status)) => api::Api::refuse(&status, &request),
                    Err(Failure::Gone(gone)) => return Err(gone),
                };
                warnings.onto(answer.headers_mut());
                answer
            }
        };
        Ok(api::Outcome::Answer(self.compressed(answer, &parts.headers).await))
    }

    async fn write(
        &self,
        write: HealthWrite<'_>,
        headers: &HeaderMap,
        body: &mut Body,
        reply: &mut Reply,
        warnings: &mut Warnings,
    ) -> Result<Answer, Failure> {
        // Held until the answer is made.
        let Ok(_place) = self.bodies.try_acquire() else {
            let status = Status::new(
                Reason::TooManyRequests,
                "too many bodies are being read, please try again later",
            );
            return Err(status.with_retry_after(Duration::from_secs(1)).into());
        };
        let change = write.read(read(headers, body, reply).await?, warnings)?;
        for _ in 1..ATTEMPTS {
            if let Some(answer) = self.attempt(&write, &change, false, warnings).await? {
                return Ok(answer);
            }
        }
        let last = self.attempt(&write, &change, true, warnings).await?;
        last.ok_or_else(|| self.parts.api.conflict(write.name(), api::MODIFIED).into())
    }

    /// One attempt. None: the Secret had changed, and it is worth trying again. `last`: it is not.
    async fn attempt(
        &self,
        write: &HealthWrite<'_>,
        change: &HealthChange,
        last: bool,
        warnings: &mut Warnings,
    ) -> Result<Option<Answer>, Status> {
        let cluster = Arc::clone(self.parts.api.cluster(&self.parts.tables.load(), write.name())?);
        let HealthWanted { health, resource_version, dry_run, field_manager } =
            write.apply(change, &cluster, warnings)?;
        let insists = resource_version.is_some();
        let update = HealthUpdate {
            name: cluster.name.clone(),
            resource_version: resource_version.unwrap_or_else(|| cluster.metadata.resource_version.clone()),
            health,
            dry_run,
            field_manager,
        };
        let written = match self.parts.health.write(update).await {
            Ok(written) => written,
            Err(NotWritten::Conflict) if !insists && !last => {
                self.follow(&cluster).await;
                return Ok(None);
            }
            Err(error) => return Err(self.not_written(write.name(), &error)),
        };
        let shown = cluster.with_health(written);
        if !dry_run && shown.version != cluster.version {
            self.follow(&cluster).await;
        }
        if !self.parts.health.is_shown() {
            warnings.add(
                "the health is in the cluster's Secret and not shown: the feature gate HealthinessCheck is off",
            );
        }
        write.answer(&shown).map(Some)
    }

    /// Waits until the table has another version of a cluster, so that whoever wrote reads what was written.
    async fn follow(&self, cluster: &Cluster) {
        let mut published = self.parts.tables.subscribe();
        let changed = async {
            loop {
                let now = self.parts.tables.get(cluster.name.as_str());
                if now.map(|now| now.version) != Some(cluster.version) {
                    return;
                }
                // The sender lives in the table that we hold.
                if published.changed().await.is_err() {
                    return;
                }
            }
        };
        // In vain: whoever reads next finds what is there, as when another replica had written.
        let _ = timeout(FOLLOW_WITHIN, changed).await;
    }

    fn not_written(&self, name: &str, error: &NotWritten) -> Status {
        let message = format!("the health of cluster {name:?} was not written: {error}");
        match error {
            NotWritten::Conflict => self.parts.api.conflict(name, api::MODIFIED),
            NotWritten::Gone => self.parts.api.no_cluster(name),
            NotWritten::Forbidden | NotWritten::Refused(_) => Status::new(Reason::InternalError, message),
            NotWritten::Unreachable | NotWritten::Stopped => {
                Status::new(Reason::ServiceUnavailable, message).with_retry_after(Duration::from_secs(1))
            }
            NotWritten::TimedOut => Status::new(Reason::Timeout, message),
        }
    }

    /// Writes a long answer as it is taken.
    async fn pieces(
        &self,
        mut pieces: Box<Pieces>,
        headers: &HeaderMap,
        audit_id: &HeaderValue,
        reply: &mut Reply,
        sent: &mut u64,
    ) -> Result<(), Gone> {
        let compressed = pieces.compress(headers);
        let mut head = pieces.head();
        local_headers(&mut head.headers, Some(audit_id));
        reply.head(head, false).await?;
        loop {
            let piece = if compressed {
                // Not on this thread, which has others to serve.
                let made = self.parts.control.spawn_blocking(move || {
                    let piece = pieces.piece();
                    (pieces, piece)
                });
                let (back, piece) = made.await.map_err(|error| Gone::Unmade(error.to_string()))?;
                pieces = back;
                piece
            } else {
                tokio::task::yield_now().await;
                pieces.piece()
            };
            // What was begun can only be broken off.
            match piece.map_err(|status| Gone::Unmade(status.message().to_owned()))? {
                Some(piece) => {
                    *sent += piece.len() as u64;
                    reply.data(piece).await?;
                }
                None => return reply.finish().await,
            }
        }
    }

    /// The answer compressed, if it is large enough; not on this thread, which has others to serve.
    async fn compressed(&self, answer: Answer, headers: &HeaderMap) -> Answer {
        if !api::wants_gzip(headers, &answer) {
            return answer;
        }
        // A body is shared, not copied.
        let plain = answer.clone();
        let compressed = self.parts.control.spawn_blocking(move || api::gzip(answer));
        compressed.await.unwrap_or(plain)
    }
}

/// The whole body.
async fn read(headers: &HeaderMap, body: &mut Body, reply: &mut Reply) -> Result<Bytes, Failure> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if announced.and_then(|length| length.parse().ok()).is_some_and(|length: u64| length > BODY_LIMIT as u64)
    {
        return Err(too_large().into());
    }
    if headers::expects_continue(headers) {
        let mut go_on = Response::new(());
        *go_on.status_mut() = StatusCode::CONTINUE;
        reply.inform(go_on).await?;
    }
    let mut whole = BytesMut::new();
    let all = async {
        while let Some(part) = body.next().await? {
            if whole.len() + part.len() > BODY_LIMIT {
                return Err(too_large().into());
            }
            whole.extend_from_slice(&part);
        }
        Ok(())
    };
    match timeout(READ_WITHIN, all).await {
        Ok(read) => read.map(|()| whole.freeze()),
        Err(_) => {
            let message = format!("the request's body did not arrive within {} s", READ_WITHIN.as_secs());
            Err(Status::new(Reason::Timeout, message).into())
        }
    }
}

fn too_large() -> Status {
    Status::new(Reason::RequestEntityTooLarge, format!("Request entity too large: limit is {BODY_LIMIT}"))
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<Gone> for Failure {
    fn from(gone: Gone) -> Self {
        Self::Gone(gone)
    }
}
