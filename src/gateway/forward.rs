use std::future::pending;
use std::hash::{BuildHasher as _, RandomState};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::clusters::{Access, Grant};
use crate::upstream::{Head, Receiver, Sender, UpstreamError, Worker};

use super::client::{Body, Gone, Reply};
use super::headers;
use super::outbound::Outbound;
use super::record::Traffic;
use super::relay::{End, relay};
use super::replay::Replay;

/// Attempts at one request: over a connection that turns out to be dead, and over the one after it.
const ATTEMPTS: usize = 3;
/// Attempts at one request that no connection took: a server that says goodbye after each answer (kube-apiserver
/// after a 401, or by chance) may do so to several in a row. As many as Go's transport makes.
const UNTAKEN_ATTEMPTS: usize = 7;

/// For a cluster to take a part of a body: who reads nothing for so long holds up what others could send.
const TAKEN_WITHIN: Duration = Duration::from_secs(60);

/// A request that is ready to be sent, and how it is to be treated.
pub(super) struct Plan {
    pub(super) access: Arc<Access>,
    /// What it is sent with first.
    pub(super) grant: Arc<Grant>,
    pub(super) worker: Worker,
    pub(super) request: Outbound,
    /// There is no body.
    pub(super) bodiless: bool,
    /// The caller waits for a 100 before it sends its body.
    pub(super) expects_continue: bool,
    /// The answer may take as long as it likes.
    pub(super) long_running: bool,
    /// The answer may end early when we drain: its reader takes it up again by itself.
    pub(super) resumable: bool,
    /// What answers stands behind the cluster (`proxy` of a Pod, a Service, a Node): a 401 is not about us.
    pub(super) beyond: bool,
    /// For a response's header after the request is sent, unless it is long running.
    pub(super) deadline: Duration,
}

impl Plan {
    /// Whether an answer says that the cluster refuses our credential.
    pub(super) fn is_refused_by(&self, status: StatusCode) -> bool {
        status == StatusCode::UNAUTHORIZED && !self.beyond
    }
}

/// How a request ended that was sent, or was tried to be.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The cluster's answer went to the caller whole.
    Done(StatusCode),
    /// Nothing was answered yet: say this to the caller.
    Failed(UpstreamError),
    /// The cluster refused our credential: nothing was answered yet.
    CredentialRefused,
    /// The answer broke off when it had begun.
    CutShort(StatusCode, UpstreamError),
    /// The caller left.
    CallerGone(Option<StatusCode>, Gone),
}

/// Sends a request and passes the answer on. The caller's body and answer are used by whoever is at it.
pub(super) async fn forward(
    plan: &Plan,
    body: Body,
    reply: &mut Reply,
    drain: &CancellationToken,
) -> (Outcome, Traffic) {
    let mut body = Replay::new(body);
    let mut traffic = Traffic::default();
    let mut attempt = 1;
    let mut grant = Arc::clone(&plan.grant);
    let mut is_renewed = false;
    loop {
        let request = plan.request.request(&grant);
        let (outcome, answered) = match grant.upstream.exchange(plan.worker, request, plan.bodiless).await {
            Err(error) => (Outcome::Failed(error), false),
            Ok((sender, mut receiver)) => {
                exchange(plan, sender, &mut receiver, &mut body, reply, drain, &mut traffic).await
            }
        };
        match outcome {
            Outcome::Failed(error)
                if !answered
                    && attempt < attempts(&error)
                    && may_repeat(&error, &plan.request.method, &body, plan.expects_continue) =>
            {
                attempt += 1;
                tracing::debug!(%error, attempt, "repeating a request over another connection");
                if attempt > 2 {
                    sleep(aside(attempt)).await;
                }
            }
            // Whoever is refused was not listened to, so that any method may be repeated.
            outcome if !answered && !is_renewed && body.is_whole() && outcome.is_refusal() => {
                let renewed = tokio::select! {
                    renewed = plan.access.renewed(&grant) => renewed,
                    gone = reply.left() => return (Outcome::CallerGone(None, gone), traffic),
                };
                let Some(renewed) = renewed else {
                    traffic.received = body.size();
                    return (outcome, traffic);
                };
                tracing::debug!("repeating a request with a renewed credential");
                (grant, is_renewed) = (renewed, true);
            }
            outcome => {
                traffic.received = body.size();
                return (outcome, traffic);
            }
        }
    }
}

impl Outcome {
    /// Whether the cluster refused our credential, by its answer or in the handshake.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::CredentialRefused | Self::Failed(UpstreamError::CredentialRefused { .. }))
    }
}

/// By chance, and longer each time: those that one goodbye sent away together would meet the next one together.
fn aside(attempt: usize) -> Duration {
    let most = 4_u64 << attempt.min(8);
    Duration::from_millis(RandomState::new().hash_one(attempt) % most)
}

fn attempts(error: &UpstreamError) -> usize {
    match error {
        UpstreamError::Broken { unprocessed: true, .. } => UNTAKEN_ATTEMPTS,
        _ => ATTEMPTS,
    }
}

/// Only what the cluster surely did not begin, or what changes nothing (RFC 9110 section 9.2.1), and only with its
/// whole body. Go's transport does the same: a DELETE that is repeated may meet what was made in between.
fn may_repeat(error: &UpstreamError, method: &Method, body: &Replay, expects_continue: bool) -> bool {
    let UpstreamError::Broken { unprocessed, .. } = error else {
        return false;
    };
    let whole = body.is_whole() && (!expects_continue || body.is_untouched());
    whole && (*unprocessed || method.is_safe())
}

