use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use h2::RecvStream;
use h2::server::SendResponse;
use http::header::HeaderValue;
use http::{HeaderMap, Method, Request};
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::v1::server::HttpSession;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::admin::Operations;
use crate::api::{self, Api};
use crate::authn::{ClientChain, WorkerAuthenticator};
use crate::authz::WorkerAuthorizer;
use crate::clusters::{Cluster, HealthWriter, Tables};
use crate::exchange::{Identity, WorkerExchanger};
use crate::model::{Answer, Query, Reason, RequestInfo, Status, User};
use crate::telemetry::{Metrics, Target};
use crate::upstream::Worker;

use super::client::{self, Body, Reply};
use super::forward::{Plan, forward};
use super::outbound::Outbound;
use super::own::BODIES;
use super::record::Progress;
use super::route::{BadPath, Route, decode, is_long_running, is_resumable, route};
use super::settle::settle;
use super::stream;
use super::upgrade::{Becomes, Upgrading};
use super::{failure, headers, local, request};

/// For an HTTP/1 connection to be made ready for the next request, or closed.
const CLOSE: Duration = Duration::from_secs(10);

/// The resource that is authorized when somebody goes to a cluster.
const RESOURCE: &str = "clustergateways";

/// One worker's data path. Everything in it is that worker's own, or read without waiting.
pub struct Gateway {
    pub(super) parts: Parts,
    /// Places for bodies that are read whole.
    pub(super) bodies: Semaphore,
}

/// What a [`Gateway`] is made of.
pub struct Parts {
    /// Which worker it is.
    pub worker: Worker,
    /// Who calls.
    pub authenticator: WorkerAuthenticator,
    /// May they.
    pub authorizer: WorkerAuthorizer,
    /// Who they are on a cluster.
    pub exchanger: WorkerExchanger,
    /// The clusters.
    pub tables: Tables,
    /// Our own API.
    pub api: Arc<Api>,
    /// Writes clusters' health.
    pub health: HealthWriter,
    /// Where work is done that would hold up other requests of this worker.
    pub control: Handle,
    /// Health, metrics, version.
    pub operations: Operations,
    /// Where every request leaves its record.
    pub metrics: Metrics,
    /// What the operator chose.
    pub options: Options,
}

/// What the operator chose of the data path.
#[derive(Debug, Clone)]
pub struct Options {
    /// The API group.
    pub group: Arc<str>,
    /// For a cluster to begin its answer, unless the request is long running.
    pub request_timeout: Duration,
    /// `--authorize-proxy-subpath`: callers must also be allowed, by the hub, what they ask of the cluster.
    pub authorize_proxy_subpath: bool,
    /// Upgraded connections.
    pub streams: stream::Options,
}

/// The other side of a connection.
pub struct Caller {
    /// Where it comes from.
    pub peer: SocketAddr,
    /// The same as clusters are told.
    pub(super) address: HeaderValue,
    /// The certificates that it showed, which nobody has verified yet.
    pub chain: Option<ClientChain>,
    /// Cancelled when the gateway wants to end.
    pub drain: CancellationToken,
    /// Cancelled when it is about to: who is still there is told.
    pub last_call: CancellationToken,
}

impl Caller {
    /// Somebody who has connected. `chain`: the certificates shown. `drain` and `last_call`: as the fields say.
    pub fn new(
        peer: SocketAddr,
        chain: Option<ClientChain>,
        drain: CancellationToken,
        last_call: CancellationToken,
    ) -> Self {
        Self { peer, address: headers::address(peer.ip()), chain, drain, last_call }
    }
}

/// What becomes of a request.
enum Decision {
    /// Our own API; this is the decoded path.
    Own(String),
    Forward {
        cluster: Arc<Cluster>,
        plan: Plan,
    },
    Upgrade {
        cluster: Arc<Cluster>,
        plan: Plan,
    },
}

impl Gateway {
    /// Puts a worker's data path together.
    pub fn new(parts: Parts) -> Self {
        Self { parts, bodies: Semaphore::new(BODIES) }
    }

