use serde_json::{Value, json};

use crate::clusters::fixtures::{annotate, bare, label, set, version as versioned};
use crate::model::GroupName;

use super::super::Metrics;
use super::super::testing::{Hub, Logged, Replica, replica, run};
use super::*;

/// Names of a list, and what its metadata says.
async fn names(replica: &Replica, target: &str) -> (Vec<String>, Value) {
    let (code, list) = replica.get(target).await;
    assert_eq!(code, 200, "{list}");
    let name = |item: &Value| item["metadata"]["name"].as_str().unwrap().to_owned();
    (list["items"].as_array().unwrap().iter().map(name).collect(), list["metadata"].clone())
}

#[test]
fn lists_come_in_parts_that_fit_together_whatever_happens_in_between() {
    run(async {
        let (mut hub, mut replica) = replica(&["c", "a", "b"]);
        for (resource, whole) in
            [("clustergateways", &["a", "b", "c"][..]), ("virtualclusters", &["local", "a", "b", "c"])]
        {
            let version = hub.version().to_string();
            let (first, metadata) = names(&replica, &format!("/{resource}?limit=2")).await;
            assert_eq!(first, whole[..2]);
            assert_eq!(
                (&metadata["resourceVersion"], &metadata["remainingItemCount"]),
                (&json!(version), &json!(whole.len() - 2))
            );
            let token = metadata["continue"].as_str().unwrap().to_owned();
            hub.write("b", None);
            hub.write("b", Some(2));
            hub.write("d", Some(2));
            replica.follow(&hub, 9);
            let (rest, metadata) = names(&replica, &format!("/{resource}?limit=2&continue={token}")).await;
            assert_eq!(rest, whole[2..]);
            assert_eq!(metadata, json!({"resourceVersion": version}), "it is still the list of then");
            hub.write("d", None);
            replica.follow(&hub, 9);
            // The past is forgotten; what is left can be had as it is now.
            let later = Replica::start(&hub);
            let (code, status) = later.get(&format!("/{resource}?limit=2&continue={token}")).await;
            assert_eq!((code, &status["reason"]), (410, &json!("Expired")));
            let token = status["metadata"]["continue"].as_str().unwrap();
            let (rest, metadata) = names(&later, &format!("/{resource}?continue={token}")).await;
            assert_eq!(
                (&rest[..], &metadata["resourceVersion"]),
                (
                    &whole[2..].iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()[..],
                    &json!(hub.version().to_string())
                )
            );
        }
    });
}

#[test]
fn selectors_leave_parts_as_large_as_they_may_be_and_say_no_number() {
    run(async {
        let mut hub = Hub::default();
        for (name, variant) in [("a", 1), ("b", 0), ("c", 1), ("local", 1)] {
            hub.write(name, Some(variant));
        }
        let replica = Replica::start(&hub);
        let (first, metadata) = names(&replica, "/clustergateways?labelSelector=env=prod&limit=2").await;
        assert_eq!(first, ["a", "c"]);
        assert!(metadata["continue"].is_string() && metadata["remainingItemCount"].is_null(), "{metadata}");
        let (all, metadata) = names(&replica, "/clustergateways?limit=2&resourceVersion=0").await;
        assert_eq!((all.len(), &metadata["continue"]), (4, &Value::Null), "who says 0 gets everything");
        let (one, _) = names(&replica, "/clustergateways?fieldSelector=metadata.name=b").await;
        assert_eq!(one, ["b"]);
    });
}

