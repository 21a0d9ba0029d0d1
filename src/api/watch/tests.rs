use futures::FutureExt;
use serde_json::{Value, json};

use crate::clusters::fixtures::{certificate_secret, expired_pair, set, version as versioned};

use super::super::Outcome;
use super::super::testing::{Hub, Logged, Replica, replica, run};
use super::*;

async fn next(watch: &mut Watch) -> Option<Value> {
    let line = watch.next().await?;
    Some(serde_json::from_slice(&line).unwrap())
}

/// What comes without waiting: type and name of each event.
fn ready(watch: &mut Watch) -> Vec<(String, String)> {
    let lines = std::iter::from_fn(|| watch.next().now_or_never().flatten());
    let events = lines.map(|line| serde_json::from_slice::<Value>(&line).unwrap());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    events.map(|event| (text(&event["type"]), text(&event["object"]["metadata"]["name"]))).collect()
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.map(|(kind, name)| (kind.to_owned(), name.to_owned())).into()
}

#[test]
fn what_there_is_comes_first_in_order_and_then_what_happens() {
    run(async {
        let (mut hub, mut replica) = replica(&["b", "a"]);
        let mut gateways = replica.watch("/clustergateways?watch=1").await;
        let mut virtuals = replica.watch("/watch/virtualclusters").await;
        let mut one = replica.watch("/watch/clustergateways/a").await;
        assert_eq!(ready(&mut gateways), pairs([("ADDED", "a"), ("ADDED", "b")]));
        assert_eq!(ready(&mut virtuals), pairs([("ADDED", "local"), ("ADDED", "a"), ("ADDED", "b")]));
        assert_eq!(ready(&mut one), pairs([("ADDED", "a")]));
        // Without an endpoint it is no VirtualCluster any more.
        hub.write("a", Some(0));
        hub.write("c", Some(3));
        replica.follow(&hub, 9);
        assert_eq!(ready(&mut gateways), pairs([("MODIFIED", "a"), ("ADDED", "c")]));
        assert_eq!(ready(&mut virtuals), pairs([("DELETED", "a"), ("ADDED", "c")]));
        assert_eq!(ready(&mut one), pairs([("MODIFIED", "a")]));
    });
}

#[test]
fn a_deletion_has_the_version_of_the_deletion_and_what_there_was() {
    run(async {
        let (mut hub, mut replica) = replica(&["a"]);
        let selected = "/clustergateways?labelSelector=env=prod&watch=1&resourceVersion=15";
        let mut watch = replica.watch(selected).await;
        hub.write("a", Some(2));
        replica.follow(&hub, 1);
        let event = next(&mut watch).await.unwrap();
        assert_eq!(
            (&event["type"], &event["object"]["metadata"]["resourceVersion"]),
            (&json!("DELETED"), &json!("24"))
        );
        assert_eq!(event["object"]["metadata"]["labels"]["env"], "prod");
        hub.write("a", None);
        replica.follow(&hub, 1);
        assert_eq!(ready(&mut watch), [], "it is gone for this watch already");
    });
}

#[test]
fn streaming_lists_end_with_a_bookmark_that_says_so() {
    run(async {
        let (hub, replica) = replica(&["a"]);
        let query =
            "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
        let mut watch = replica.watch(&format!("/clustergateways?{query}")).await;
        assert_eq!(next(&mut watch).await.unwrap()["type"], "ADDED");
        let end = next(&mut watch).await.unwrap();
        let version = hub.version().to_string();
        assert_eq!(
            end,
            json!({"type": "BOOKMARK", "object": {
                "kind": "ClusterGateway",
                "apiVersion": "cluster.core.oam.dev/v1alpha1",
                "metadata": {"resourceVersion": version, "annotations": {"k8s.io/initial-events-end": "true"}},
            }})
        );
        let without = "watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan";
        let mut watch = replica.watch(&format!("/clustergateways?{without}")).await;
        assert_eq!(ready(&mut watch), []);
    });
}

