use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;

use http::{HeaderMap, HeaderValue, header};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{advance, timeout};

use super::*;

#[derive(Default, Clone)]
struct Sum(Rc<Cell<(u64, u64)>>);

impl Count for Sum {
    fn to_cluster(&self, bytes: u64) {
        let (there, back) = self.0.get();
        self.0.set((there + bytes, back));
    }

    fn to_caller(&self, bytes: u64) {
        let (there, back) = self.0.get();
        self.0.set((there, back + bytes));
    }
}

const LIMITS: Limits = Limits { write: Duration::from_secs(600), idle: None };

/// A splice, and the two who talk over it.
fn splice(
    room: usize,
    protocol: &'static str,
    limits: Limits,
) -> (Splice<DuplexStream, DuplexStream, Sum>, DuplexStream, DuplexStream, Sum) {
    let (caller, ours) = duplex(room);
    let (theirs, cluster) = duplex(room);
    let mut headers = HeaderMap::new();
    headers.insert(header::UPGRADE, HeaderValue::from_static(protocol));
    let sum = Sum::default();
    let splice = Splice::new(ours, theirs, sum.clone(), Framing::of(&headers), limits);
    (splice, caller, cluster, sum)
}

/// Bytes that differ, so that a lost or doubled one shows.
fn numbered(size: usize) -> Vec<u8> {
    (0..size).map(|index| u8::try_from(index % 251).unwrap()).collect()
}

#[tokio::test]
async fn every_byte_arrives_once_and_each_way_ends_by_itself() {
    for room in [1, 7, 4096, 1 << 20] {
        let size = if room < 100 { 5_000 } else { 1 << 20 };
        let (mut splice, caller, cluster, sum) = splice(room, "tcp", LIMITS);
        splice.early(b"early", b"head");
        let (upload, answer) = (numbered(size), numbered(size + 1));
        let (mut caller_reads, mut caller_writes) = tokio::io::split(caller);
        let (mut cluster_reads, mut cluster_writes) = tokio::io::split(cluster);
        let sending = async {
            caller_writes.write_all(&upload).await.unwrap();
            caller_writes.shutdown().await.unwrap();
        };
        let answering = async {
            let mut got = Vec::new();
            // To the caller's end; only then does the cluster begin.
            cluster_reads.read_to_end(&mut got).await.unwrap();
            cluster_writes.write_all(&answer).await.unwrap();
            cluster_writes.shutdown().await.unwrap();
            got
        };
        let reading = async {
            let mut got = Vec::new();
            caller_reads.read_to_end(&mut got).await.unwrap();
            got
        };
        let (end, (), there, back) = tokio::join!(splice.run(), sending, answering, reading);
        assert!(matches!(end, End::Closed), "{end:?}");
        assert!(there == [&b"early"[..], &upload].concat(), "what went to the cluster, by {room}");
        assert!(back == [&b"head"[..], &answer].concat(), "what went to the caller, by {room}");
        assert_eq!(sum.0.get(), (there.len() as u64, answer.len() as u64));
    }
}

