use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, date_time_ymd};
use rustls::pki_types::CertificateDer;

use super::*;
use crate::authn::testing::Authority;
use crate::authn::{ChainError, HubConfig, Token};
use crate::reviews::{Again, Failed, Unanswered};

#[derive(Default)]
struct Script {
    asked: AtomicUsize,
}

#[async_trait]
impl TokenReviewer for Script {
    async fn review(&self, token: &Token) -> Result<Option<User>, Failed> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match token.secret() {
            "alice" => Ok(Some(User::new("alice", ["dev"]))),
            "nameless" => Ok(Some(User::default())),
            "down" => Err(Failed { reason: Unanswered::Unreachable("refused".into()), again: Again::No }),
            _ => Ok(None),
        }
    }
}

struct World {
    front: Authority,
    clients: Authority,
    script: Arc<Script>,
    configs: HubConfigs,
}

impl World {
    fn new(change: impl FnOnce(&mut BTreeMap<String, String>)) -> Self {
        let (front, clients) = (Authority::new("front-ca"), Authority::new("client-ca"));
        let mut data = BTreeMap::from([
            ("client-ca-file".to_owned(), clients.pem()),
            ("requestheader-client-ca-file".to_owned(), front.pem()),
            ("requestheader-allowed-names".to_owned(), r#"["front-proxy"]"#.to_owned()),
            ("requestheader-username-headers".to_owned(), r#"["X-Remote-User"]"#.to_owned()),
            ("requestheader-group-headers".to_owned(), r#"["X-Remote-Group"]"#.to_owned()),
        ]);
        change(&mut data);
        let configs = HubConfigs::fixed(HubConfig::from_data(1, &data).unwrap());
        Self { front, clients, script: Arc::default(), configs }
    }

    fn authenticator(&self, options: AuthenticatorOptions) -> Authenticator {
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let script: Arc<dyn TokenReviewer> = self.script.clone();
        Authenticator::new(self.configs.clone(), Some(script), options, &Handle::current(), metrics)
    }

    fn worker(&self) -> WorkerAuthenticator {
        self.authenticator(AuthenticatorOptions::default()).for_worker()
    }
}

fn chain(certificate: CertificateDer<'static>) -> ClientChain {
    ClientChain::new(vec![certificate]).unwrap()
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

fn refused(result: Result<Arc<User>, AuthnError>) -> Refusal {
    match result {
        Err(AuthnError::Unauthorized(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

const BOB: &[(&str, &str)] = &[("x-remote-user", "bob"), ("x-remote-group", "dev")];

#[tokio::test(start_paused = true)]
async fn the_front_proxy_says_who_calls() {
    let world = World::new(|_| {});
    let proxy = chain(world.front.client("front-proxy", |_| {}));
    let user = world.worker().authenticate(Some(&proxy), &headers(BOB)).await.unwrap();
    assert_eq!(
        (user.name.as_str(), &user.groups[..]),
        ("bob", &["dev".into(), AUTHENTICATED_GROUP.into()][..])
    );
}

#[tokio::test(start_paused = true)]
async fn only_the_front_proxy_may_say_who_calls() {
    let world = World::new(|_| {});
    let worker = world.worker();
    let other_name = chain(world.front.client("kubelet", |_| {}));
    assert_eq!(
        refused(worker.authenticate(Some(&other_name), &headers(BOB)).await),
        Refusal::Chain(ChainError::NotAllowed("kubelet".to_owned()))
    );
    let client = chain(world.clients.client("mallory", |_| {}));
    assert_eq!(worker.authenticate(Some(&client), &headers(BOB)).await.unwrap().name, "mallory");
    let stranger = chain(Authority::new("front-ca").client("front-proxy", |_| {}));
    assert!(matches!(
        refused(worker.authenticate(Some(&stranger), &headers(BOB)).await),
        Refusal::Chain(ChainError::Untrusted(_))
    ));
    assert_eq!(worker.authenticate(None, &headers(BOB)).await.unwrap().name, ANONYMOUS);
}

#[tokio::test(start_paused = true)]
async fn without_allowed_names_any_certificate_of_the_front_proxys_authority_will_do() {
    let world = World::new(|data| {
        data.insert("requestheader-allowed-names".into(), "[]".into());
    });
    let proxy = chain(world.front.client("anything", |_| {}));
    assert_eq!(world.worker().authenticate(Some(&proxy), &headers(BOB)).await.unwrap().name, "bob");
}

#[tokio::test(start_paused = true)]
async fn a_front_proxy_that_names_nobody_is_judged_by_its_own_certificate() {
    let world = World::new(|_| {});
    let proxy = chain(world.front.client("front-proxy", |_| {}));
    let group_only = headers(&[("x-remote-group", "system:masters")]);
    refused(world.worker().authenticate(Some(&proxy), &group_only).await);
}

#[tokio::test(start_paused = true)]
async fn a_client_certificate_gives_name_and_every_group() {
    let world = World::new(|_| {});
    let certificate = world.clients.client("alice", |params| {
        params.distinguished_name.push(DnType::OrganizationName, "dev,ops");
        params.distinguished_name.push(DnType::CustomDnType(vec![1, 3, 6, 1, 4, 1, 57683, 2]), "uid-1");
    });
    let user = world.worker().authenticate(Some(&chain(certificate)), &HeaderMap::new()).await.unwrap();
    assert_eq!((user.name.as_str(), user.uid.as_str()), ("alice", "uid-1"));
    assert_eq!(user.groups, ["dev,ops", AUTHENTICATED_GROUP]);
    let id = &user.extra["authentication.kubernetes.io/credential-id"][0];
    assert!(id.starts_with("X509SHA256=") && id.len() == 11 + 64, "{id}");
}

#[tokio::test(start_paused = true)]
async fn certificates_for_other_uses_or_without_a_name_are_refused() {
    let world = World::new(|_| {});
    let worker = world.worker();
    let server = chain(world.clients.client("alice", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    }));
    refused(worker.authenticate(Some(&server), &HeaderMap::new()).await);
    let nameless = chain(world.clients.client("", |_| {}));
    refused(worker.authenticate(Some(&nameless), &HeaderMap::new()).await);
    let garbage = chain(CertificateDer::from(vec![1, 2, 3]));
    assert!(matches!(
        refused(worker.authenticate(Some(&garbage), &HeaderMap::new()).await),
        Refusal::Chain(ChainError::Unreadable(_))
    ));
}

#[tokio::test(start_paused = true)]
async fn an_intermediate_authority_is_taken_from_the_chain() {
    let world = World::new(|_| {});
    // rcgen signs with an issuer made from a certificate's own parameters and key.
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "intermediate");
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = world.clients.sign(&params, &key);
    let issuer = rcgen::Issuer::new(params, key);
    let mut leaf = CertificateParams::default();
    leaf.distinguished_name.push(DnType::CommonName, "alice");
    let leaf = leaf.signed_by(&rcgen::KeyPair::generate().unwrap(), &issuer).unwrap().der().clone();
    let worker = world.worker();
    let whole = ClientChain::new(vec![leaf.clone(), certificate]).unwrap();
    assert_eq!(worker.authenticate(Some(&whole), &HeaderMap::new()).await.unwrap().name, "alice");
    refused(worker.authenticate(Some(&chain(leaf)), &HeaderMap::new()).await);
}

#[tokio::test(start_paused = true)]
async fn expiry_is_seen_on_a_live_connection() {
    let world = World::new(|_| {});
    let worker = world.worker();
    let chain = chain(world.clients.client("alice", |params| {
        params.not_before = date_time_ymd(2024, 1, 1);
        params.not_after = date_time_ymd(2024, 2, 1);
    }));
    let at = |year, month, day| u64::try_from(date_time_ymd(year, month, day).unix_timestamp()).unwrap();
    let none = HeaderMap::new();
    let end = at(2024, 2, 1);
    refused(worker.authenticate_at(at(2023, 12, 31), Some(&chain), &none).await);
    assert!(worker.authenticate_at(at(2024, 1, 1), Some(&chain), &none).await.is_ok());
    assert!(worker.authenticate_at(end, Some(&chain), &none).await.is_ok());
    refused(worker.authenticate_at(end + 1, Some(&chain), &none).await);
    assert!(worker.authenticate_at(end, Some(&chain), &none).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_has_expired_vouches_for_nobody() {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "old-ca");
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.not_after = date_time_ymd(2020, 1, 1);
    let old = Authority::of(params);
    let world = World::new(|data| {
        data.insert("client-ca-file".into(), old.pem());
        data.remove("requestheader-client-ca-file");
    });
    let chain = chain(old.client("alice", |_| {}));
    let refusal = refused(world.worker().authenticate(Some(&chain), &HeaderMap::new()).await);
    assert_eq!(refusal, Refusal::Chain(ChainError::AuthorityExpired));
}

#[tokio::test(start_paused = true)]
async fn a_removed_authority_ends_what_live_connections_may_do() {
    let world = World::new(|_| {});
    let chain = chain(world.clients.client("alice", |_| {}));
    let before = chain.verdict(&world.configs.load(), 1_800_000_000);
    assert!(before.client.is_ok());
    let again = chain.verdict(&world.configs.load(), 1_800_000_001);
    assert!(Arc::ptr_eq(&before, &again), "verified twice");
    let other = BTreeMap::from([("client-ca-file".to_owned(), world.front.pem())]);
    let after = chain.verdict(&HubConfig::from_data(2, &other).unwrap(), 1_800_000_000);
    assert!(after.client.is_err());
}

#[tokio::test(start_paused = true)]
async fn tokens_are_reviewed_once_for_all_workers_and_remembered_both_ways() {
    let world = World::new(|_| {});
    let authenticator = world.authenticator(AuthenticatorOptions::default());
    let (one, two) = (authenticator.for_worker(), authenticator.for_worker());
    let alice = headers(&[("authorization", "Bearer alice")]);
    let (a, b) = tokio::join!(one.authenticate(None, &alice), two.authenticate(None, &alice));
    assert_eq!(a.as_ref().unwrap().groups, ["dev", AUTHENTICATED_GROUP]);
    assert!(Arc::ptr_eq(&a.unwrap(), &b.unwrap()));
    let bad = headers(&[("authorization", "Bearer bad")]);
    for worker in [&one, &two, &one] {
        assert_eq!(refused(worker.authenticate(None, &bad).await), Refusal::Token);
    }
    assert_eq!(world.script.asked.load(Ordering::SeqCst), 2);
    tokio::time::advance(Duration::from_secs(10)).await;
    one.authenticate(None, &alice).await.unwrap();
    assert_eq!(world.script.asked.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_cannot_be_asked_is_500_and_not_remembered() {
    let world = World::new(|_| {});
    let worker = world.worker();
    let down = headers(&[("authorization", "Bearer down")]);
    let error = worker.authenticate(None, &down).await.unwrap_err();
    assert_eq!(error.status().code(), 500);
    assert!(worker.authenticate(None, &down).await.is_err());
    assert_eq!(world.script.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_good_token_makes_up_for_a_certificate_of_nobodys() {
    let world = World::new(|_| {});
    let worker = world.worker();
    let stranger = chain(Authority::new("x").client("x", |_| {}));
    let alice = headers(&[("authorization", "Bearer alice")]);
    assert_eq!(worker.authenticate(Some(&stranger), &alice).await.unwrap().name, "alice");
    refused(worker.authenticate(Some(&stranger), &HeaderMap::new()).await);
}

#[tokio::test(start_paused = true)]
async fn a_token_of_a_nameless_user_is_nobodys() {
    let world = World::new(|_| {});
    let nameless = headers(&[("authorization", "Bearer nameless")]);
    assert_eq!(refused(world.worker().authenticate(None, &nameless).await), Refusal::Token);
}

#[tokio::test(start_paused = true)]
async fn who_shows_nothing_is_anonymous_or_refused_as_configured() {
    let world = World::new(|_| {});
    let user = world.worker().authenticate(None, &HeaderMap::new()).await.unwrap();
    assert_eq!((user.name.as_str(), &user.groups[..]), (ANONYMOUS, &[UNAUTHENTICATED_GROUP.to_owned()][..]));
    let closed = AuthenticatorOptions { anonymous: false, ..AuthenticatorOptions::default() };
    let error = world.authenticator(closed).for_worker().authenticate(None, &HeaderMap::new()).await;
    assert_eq!(refused(error), Refusal::Anonymous);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_not_judged_before_the_configuration_is_loaded() {
    let mut world = World::new(|_| {});
    world.configs = HubConfigs::fixed(HubConfig::default());
    let chain = chain(world.front.client("front-proxy", |_| {}));
    let error = world.worker().authenticate(Some(&chain), &headers(BOB)).await.unwrap_err();
    assert_eq!((error.status().code().as_u16(), error.status().retry_after_seconds()), (503, Some(1)));
    assert_eq!(world.worker().authenticate(None, &headers(BOB)).await.unwrap().name, ANONYMOUS);
}

#[test]
fn no_token_is_shown_by_debug() {
    assert_eq!(format!("{:?}", Token::new("s3cret")), "Token(…)");
    let headers = headers(&[("authorization", "Bearer s3cret")]);
    let token = bearer::authorization(&headers).unwrap();
    assert!(!format!("{token:?}").contains("s3cret"));
    assert!(headers.contains_key(AUTHORIZATION));
}

#[test]
fn a_worker_may_serve_requests_of_any_thread() {
    fn sendable<T: Send>(_: &T) {}
    fn shareable<T: Send + Sync>() {}
    shareable::<WorkerAuthenticator>();
    shareable::<ClientChain>();
    let world = World::new(|_| {});
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _guard = runtime.enter();
    let worker = world.worker();
    sendable(&worker.authenticate(None, &HeaderMap::new()));
}
