//! Watches that have nothing to say for minutes: nobody on the way takes silence for the end.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::client::empty;
use e2e::echo::{Echo, EchoOptions};
use e2e::lab::Authority;
use futures::future::try_join_all;
use http::Request;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::through::{echo_cluster, first_event, master, own_gateway, path, register, until_code};

/// Longer than any timer on the way: pings (30 s and 15 s), idle connections (60 s), headers (75 s), writes (60 s).
const SILENCE: &str = "/api/v1/namespaces/default/pods?watch=130000";
const BROKEN: Duration = Duration::from_secs(160);

#[tokio::test]
#[ignore = "long: watches that say nothing for two minutes"]
async fn a_watch_that_says_nothing_for_two_minutes_goes_on() {
    let people = Authority::new("people").unwrap();
    let over_h2 = Echo::start(EchoOptions::default().client_ca(people.pem())).unwrap();
    let over_h1 = Echo::start(EchoOptions::h1().client_ca(people.pem())).unwrap();
    let identity = people.client("gateway", &[]).unwrap();
    let gateway = own_gateway("silence", &[]).await;
    let clusters = [
        echo_cluster("silence", "silent-h2", &over_h2, &identity),
        echo_cluster("silence", "silent-h1", &over_h1, &identity),
    ];
    register(clusters.iter()).await;
    let h2 = master(&gateway).h2().await.unwrap();
    for cluster in ["silent-h2", "silent-h1"] {
        until_code(&h2, &path(cluster, "/x"), 200).await;
    }
    let watches = ["silent-h2", "silent-h1"].into_iter().flat_map(|cluster| {
        let (h2, gateway) = (h2.clone(), &gateway);
        [true, false].map(|multiplexed| {
            let h2 = h2.clone();
            async move {
                let request = Request::get(path(cluster, SILENCE)).body(empty())?;
                // Held until the end: the response lives on its connection.
                let mut h1 = master(gateway).h1().await?;
                let response = match multiplexed {
                    true => h2.send(request).await?,
                    false => h1.send(request).await?,
                };
                let mut body = response.into_body();
                ensure!(first_event(&mut body).await?.contains("ADDED"));
                second_event(&mut body)
                    .await
                    .with_context(|| format!("{cluster}, over HTTP/2: {multiplexed}"))
            }
        })
    });
    try_join_all(watches).await.unwrap();
}

async fn second_event(body: &mut Incoming) -> Result<()> {
    let frame = tokio::time::timeout(BROKEN, body.frame()).await.context("no event in time")?;
    let data = frame.context("the watch ended")??.into_data().ok().context("no data")?;
    ensure!(data.ends_with(b"\n"), "not an event");
    Ok(())
}
