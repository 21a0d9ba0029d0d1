use super::*;
use crate::authn::hub_config::{CLIENT_CA, PROXY_CA};
use crate::authn::testing::Authority;
use watcher::Event;

fn state(flags: HubConfigFlags) -> State {
    State::new(flags, Files::default(), Metrics::register(&prometheus::Registry::new()).unwrap())
}

fn map(pairs: &[(&str, &str)]) -> ConfigMap {
    let data = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    ConfigMap { data: Some(data), ..ConfigMap::default() }
}

fn forbidden() -> watcher::Error {
    let status = serde_json::from_str(r#"{"code":403,"message":"no","reason":"Forbidden"}"#).unwrap();
    watcher::Error::InitialListFailed(kube::Error::Api(Box::new(status)))
}

#[test]
fn it_is_ready_after_the_first_list_even_of_nothing() {
    let mut state = state(HubConfigFlags::default());
    let configs = state.configs();
    state.take(Event::Init);
    assert!(!configs.is_ready());
    state.take(Event::InitDone);
    assert!(configs.is_ready());
    assert!(configs.load().client_ca().is_none());
    assert_eq!(configs.load().generation(), 1);
}

#[test]
fn the_last_good_configuration_survives_broken_and_deleted_maps() {
    let mut state = state(HubConfigFlags::default());
    let configs = state.configs();
    let good = map(&[(CLIENT_CA, &Authority::new("ca").pem())]);
    state.take(Event::Init);
    state.take(Event::InitApply(good.clone()));
    state.take(Event::InitDone);
    assert!(configs.load().client_ca().is_some());
    state.take(Event::Apply(map(&[(CLIENT_CA, "garbage")])));
    state.take(Event::Delete(good.clone()));
    state.take(Event::Init);
    state.take(Event::InitDone);
    assert_eq!(configs.load().generation(), 1);
    assert!(state.problem.is_some());
    state.take(Event::Apply(good));
    assert_eq!((configs.load().generation(), state.problem.is_some()), (1, false));
    assert_eq!(state.metrics.config_failures(), 1);
}

#[test]
fn a_changed_map_is_another_generation() {
    let mut state = state(HubConfigFlags::default());
    state.take(Event::Apply(map(&[(PROXY_CA, &Authority::new("a").pem())])));
    state.take(Event::Apply(map(&[])));
    let configs = state.configs();
    assert_eq!(configs.load().generation(), 2);
    assert!(configs.load().front_proxy().is_none());
}

#[test]
fn a_map_that_was_broken_from_the_start_does_not_make_us_ready() {
    let mut state = state(HubConfigFlags::default());
    state.take(Event::Apply(map(&[(PROXY_CA, "garbage")])));
    assert!(!state.configs().is_ready());
}

#[test]
fn being_forbidden_at_the_start_is_fatal_unless_tolerated_and_later_never() {
    let mut strict = state(HubConfigFlags::default());
    let error = strict.failed(&forbidden()).unwrap_err().to_string();
    assert!(error.contains("extension-apiserver-authentication-reader"), "{error}");
    let mut lenient = state(HubConfigFlags { tolerate_lookup_failure: true, ..HubConfigFlags::default() });
    lenient.failed(&forbidden()).unwrap();
    assert!(lenient.configs().is_ready());
    strict.take(Event::Apply(map(&[])));
    assert!(strict.failed(&forbidden()).is_ok());
}

#[tokio::test]
async fn a_flag_that_names_no_file_is_said_with_its_value() {
    let flags =
        HubConfigFlags { client_ca_file: Some("/nowhere/ca.crt".into()), ..HubConfigFlags::default() };
    let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
    let error = HubConfigSource::new(flags, None, metrics).await.err().unwrap().to_string();
    assert!(error.starts_with("--client-ca-file=/nowhere/ca.crt: "), "{error}");
}

#[tokio::test]
async fn a_new_ca_file_is_taken_without_a_restart() {
    let folder = std::env::temp_dir().join(format!("authn-files-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("ca.crt");
    std::fs::write(&path, Authority::new("one").pem()).unwrap();
    let flags =
        HubConfigFlags { client_ca_file: Some(path.clone()), skip_lookup: true, ..HubConfigFlags::default() };
    let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
    let source = HubConfigSource::new(flags, None, metrics).await.unwrap();
    let configs = source.configs();
    let task = tokio::spawn(source.run());
    assert!(configs.ready().await);
    let first = configs.load().generation();
    std::fs::write(&path, Authority::new("two").pem()).unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(30), async {
        while configs.load().generation() == first {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    task.abort();
    std::fs::remove_dir_all(&folder).unwrap();
}
