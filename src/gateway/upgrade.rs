use std::sync::Arc;

use http::HeaderValue;
use pingora_core::protocols::http::v1::server::HttpSession;

use crate::clusters::Cluster;
use crate::model::Answer;

use super::client::{Body, Gone, Reply};
use super::failure;
use super::forward::Plan;
use super::record::Progress;
use super::service::{Caller, Gateway};
use super::settle::settle;
use super::socket::Socket;
use super::stream::{Asked, Session, ask};

/// A request that was not answered: its connection becomes something else.
pub(super) struct Upgrading {
    pub(super) session: Becomes,
    pub(super) progress: Progress,
    pub(super) audit_id: HeaderValue,
}

/// What a connection becomes.
pub(super) enum Becomes {
    /// A stream into a cluster.
    Stream(Session),
    /// A watch of our own.
    Watch(Socket),
}

impl Gateway {
    /// Asks a cluster to switch protocols. Gives what is to be answered, if anything, when it does not.
    pub(super) async fn upgrade(
        &self,
        cluster: Arc<Cluster>,
        plan: Plan,
        body: Body,
        reply: &mut Reply,
        caller: &Caller,
        progress: &mut Progress,
    ) -> Result<Session, Option<Answer>> {
        let limit = self.parts.options.streams.per_cluster;
        let admit =
            || cluster.streams.open(limit).ok_or_else(|| failure::too_many_streams(&cluster.name, limit));
        match ask(plan, body, reply, &caller.drain, admit).await {
            Asked::Switched(switched) => {
                progress.traffic(switched.traffic);
                Ok(Session::new(switched, cluster))
            }
            Asked::Ended(outcome, traffic) => Err(settle(&cluster, outcome, traffic, reply, progress)),
            Asked::Refused(status) => Err(Some(Answer::from(&status))),
        }
    }

    /// Carries what a connection has become from the switch to its end.
    pub(super) async fn stream(
        &self,
        upgrading: Upgrading,
        request: &http::request::Parts,
        mut http: HttpSession,
        caller: &Caller,
    ) {
        let Upgrading { session, mut progress, audit_id } = upgrading;
        // Gives back what was read too far only for a connection that is used again, as this one is.
        http.set_server_keepalive(Some(0));
        match http.reuse().await {
            Ok(Some(stream)) => {
                let (stream, early) = stream.into_parts();
                let early = early.unwrap_or_default();
                let options = &self.parts.options.streams;
                let ended = match session {
                    Becomes::Stream(session) => session.run(stream, early, options, &caller.last_call).await,
                    Becomes::Watch(socket) => socket.run(stream, early, &caller.drain).await,
                };
                progress.streamed(&ended);
            }
            Ok(None) | Err(_) => progress.gone(&Gone::Left),
        }
        progress.end(&self.parts.metrics, &request.method, request.uri.path(), &audit_id);
    }
}