#[test]
fn what_is_to_come_is_waited_for_but_not_for_ever() {
    run(async {
        let (hub, replica) = replica(&["a"]);
        let query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=999";
        let began = Instant::now();
        let mut watch = replica.watch(&format!("/clustergateways?{query}")).await;
        assert_eq!(began.elapsed(), Duration::from_secs(3));
        let event = next(&mut watch).await.unwrap();
        assert_eq!(
            event,
            json!({"type": "ERROR", "object": {
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": format!("Timeout: Too large resource version: 999, current: {}", hub.version()),
                "reason": "Timeout",
                "details": {
                    "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
                    "retryAfterSeconds": 1,
                },
                "code": 504,
            }})
        );
        assert_eq!(next(&mut watch).await, None);
        let (code, status) = replica.get("/clustergateways?resourceVersion=999").await;
        assert_eq!((code, &status["message"]), (504, &event["object"]["message"]));
        // A watch from there begins, and tells what is later only.
        let mut watch = replica.watch("/clustergateways?watch=1&resourceVersion=999").await;
        assert_eq!(ready(&mut watch), []);
    });
}

#[test]
fn a_restarted_replica_goes_on_from_its_first_list_and_from_nothing_before() {
    run(async {
        let (mut hub, _) = replica(&["a"]);
        let seen = hub.version();
        let same = Replica::start(&hub);
        let mut watch = same.watch(&format!("/clustergateways?watch=1&resourceVersion={seen}")).await;
        assert_eq!(ready(&mut watch), [], "nothing was missed");
        hub.write("b", Some(1));
        hub.write("b", None);
        let later = Replica::start(&hub);
        let mut watch = later.watch(&format!("/clustergateways?watch=1&resourceVersion={seen}")).await;
        let event = next(&mut watch).await.unwrap();
        let message = format!("too old resource version: {seen} ({})", hub.version());
        assert_eq!((&event["object"]["code"], &event["object"]["message"]), (&json!(410), &json!(message)));
        assert_eq!(next(&mut watch).await, None);
    });
}

#[test]
fn bookmarks_come_every_minute_and_before_the_end() {
    run(async {
        let (mut hub, mut replica) = replica(&["a"]);
        let query = format!("watch=1&resourceVersion={}&timeoutSeconds=100", hub.version());
        let mut silent = replica.watch(&format!("/clustergateways?{query}")).await;
        let mut watch = replica.watch(&format!("/clustergateways?{query}&allowWatchBookmarks=1")).await;
        let began = Instant::now();
        // The hub goes on, though not with clusters.
        hub.others = 3;
        replica.follow(&hub, 0);
        for seconds in [60, 98] {
            let event = next(&mut watch).await.unwrap();
            assert_eq!(event["type"], "BOOKMARK");
            assert_eq!(event["object"]["metadata"], json!({"resourceVersion": hub.version().to_string()}));
            assert_eq!(began.elapsed(), Duration::from_secs(seconds));
        }
        assert_eq!(next(&mut watch).await, None);
        assert_eq!(began.elapsed(), Duration::from_secs(100));
        assert_eq!(next(&mut silent).await, None, "who does not want bookmarks gets none");
        let mut over = replica.watch("/clustergateways?watch=1&timeoutSeconds=-1").await;
        assert_eq!(next(&mut over).await, None, "who has less than no time is told nothing");
    });
}

#[test]
fn watches_last_half_an_hour_to_an_hour_unless_they_say_otherwise() {
    for _ in 0..100 {
        let lifetime = lifetime(None);
        assert!(lifetime >= SHORTEST && lifetime < SHORTEST * 2, "{lifetime:?}");
    }
    assert_eq!(lifetime(Some(Duration::from_secs(7))), Duration::from_secs(7));
}

#[test]
fn a_reader_who_is_too_slow_is_left_behind_and_holds_up_nobody() {
    run(async {
        let (mut hub, mut replica) = replica(&["a"]);
        let target = format!("/clustergateways?watch=1&resourceVersion={}", hub.version());
        let (mut slow, mut quick) = (replica.watch(&target).await, replica.watch(&target).await);
        let mut seen = 0;
        for round in 0..17_000_u32 {
            hub.write("a", Some(u8::try_from(round % 4).unwrap()));
            // Of so long a story only the end matters.
            hub.log = hub.log.split_off(hub.log.len() - 1);
            hub.log[0].version = 20 + u64::from(round) * 10;
            let secret = hub.log[0].secret.take().unwrap();
            hub.log[0].secret = Some(versioned(secret, hub.log[0].version));
            replica.followed = 0;
            replica.follow(&hub, 1);
            if round % 50 == 0 {
                seen += ready(&mut quick).len();
            }
        }
        seen += ready(&mut quick).len();
        assert_eq!(seen, 17_000);
        assert_eq!(next(&mut slow).await, None);
        assert!(quick.next().now_or_never().is_none(), "it has ended");
    });
}

