//! kube-rs' watcher, by both of its strategies.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher::{self, Event};
use tokio::time::timeout;

use super::{behind_a_hub, nowhere};

#[tokio::test]
async fn kube_rs_follows_by_lists_and_by_streams() {
    let (hub, gateway) = behind_a_hub("api-watch-kube-rs").await.unwrap();
    let client = hub.admin_client().await.unwrap();
    for name in ["one", "two"] {
        nowhere(name).apply(&client).await.unwrap();
    }
    let kind = GroupVersionKind::gvk("cluster.core.oam.dev", "v1alpha1", "VirtualCluster");
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let mut events = watcher::watcher(api.clone(), config).boxed();
        let mut store = BTreeSet::new();
        follow(&mut events, &mut store, &["local", "one", "two"]).await.unwrap();
        nowhere("three").apply(&client).await.unwrap();
        follow(&mut events, &mut store, &["local", "one", "three", "two"]).await.unwrap();
        gateway.stop(Duration::from_secs(30)).await.unwrap();
        nowhere("three").delete(&client).await.unwrap();
        gateway.start_again().await.unwrap();
        follow(&mut events, &mut store, &["local", "one", "two"]).await.unwrap();
    }
}

/// Reads until the store is this one.
async fn follow(
    events: &mut (impl futures::Stream<Item = Result<Event<DynamicObject>, watcher::Error>> + Unpin),
    store: &mut BTreeSet<String>,
    names: &[&str],
) -> Result<()> {
    let wanted: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut staged = None;
    let read = async {
        while *store != wanted {
            match events.try_next().await {
                Ok(Some(Event::Init)) => staged = Some(BTreeSet::new()),
                Ok(Some(Event::InitApply(object))) => {
                    staged.get_or_insert_default().insert(object.name_any());
                }
                Ok(Some(Event::InitDone)) => *store = staged.take().unwrap_or_default(),
                Ok(Some(Event::Apply(object))) => {
                    store.insert(object.name_any());
                }
                Ok(Some(Event::Delete(object))) => {
                    store.remove(&object.name_any());
                }
                Ok(None) => break,
                // The gateway is being restarted, or its history begins later: the watcher goes on by itself.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    timeout(Duration::from_secs(60), read).await.with_context(|| format!("{store:?} is not {wanted:?}"))
}