    /// Serves one stream of an HTTP/2 connection.
    ///
    /// Boxed, as a task is moved several times before it runs: what is moved is a pointer.
    pub fn serve_h2(
        self: Arc<Self>,
        request: Request<RecvStream>,
        respond: SendResponse<bytes::Bytes>,
        caller: Arc<Caller>,
    ) -> Pin<Box<impl Future<Output = ()>>> {
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let (body, reply) = client::h2(body, respond);
            // Nothing but HTTP/1.1 can be upgraded.
            let _ = self.serve(&mut parts, body, reply, &caller).await;
        })
    }

    /// Serves one request of an HTTP/1 connection. Gives the connection back, and what was read too far, when it can
    /// be used for another one.
    pub async fn serve_h1(
        self: Arc<Self>,
        session: HttpSession,
        caller: Arc<Caller>,
    ) -> Option<(Stream, Option<BytesMut>)> {
        let head = session.req_header();
        let mut request = Request::new(());
        *request.method_mut() = head.method.clone();
        *request.uri_mut() = head.uri.clone();
        *request.version_mut() = head.version;
        *request.headers_mut() = head.headers.clone();
        let (body, reply, shared) = client::h1(session);
        let mut parts = request.into_parts().0;
        let upgrading = self.serve(&mut parts, body, reply, &caller).await;
        let mut session = shared.reclaim()?;
        if let Some(upgrading) = upgrading {
            self.stream(*upgrading, &parts, session, &caller).await;
            return None;
        }
        let reuse = async {
            // An answer that came before the body was read is lost to a reset when the connection closes on unread
            // bytes; bounded by the session's drain timeout.
            session.drain_request_body().await.ok()?;
            session.reuse().await.ok()?
        };
        // Closing waits for a caller who may take nothing.
        timeout(CLOSE, reuse).await.ok()?.map(|stream| stream.into_parts())
    }

    /// Answers what could not be read as a request.
    pub async fn refuse_h1(&self, session: HttpSession) {
        let mut reply = client::h1_unread(session);
        let status = Status::new(Reason::BadRequest, "the request is not valid HTTP/1.1");
        let audit_id = local::audit_id(&HeaderMap::new());
        // Nobody may be there any more.
        let _ = local::write(Answer::from(&status), &Method::GET, &audit_id, &mut reply).await;
        reply.abort();
    }

    /// Answers a request, or gives what its connection is to become.
    async fn serve(
        &self,
        parts: &mut http::request::Parts,
        mut body: Body,
        mut reply: Reply,
        caller: &Caller,
    ) -> Option<Box<Upgrading>> {
        let audit_id = local::audit_id(&parts.headers);
        let mut progress = Progress::begin(caller.peer);
        let decision = self.decide(parts, &mut body, caller, &audit_id, &mut progress).await;
        let answer = match decision {
            Ok(Decision::Own(path)) => {
                // Boxed as the upgrades are: what is rare must not make the future large that each request moves.
                let own = self.own(parts, &path, body, &mut reply, caller, &audit_id, &mut progress);
                match Box::pin(own).await {
                    Ok(socket) => {
                        let session = Becomes::Watch(socket);
                        return Some(Box::new(Upgrading { session, progress, audit_id }));
                    }
                    Err(answer) => answer,
                }
            }
            Ok(Decision::Forward { cluster, plan }) => {
                let (outcome, traffic) = forward(&plan, body, &mut reply, &caller.drain).await;
                settle(&cluster, outcome, traffic, &mut reply, &mut progress)
            }
            Ok(Decision::Upgrade { cluster, plan }) => {
                match Box::pin(self.upgrade(cluster, plan, body, &mut reply, caller, &mut progress)).await {
                    Ok(session) => {
                        let session = Becomes::Stream(session);
                        return Some(Box::new(Upgrading { session, progress, audit_id }));
                    }
                    Err(answer) => answer,
                }
            }
            Err(status) => {
                let (path, query) = (parts.uri.path(), parts.uri.query());
                let request = api::Request { method: &parts.method, path, query, headers: &parts.headers };
                Some(Api::refuse(&status, &request))
            }
        };
        if let Some(answer) = answer {
            progress.code(answer.status());
            if let Err(gone) = Box::pin(local::write(answer, &parts.method, &audit_id, &mut reply)).await {
                progress.gone(&gone);
            }
        }
        progress.end(&self.parts.metrics, &parts.method, parts.uri.path(), &audit_id);
        None
    }

    async fn decide(
        &self,
        parts: &mut http::request::Parts,
        body: &mut Body,
        caller: &Caller,
        audit_id: &HeaderValue,
        progress: &mut Progress,
    ) -> Result<Decision, Status> {
        if parts.headers.len() > headers::MOST {
            let message = format!("the request has more than {} header fields: send fewer", headers::MOST);
            return Err(Status::new(Reason::BadRequest, message));
        }
        if headers::has_ambiguous_length(&parts.headers) {
            return Err(Status::new(
                Reason::BadRequest,
                "the request states its length in more than one way: send one Content-Length or one transfer coding",
            ));
        }
        let user = self.authenticate(&parts.headers, caller).await?;
        progress.user(&user);
        match parts.method {
            Method::CONNECT => {
                return Err(Status::new(
                    Reason::MethodNotAllowed,
                    "CONNECT is not served, extended CONNECT neither: open WebSockets by an HTTP/1.1 upgrade",
                ));
            }
            // An answer to it may repeat the request's header, in which the cluster's credential is.
            Method::TRACE => return Err(Status::new(Reason::MethodNotAllowed, "TRACE is not served")),
            _ => {}
        }
        let bad_path = |error: BadPath| Status::new(Reason::BadRequest, error.to_string());
        let path = decode(parts.uri.path()).map_err(bad_path)?;
        let info = RequestInfo::parse(&parts.method, &path, parts.uri.query());
        let Route::Proxy { cluster, rest, target } =
            route(&parts.uri, &self.parts.options.group).map_err(bad_path)?
        else {
            if Operations::is_path(&path) {
                progress.target(Target::Operations);
            }
            self.authorize(&user, &info).await?;
            return Ok(Decision::Own(path.into_owned()));
        };
        progress.target(Target::Proxy);
        self.authorize(&user, &info).await?;
        // From here on the request sees this generation of the cluster only.
        let Some(cluster) = self.parts.tables.get(&cluster) else {
            return Err(Status::object_not_found(&self.parts.options.group, RESOURCE, &cluster));
        };
        progress.cluster(&cluster);
        let query = parts.uri.query();
        let asked = RequestInfo::parse(&parts.method, &target, query);
        progress.asked(&asked);
        if self.parts.options.authorize_proxy_subpath {
            let allowed = self.parts.authorizer.authorize_subpath(&user, &parts.method, &target, query);
            allowed.await.map_err(|denied| denied.status())?;
        }
        let access = match &cluster.access {
            Ok(access) => Arc::clone(access),
            Err(unusable) => return Err(failure::not_usable(&cluster.name, unusable)),
        };
        let long_running = is_long_running(&asked, query);
        let resumable = is_resumable(&asked, query);
        let identity = self.identity(&user, &cluster, query)?;
        let grant = access.grant().await.map_err(|error| {
            progress.no_credential(&error);
            failure::no_credential(&cluster.name, &error)
        })?;
        let uri = request::target(access.endpoint(), rest, query)?;
        let expects_continue = headers::expects_continue(&parts.headers);
        let upgrade = request::upgrade(parts.version, &parts.headers);
        let is_upgrade = upgrade.is_some();
        let request = Outbound {
            method: parts.method.clone(),
            uri,
            headers: std::mem::take(&mut parts.headers),
            caller: caller.address.clone(),
            audit_id: audit_id.clone(),
            identity,
            upgrade,
        }
        .without_identity(self.parts.authenticator.is_identity_header());
        let plan = Plan {
            access,
            grant,
            worker: self.parts.worker,
            request,
            bodiless: body.is_empty(),
            expects_continue,
            long_running,
            resumable,
            beyond: asked.subresource == "proxy" || asked.verb == "proxy",
            deadline: self.parts.options.request_timeout,
        };
        Ok(match is_upgrade {
            true => Decision::Upgrade { cluster, plan },
            false => Decision::Forward { cluster, plan },
        })
    }

    async fn authenticate(&self, headers: &HeaderMap, caller: &Caller) -> Result<Arc<User>, Status> {
        let user = self
            .parts
            .authenticator
            .authenticate(caller.chain.as_ref(), headers)
            .await
            .map_err(|error| error.status())?;
        self.parts.authorizer.acting_as(user, headers).await.map_err(|denied| denied.status())
    }

    /// Who the caller is on the cluster.
    fn identity(&self, user: &Arc<User>, cluster: &Cluster, query: Option<&str>) -> Result<Identity, Status> {
        let exchanger = &self.parts.exchanger;
        let asked = Query::new(query).first("impersonate").is_some_and(|value| value == "true");
        let rules = match &cluster.rules {
            Ok(rules) => rules.as_deref(),
            Err(why) if exchanger.is_on(asked) => return Err(failure::not_usable(&cluster.name, why)),
            Err(_) => None,
        };
        exchanger.identity(user, cluster.name.as_str(), rules, asked).map_err(|error| error.status())
    }

    async fn authorize(&self, user: &Arc<User>, info: &RequestInfo<'_>) -> Result<(), Status> {
        self.parts.authorizer.authorize(user, info).await.map_err(|denied| denied.status())
    }
}
