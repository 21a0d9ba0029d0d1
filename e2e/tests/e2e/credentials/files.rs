//! Tokens and certificates that are mounted beside the gateway and renewed there, as a kubelet does it.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::ensure;
use e2e::lab::{Registration, shared, until};
use futures::future::join_all;

use super::{Bench, SOON, account, end_account, mount};
use crate::identity::{GATEWAYS, who};

async fn start(namespace: &str, folder: &Path) -> Bench {
    Bench::start(namespace, &[format!("--credential-dir={}", folder.display())]).await
}

#[tokio::test]
async fn a_mounted_token_is_renewed_by_its_link_and_no_request_fails() {
    let member = shared().await.member(1);
    let folder = tempfile::tempdir().unwrap();
    let volume = folder.path().join("member-1");
    let (old, new) = (account(member, "t5-file-old").await, account(member, "t5-file-new").await);
    mount(&volume, "..2026_1", &[("token", &old)]);
    let bench = start("t5-token-file", folder.path()).await;
    let (url, ca) = (member.url(), member.ca_pem());
    bench.register(&Registration::token_file("t5-token-file", "member-1", &url, &ca, "member-1/token")).await;
    let connection = bench.caller.h2().await.unwrap();
    let path = format!("{GATEWAYS}/member-1/proxy/api/v1/namespaces/default/configmaps/whoami");
    let is_over = AtomicBool::new(false);
    let load = (0..20).map(|_| async {
        while !is_over.load(Ordering::Relaxed) {
            let answer = connection.get(&path).await.unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    });
    let rotate = async {
        let shows = |account: &'static str| {
            let caller = &bench.caller;
            until(account, SOON, move || async move {
                let user = who(caller, "member-1", "").await?;
                ensure!(user["username"].as_str().is_some_and(|name| name.ends_with(account)), "{user}");
                Ok(())
            })
        };
        shows("t5-file-old").await.unwrap();
        mount(&volume, "..2026_2", &[("token", &new)]);
        // At the latest when the old one is refused.
        end_account(member, "t5-file-old").await;
        shows("t5-file-new").await.unwrap();
        is_over.store(true, Ordering::Relaxed);
    };
    tokio::join!(join_all(load), rotate);
}

#[tokio::test]
async fn a_mounted_certificate_is_renewed_and_a_half_renewed_one_leaves_the_old_one_in_use() {
    let member = shared().await.member(1);
    let folder = tempfile::tempdir().unwrap();
    let volume = folder.path().join("v");
    let issue = |user: &str| member.issue(user, &["system:masters"]).unwrap();
    let (first, second) = (issue("t5-file-first"), issue("t5-file-second"));
    mount(&volume, "..1", &[("tls.crt", &first.cert), ("tls.key", &first.key)]);
    let bench = start("t5-certificate-files", folder.path()).await;
    let (url, ca) = (member.url(), member.ca_pem());
    let key = volume.join("tls.key").display().to_string();
    let files =
        Registration::certificate_files("t5-certificate-files", "member-1", &url, &ca, ("v/tls.crt", &key));
    bench.register(&files).await;
    let user = || async { who(&bench.caller, "member-1", "").await.map(|user| user["username"].clone()) };
    assert_eq!(user().await.unwrap(), "t5-file-first");
    mount(&volume, "..2", &[("tls.crt", &second.cert), ("tls.key", &first.key)]);
    until("the mismatch is said", SOON, || async {
        // Only files that are in use are looked at every second.
        assert_eq!(user().await?, "t5-file-first");
        let (status, message) = bench.credential_ready("member-1").await?;
        ensure!(message.contains("does not match the certificate"), "{status} {message}");
        assert_eq!(status, "True", "the last one is in use");
        Ok(())
    })
    .await
    .unwrap();
    mount(&volume, "..3", &[("tls.crt", &second.cert), ("tls.key", &second.key)]);
    until("the second one is shown", SOON, || async {
        let user = user().await?;
        ensure!(user == "t5-file-second", "{user}");
        Ok(())
    })
    .await
    .unwrap();
    bench.until_credential_ready("member-1", "True", "").await;
}

#[tokio::test]
async fn files_are_read_below_the_operators_folder_only() {
    let member = shared().await.member(1);
    let root = tempfile::tempdir().unwrap();
    let (inside, outside) = (root.path().join("inside"), root.path().join("outside"));
    fs::create_dir_all(&inside).unwrap();
    fs::write(&outside, "t5-outside").unwrap();
    std::os::unix::fs::symlink(&outside, inside.join("link")).unwrap();
    let bench = start("t5-outside", &inside).await;
    let bare = Bench::start("t5-no-folder", &[]).await;
    let (url, ca) = (member.url(), member.ca_pem());
    let file =
        |namespace: &str, name: &str, path: &str| Registration::token_file(namespace, name, &url, &ca, path);
    for (name, path, expected) in [
        ("t5-link", "link", "leads out of --credential-dir by a symbolic link"),
        ("t5-dots", "../outside", "data key token-file: it has .. in it"),
        ("t5-absolute", "/etc/hostname", "but not one below --credential-dir"),
        ("t5-missing", "nothing", "does not exist below --credential-dir"),
    ] {
        bench.register(&file("t5-outside", name, path)).await;
        let answer = bench.ask(name).await;
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(answer.text().contains(expected), "{}", answer.text());
    }
    bare.register(&file("t5-no-folder", "t5-none", "token")).await;
    let answer = bare.ask("t5-none").await;
    assert!(answer.text().contains("--credential-dir, which is not given"), "{}", answer.text());
    assert!(!bench.gateway.logs().contains("t5-outside\""));
}
