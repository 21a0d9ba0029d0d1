//! kubectl of two versions with every kind of stream, straight to the member and through hub and gateway.

use e2e::lab::{Protocol, SHARED_NAMESPACE};

use super::kinds::Way;
use super::place::{Place, aimed, place, register};

const PROTOCOLS: [(&str, Protocol); 2] = [("spdy", Protocol::Spdy), ("websocket", Protocol::WebSocket)];

/// What the lab itself can do: a stream that fails here is not the gateway's fault.
#[tokio::test]
async fn every_stream_works_straight_to_the_member() {
    let place = place().await;
    for (name, protocol) in PROTOCOLS {
        let kubectl = place.direct().protocol(protocol);
        Way::new(place, &format!("straight-{name}"), kubectl).everything(3 << 20).await.unwrap();
    }
}

#[tokio::test]
async fn every_stream_works_through_the_hub_over_both_protocols() {
    let place = registered().await;
    for (name, protocol) in PROTOCOLS {
        let kubectl = aimed("streams").await.unwrap().protocol(protocol);
        Way::new(place, &format!("hub-{name}"), kubectl).everything(8 << 20).await.unwrap();
    }
}

#[tokio::test]
async fn a_kubectl_of_four_versions_ago_streams_through_the_hub_as_well() {
    let place = registered().await;
    for (name, protocol) in PROTOCOLS {
        let kubectl = aimed("streams").await.unwrap().old().protocol(protocol);
        Way::new(place, &format!("old-{name}"), kubectl).everything(1 << 20).await.unwrap();
    }
}

/// The place behind the shared gateway as cluster `streams`.
async fn registered() -> &'static Place {
    let place = place().await;
    register(&place.registered(SHARED_NAMESPACE, "streams").unwrap()).await.unwrap();
    place
}