#[tokio::test]
async fn a_cluster_that_takes_nothing_more_is_still_heard() {
    let (mut splice, caller, cluster, _) = splice(64, "tcp", LIMITS);
    let (mut caller_reads, mut caller_writes) = tokio::io::split(caller);
    let (cluster_reads, mut cluster_writes) = tokio::io::split(cluster);
    let last_words = numbered(10_000);
    let talking = async {
        // What it does not read meets a closed door once both halves are gone; its words are under way by then.
        cluster_writes.write_all(&last_words).await.unwrap();
        drop((cluster_reads, cluster_writes));
    };
    // More than there is room for: some of it waits for a cluster that will not take it.
    let asking = async { caller_writes.write_all(&numbered(500)).await };
    let listening = async {
        let mut got = Vec::new();
        caller_reads.read_to_end(&mut got).await.unwrap();
        got
    };
    let running = async {
        let end = splice.run().await;
        drop(splice);
        end
    };
    let ((), asked, got, end) = tokio::join!(talking, asking, listening, running);
    assert!(asked.is_err(), "nobody took it");
    assert!(got == last_words, "{} bytes of {}", got.len(), last_words.len());
    assert!(matches!(end, End::Cluster(_)), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_stands_still_is_given_time_and_no_more() {
    let (mut splice, mut caller, mut cluster, _) = splice(16, "tcp", LIMITS);
    let mut run = pin!(splice.run());
    cluster.write_all(&[1; 16]).await.unwrap();
    assert!(futures::poll!(&mut run).is_pending());
    cluster.write_all(&[2; 16]).await.unwrap();
    assert!(futures::poll!(&mut run).is_pending());
    advance(LIMITS.write - Duration::from_secs(1)).await;
    assert!(futures::poll!(&mut run).is_pending());
    caller.read_exact(&mut [0; 16]).await.unwrap();
    assert!(futures::poll!(&mut run).is_pending());
    cluster.write_all(&[3; 16]).await.unwrap();
    assert!(futures::poll!(&mut run).is_pending());
    advance(LIMITS.write - Duration::from_secs(1)).await;
    assert!(futures::poll!(&mut run).is_pending(), "it has taken something meanwhile");
    let end = timeout(Duration::from_secs(2), run).await.unwrap();
    assert!(matches!(end, End::Stalled), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_stream_only_where_that_is_wanted() {
    let (mut forever, mut caller, mut cluster, _) = splice(16, "tcp", LIMITS);
    assert!(timeout(Duration::from_secs(100 * 24 * 3600), forever.run()).await.is_err());
    caller.write_all(b"hello").await.unwrap();
    let mut hello = [0; 5];
    tokio::select! {
        _ = cluster.read_exact(&mut hello) => {}
        end = forever.run() => panic!("{end:?}"),
    }
    let idle = Limits { idle: Some(Duration::from_secs(60)), ..LIMITS };
    let (mut limited, mut caller, _cluster, _) = splice(16, "tcp", idle);
    assert!(timeout(Duration::from_secs(50), limited.run()).await.is_err());
    caller.write_all(b"hello").await.unwrap();
    assert!(timeout(Duration::from_secs(50), limited.run()).await.is_err(), "somebody said something");
    let end = timeout(Duration::from_secs(20), limited.run()).await.unwrap();
    assert!(matches!(end, End::Idle), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_side_that_forgets_to_close_holds_nothing_for_ever() {
    let (mut splice, mut caller, mut cluster, _) = splice(16, "tcp", LIMITS);
    caller.shutdown().await.unwrap();
    assert!(timeout(HALF_CLOSED - Duration::from_secs(1), splice.run()).await.is_err());
    cluster.write_all(b"still here").await.unwrap();
    assert!(timeout(HALF_CLOSED - Duration::from_secs(1), splice.run()).await.is_err());
    let end = timeout(Duration::from_secs(2), splice.run()).await.unwrap();
    assert!(matches!(end, End::Idle), "{end:?}");
}

#[tokio::test]
async fn a_caller_is_told_the_end_between_two_frames() {
    let (mut splice, mut caller, mut cluster, sum) = splice(64, "websocket", LIMITS);
    let reading = async {
        let mut got = Vec::new();
        caller.read_to_end(&mut got).await.unwrap();
        got
    };
    let telling = async {
        cluster.write_all(&[0x82, 4, 1, 2]).await.unwrap();
        while splice.framing.is_between_frames() {
            assert!(futures::poll!(pin!(splice.run())).is_pending());
            tokio::task::yield_now().await;
        }
        // The rest of the frame, and the next one, which the goodbye replaces.
        cluster.write_all(&[3, 4, 0x82, 1, 9]).await.unwrap();
        splice.tell("over").await;
    };
    let ((), got) = tokio::join!(telling, reading);
    assert_eq!(got, [&[0x82, 4, 1, 2, 3, 4, 0x88, 6, 3, 0xe9][..], b"over"].concat());
    assert_eq!(sum.0.get(), (0, got.len() as u64), "the goodbye is counted, too");
}