/// One attempt. Also says whether anything went to the caller.
async fn exchange(
    plan: &Plan,
    mut sender: Sender,
    receiver: &mut Receiver,
    body: &mut Replay,
    reply: &mut Reply,
    drain: &CancellationToken,
    traffic: &mut Traffic,
) -> (Outcome, bool) {
    let begun = Instant::now();
    if plan.expects_continue
        && body.is_untouched()
        && let Err(gone) = reply.inform(http_continue()).await
    {
        return (Outcome::CallerGone(None, gone), false);
    }
    let mut answered = false;
    // The body, once it is sent, and when that was.
    let mut sent: Option<(&mut Replay, Instant)> = None;
    // Boxed, so that what has no body takes no room for sending it: a watch stays for days.
    let mut sending = None;
    match plan.bodiless {
        true => sent = Some((body, Instant::now())),
        false => sending = Some(Box::pin(send(&mut sender, body))),
    }
    let (mut head, end) = loop {
        let deadline = sent.as_ref().filter(|_| !plan.long_running).map(|(_, when)| *when + plan.deadline);
        tokio::select! {
            biased;
            head = receiver.head() => match head {
                Ok(Head::Final(head, end)) => break (head, end),
                Ok(Head::Informational(response)) => {
                    // We ourselves told the caller to go on.
                    if response.status() == StatusCode::CONTINUE {
                        continue;
                    }
                    answered = true;
                    if let Err(gone) = reply.inform(response).await {
                        return (Outcome::CallerGone(None, gone), answered);
                    }
                }
                Err(error) => return (Outcome::Failed(error), answered),
            },
            end = over(&mut sending), if sent.is_none() => match end {
                Ok(body) => sent = Some((body, Instant::now())),
                Err(Stop::Gone(gone)) => return (Outcome::CallerGone(None, gone), answered),
                Err(Stop::NotTaken) => return (Outcome::Failed(not_taken()), answered),
            },
            gone = left(&mut sent) => return (Outcome::CallerGone(None, gone), answered),
            gone = reply.left() => return (Outcome::CallerGone(None, gone), answered),
            () = until(deadline) => {
                let error = UpstreamError::Deadline { seconds: plan.deadline.as_secs() };
                return (Outcome::Failed(error), answered);
            }
        }
    };
    if plan.is_refused_by(head.status) {
        return (Outcome::CredentialRefused, answered);
    }
    plan.access.answered();
    headers::clean_response(&mut head.headers);
    let status = head.status;
    traffic.header = Some(begun.elapsed());
    let relay = relay(head, end, receiver, reply, plan.resumable, drain, &mut traffic.sent);
    let result = {
        let mut relay = pin!(relay);
        loop {
            tokio::select! {
                biased;
                result = &mut relay => break result,
                end = over(&mut sending), if sent.is_none() => match end {
                    Ok(body) => sent = Some((body, Instant::now())),
                    Err(Stop::Gone(gone)) => break Err(End::Gone(gone)),
                    Err(Stop::NotTaken) => break Err(End::Upstream(not_taken())),
                },
                gone = left(&mut sent) => break Err(End::Gone(gone)),
            }
        }
    };
    let outcome = match result {
        Ok(()) => Outcome::Done(status),
        Err(End::Gone(gone)) => Outcome::CallerGone(Some(status), gone),
        Err(End::Upstream(error)) => Outcome::CutShort(status, error),
    };
    (outcome, true)
}

/// Why a body was not sent to its end.
enum Stop {
    Gone(Gone),
    /// The cluster took nothing of it for [`TAKEN_WITHIN`].
    NotTaken,
}

/// Sends the body and gives it back once it is sent or the cluster takes no more of it: what the cluster has to say
/// about that comes as its answer.
async fn send<'a>(sender: &mut Sender, body: &'a mut Replay) -> Result<&'a mut Replay, Stop> {
    let mut position = 0;
    loop {
        let part = match body.next(&mut position).await {
            Ok(part) => part,
            Err(gone) => {
                sender.cancel();
                return Err(Stop::Gone(gone));
            }
        };
        let (mut data, end) = part.map_or((Bytes::new(), true), |part| (part, false));
        match timeout(TAKEN_WITHIN, sender.send(&mut data, end)).await {
            Ok(Ok(())) if !end => {}
            Ok(_) => return Ok(body),
            Err(_) => {
                sender.cancel();
                return Err(Stop::NotTaken);
            }
        }
    }
}

fn not_taken() -> UpstreamError {
    UpstreamError::Deadline { seconds: TAKEN_WITHIN.as_secs() }
}

/// Resolves when what is under way is over, if anything is.
async fn over<F: Future + Unpin>(sending: &mut Option<F>) -> F::Output {
    match sending {
        Some(sending) => sending.await,
        None => pending().await,
    }
}

/// Resolves when the caller leaves, where reading is how one finds out.
async fn left(sent: &mut Option<(&mut Replay, Instant)>) -> Gone {
    match sent {
        Some((body, _)) => body.left().await,
        None => pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

fn http_continue() -> http::Response<()> {
    let mut response = http::Response::new(());
    *response.status_mut() = StatusCode::CONTINUE;
    response
}
