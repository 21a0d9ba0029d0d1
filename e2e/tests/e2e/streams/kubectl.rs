//! kubectl of two versions with every kind of stream, straight to the member and through hub and gateway.

use e2e::lab::Protocol;

use super::kinds::Way;
use super::place::place;

/// What the lab itself can do: a stream that fails here is not the gateway's fault.
#[tokio::test]
async fn every_stream_works_straight_to_the_member() {
    let place = place().await;
    for (name, protocol) in [("lab-spdy", Protocol::Spdy), ("lab-websocket", Protocol::WebSocket)] {
        let way = Way::new(place, name, place.direct().protocol(protocol));
        way.everything(3 << 20).await.unwrap();
    }
}
