use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use cluster_gateway::clusters::{Access, Cluster, Grant};
use cluster_gateway::gateway::stages::{self, Rewriting};
use cluster_gateway::model::{GroupName, RequestInfo, User};
use cluster_gateway::telemetry::{Record, Resource, Target, Verb};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use tokio::runtime::{Builder, Runtime};

use super::cluster::answer;
use super::{NAME, REST, Stand, request};

/// The steps of the data path one by one, each with all that it remembers in its memory already.
pub struct Stages {
    /// What the stand was made in, for as long as it stands.
    _runtime: Runtime,
    stand: Stand,
    parts: Parts,
    path: String,
    user: Arc<User>,
    cluster: Arc<Cluster>,
    access: Arc<Access>,
    grant: Arc<Grant>,
    rewriting: Rewriting,
    answer: HeaderMap,
}

type Step = fn(&mut Stages);

impl Stages {
    /// In the order in which a request meets them.
    pub const ALL: [(&'static str, Step); 7] = [
        ("authenticate", Self::authenticate),
        ("classify", Self::classify),
        ("authorize", Self::authorize),
        ("look up", Self::look_up),
        ("exchange identity", Self::exchange_identity),
        ("rewrite", Self::rewrite),
        ("record", Self::record),
    ];

    /// With everything remembered that a request finds so.
    #[expect(clippy::new_without_default, reason = "it starts a runtime")]
    pub fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (parts, ()) = request().into_parts();
        let path = parts.uri.path().to_owned();
        let (stand, user, cluster, access, grant) = runtime.block_on(async {
            let stand = Stand::new("/nowhere".as_ref(), 1000);
            let chain = stand.caller.chain.as_ref();
            let user = stand.authenticator.authenticate(chain, &parts.headers).await.expect("a user");
            let cluster = stand.tables.get(NAME).expect("a cluster");
            let access = Arc::clone(cluster.access.as_ref().expect("access"));
            let grant = access.grant().await.expect("a credential");
            let info = RequestInfo::parse(&parts.method, &path, None);
            stand.authorizer.authorize(&user, &info).await.expect("allowed");
            (stand, user, cluster, access, grant)
        });
        let identity = stand.exchanger.identity(&user, NAME, None, false).expect("an identity");
        let peer = HeaderValue::from_static("10.0.0.1");
        let rewriting = Rewriting::new(parts.clone(), &access, REST, peer, identity).expect("a request");
        Self {
            _runtime: runtime,
            stand,
            parts,
            path,
            user,
            cluster,
            access,
            grant,
            rewriting,
            answer: answer().headers().clone(),
        }
    }

    fn authenticate(&mut self) {
        let chain = self.stand.caller.chain.as_ref();
        let user = self.stand.authenticator.authenticate(chain, &self.parts.headers);
        let user = now(user).expect("a user");
        black_box(now(self.stand.authorizer.acting_as(user, &self.parts.headers)).expect("allowed"));
    }

    fn classify(&mut self) {
        black_box(stages::classify(&self.parts, GroupName::DEFAULT).expect("a cluster"));
    }

    fn authorize(&mut self) {
        let info = RequestInfo::parse(&self.parts.method, &self.path, None);
        now(self.stand.authorizer.authorize(&self.user, &info)).expect("allowed");
    }

    fn look_up(&mut self) {
        let cluster = self.stand.tables.get(NAME).expect("a cluster");
        let access = Arc::clone(cluster.access.as_ref().expect("access"));
        black_box(now(access.grant()).expect("a credential"));
        black_box(cluster);
    }

    fn exchange_identity(&mut self) {
        black_box(self.stand.exchanger.identity(&self.user, NAME, None, false).expect("an identity"));
    }

    fn rewrite(&mut self) {
        black_box(self.rewriting.request(&self.access, &self.grant, REST));
        stages::answer(&mut self.answer);
    }

    fn record(&mut self) {
        let series = &self.cluster.series;
        let _in_flight = series.begin();
        self.stand.metrics.record(&Record {
            target: Target::Proxy,
            cluster: Some(series),
            resource: Resource::of("configmaps"),
            verb: Verb::of("get"),
            code: 200,
            method: &self.parts.method,
            path: &self.path,
            user: &self.user.name,
            remote: Some(self.stand.caller.peer),
            audit_id: "5c0f7c1a-0a41-4f0a-8d53-7f1f7a3e9b11",
            received: 0,
            sent: 1024,
            streamed: false,
            duration: Duration::from_micros(300),
            upstream: Some(Duration::from_micros(200)),
            error: None,
        });
    }
}

/// What is answered without waiting.
fn now<T>(future: impl Future<Output = T>) -> T {
    use futures::FutureExt as _;
    future.now_or_never().expect("everything is remembered")
}