#[test]
fn versions_that_are_none_and_tokens_that_are_none_are_refused() {
    run(async {
        let (_, replica) = replica(&["a"]);
        for (target, code, message) in [
            (
                "/clustergateways?resourceVersion=abc",
                400,
                "invalid resource version: resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \"abc\": invalid syntax",
            ),
            (
                "/clustergateways/a?resourceVersion=abc",
                400,
                "resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \"abc\": invalid syntax",
            ),
            (
                "/clustergateways?resourceVersion=1&resourceVersionMatch=Exact",
                410,
                "The resourceVersion for the provided list is too old.",
            ),
            (
                "/watch/clustergateways/a?fieldSelector=metadata.name=b",
                400,
                "fieldSelector metadata.name doesn't match requested name",
            ),
            ("/virtualclusters/none", 404, "virtualclusters.cluster.core.oam.dev \"none\" not found"),
        ] {
            let (got, status) = replica.get(target).await;
            assert_eq!((got, status["message"].as_str().unwrap()), (code, message), "{target}");
        }
        let (code, status) = replica.get("/clustergateways?continue=abc").await;
        let message = status["message"].as_str().unwrap();
        assert_eq!(code, 400);
        assert!(message.starts_with("invalid continue token: continue key is not valid: "), "{message}");
    });
}

#[test]
fn a_virtual_cluster_is_what_users_may_see() {
    run(async {
        let mut hub = Hub::default();
        let group = "cluster.core.oam.dev";
        let mut secret = set(bare("a", "Dynamic"), "endpoint", "https://10.0.0.1:6443\n");
        secret =
            label(label(secret, "env", "prod"), &format!("{group}/cluster-endpoint-type"), "ClusterProxy");
        secret = annotate(secret, &format!("{group}/cluster-alias"), "Alpha");
        secret.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
            "2026-01-02T03:04:05Z".parse().unwrap(),
        ));
        hub.log.push(Logged { version: 14, name: "a", secret: Some(versioned(secret, 14)) });
        let mut young = set(bare("b", "Odd"), "endpoint", "https://10.0.0.2");
        young.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
            "2026-01-03T03:04:05Z".parse().unwrap(),
        ));
        hub.log.push(Logged { version: 24, name: "b", secret: Some(versioned(young, 24)) });
        hub.log.push(Logged { version: 34, name: "c", secret: Some(versioned(bare("c", "Dynamic"), 34)) });
        let replica = Replica::start(&hub);
        let (_, one) = replica.get("/virtualclusters/a").await;
        assert_eq!(
            one,
            json!({
                "kind": "VirtualCluster",
                "apiVersion": "cluster.core.oam.dev/v1alpha1",
                "metadata": {
                    "name": "a", "uid": "uid-a", "resourceVersion": "14",
                    "creationTimestamp": "2026-01-02T03:04:05Z",
                    "labels": {"cluster.core.oam.dev/control-plane": "false", "env": "prod"},
                },
                "spec": {
                    "alias": "Alpha", "accepted": true, "endpoint": "ClusterProxy", "credential-type": "Dynamic",
                },
            })
        );
        let (_, local) = replica.get("/virtualclusters/local").await;
        assert_eq!(local["spec"], json!({"accepted": true, "endpoint": "-", "credential-type": "Internal"}));
        assert_eq!(local["metadata"]["labels"], json!({"cluster.core.oam.dev/control-plane": "true"}));
        let (all, _) = names(&replica, "/virtualclusters").await;
        assert_eq!(all, ["local", "b", "a"], "the hub, then the newest; without an endpoint it is none");
        assert_eq!(replica.get("/virtualclusters/c").await.0, 404);
        let (members, _) =
            names(&replica, "/virtualclusters?labelSelector=cluster.core.oam.dev/control-plane=false").await;
        assert_eq!(members, ["b", "a"]);
        // Labels of the group's are not shown, so that nobody selects by them either.
        let hidden = "/virtualclusters?labelSelector=cluster.core.oam.dev/cluster-credential-type";
        assert_eq!(names(&replica, hidden).await.0, Vec::<String>::new());
        assert_eq!(replica.get("/clustergateways/local").await.0, 404);

        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let without = Replica { api: Arc::new(Api::new(GroupName::default(), false, metrics)), ..replica };
        assert_eq!(names(&without, "/virtualclusters").await.0, ["b", "a"]);
        assert_eq!(without.get("/virtualclusters/local").await.0, 404);
    });
}