#[test]
fn rows_say_their_columns_once() {
    run(async {
        let (mut hub, mut replica) = replica(&["a"]);
        let accept = ("accept", "application/json;as=Table;v=v1;g=meta.k8s.io");
        let mut watches = Vec::new();
        for target in ["/clustergateways?watch=1", "/virtualclusters?watch=1&includeObject=None"] {
            match replica.ask(target, &[accept]).await {
                Outcome::Watch(watch) => watches.push(watch),
                other => panic!("{other:?}"),
            }
        }
        hub.write("b", Some(3));
        replica.follow(&hub, 1);
        let first = next(&mut watches[0]).await.unwrap()["object"].clone();
        assert_eq!(
            (&first["kind"], &first["columnDefinitions"][0]["name"]),
            (&json!("Table"), &json!("Name"))
        );
        assert_eq!(first["metadata"]["resourceVersion"], "14");
        assert_eq!(first["rows"][0]["object"]["kind"], "PartialObjectMetadata");
        let second = next(&mut watches[0]).await.unwrap()["object"].clone();
        assert_eq!(
            (&second["columnDefinitions"], &second["rows"][0]["cells"][0]),
            (&Value::Null, &json!("b"))
        );
        let local = next(&mut watches[1]).await.unwrap()["object"].clone();
        let cells =
            json!(["local", "", "Internal", "-", true, "cluster.core.oam.dev/control-plane=true", null]);
        assert_eq!(local["rows"][0]["cells"], cells);
        assert_eq!(local["rows"][0]["object"], Value::Null);
        for accept in ["application/yaml", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"]
        {
            match replica.ask("/clustergateways?watch=1", &[("accept", accept)]).await {
                Outcome::Answer(answer) => assert_eq!(answer.status(), 406, "{accept}"),
                _ => panic!("{accept}"),
            }
        }
    });
}

#[test]
fn what_time_alone_has_changed_is_told_as_a_version_of_its_own() {
    run(async {
        let mut hub = Hub::default();
        let (certificate, key) = expired_pair();
        let secret = set(set(certificate_secret("a"), "tls.crt", &certificate), "tls.key", &key);
        hub.log.push(Logged { version: 14, name: "a", secret: Some(versioned(secret, 14)) });
        let mut replica = Replica::start(&hub);
        let target = "/clustergateways?watch=1&allowWatchBookmarks=1";
        let mut watch = replica.watch(&format!("{target}&resourceVersion={}", hub.version())).await;
        hub.others = 4;
        replica.follow(&hub, 0);
        let version = hub.version().to_string();
        // In the summer of 2001 it was valid.
        let then = std::time::UNIX_EPOCH + Duration::from_secs(993_945_600);
        replica.writer.as_of(then);
        let event = next(&mut watch).await.unwrap();
        assert_eq!(
            (&event["type"], &event["object"]["metadata"]["resourceVersion"]),
            (&json!("MODIFIED"), &json!(version))
        );
        let ready = |object: &Value| object["status"]["conditions"][2]["status"].clone();
        assert_eq!(ready(&event["object"]), "True");
        assert_eq!(replica.get("/clustergateways/a").await.1, event["object"]);
        // Who goes on from there may hear it again, who goes on from before surely does.
        for since in [14 + 1, hub.version()] {
            let mut watch = replica.watch(&format!("{target}&resourceVersion={since}")).await;
            assert_eq!(next(&mut watch).await.unwrap(), event);
        }
        replica.writer.as_of(then);
        assert!(watch.next().now_or_never().is_none(), "nothing has changed since");
        replica.writer.as_of(std::time::SystemTime::now());
        assert_eq!(ready(&next(&mut watch).await.unwrap()["object"]), "False");
    });
}
