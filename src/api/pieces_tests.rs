use std::io::Read as _;

use flate2::read::GzDecoder;
use http::Method;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH};

use super::super::Request;
use super::super::testing::{Hub, Replica, run};
use super::*;
use crate::clusters::fixtures::{bare, label, version};

const COUNT: usize = 1_000;
const LIST: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";

/// A replica of a hub with so many clusters.
fn crowd() -> Replica {
    let mut replica = Replica::start(&Hub::default());
    let secrets = (0..COUNT).map(|number| {
        // What JSON for browsers escapes.
        let secret = label(bare(&format!("c{number}"), "X509Certificate"), "markup", "<&>");
        version(secret, number as u64 + 1)
    });
    replica.writer.begin();
    replica.writer.stage(&secrets.collect::<Vec<_>>());
    replica.writer.finish("2000");
    replica
}

async fn ask(replica: &Replica, method: Method, query: &str, headers: &HeaderMap) -> Outcome {
    let query = Some(query).filter(|query| !query.is_empty());
    let request = Request { method: &method, path: LIST, query, headers };
    replica.api.answer(&request, &replica.tables).await
}

fn accept(accept: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))])
}

fn all(pieces: &mut Pieces) -> (usize, Vec<u8>) {
    let (mut count, mut text) = (0, Vec::new());
    while let Some(piece) = pieces.piece().unwrap() {
        assert!(!piece.is_empty());
        count += 1;
        text.extend_from_slice(&piece);
    }
    assert!(pieces.piece().unwrap().is_none(), "it goes on after its end");
    (count, text)
}

#[test]
fn a_long_list_in_pieces_is_the_list_in_every_form() {
    run(async {
        let replica = crowd();
        for form in [
            "application/json",
            "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
            "application/json;as=Table;v=v1;g=meta.k8s.io",
        ] {
            let headers = accept(form);
            let Outcome::Pieces(mut pieces) = ask(&replica, Method::GET, "", &headers).await else {
                panic!("{form} is short")
            };
            assert_eq!(pieces.head().headers[CONTENT_TYPE], "application/json");
            let (count, text) = all(&mut pieces);
            assert!(count > 2, "{count} pieces of {} bytes", text.len());
            assert!(!text.contains(&b'<') && text.ends_with(b"]}\n"));
            // What is indented is written as a whole.
            let Outcome::Answer(whole) = ask(&replica, Method::GET, "pretty=1", &headers).await else {
                panic!("{form} is in pieces although it is indented")
            };
            let value = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
            assert_eq!(value(&text), value(whole.body()), "{form}");
            let compact = serde_json::to_vec(&value(&text)).unwrap().len() + 1;
            assert_eq!(text.len(), compact + 15 * COUNT, "three characters of five more each, and no spaces");
        }
    });
}

#[test]
fn a_short_list_is_one_answer_that_says_its_length() {
    run(async {
        let replica = crowd();
        for query in ["limit=2", "fieldSelector=metadata.name%3Dnobody"] {
            let Outcome::Answer(answer) = ask(&replica, Method::GET, query, &HeaderMap::new()).await else {
                panic!("{query} is long")
            };
            assert_eq!(answer.headers()[CONTENT_LENGTH], answer.body().len().to_string());
            let list: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
            assert_eq!(list["items"].as_array().unwrap().len(), if query == "limit=2" { 2 } else { 0 });
        }
    });
}

#[test]
fn pieces_are_compressed_for_those_who_take_it_and_for_nobody_else() {
    run(async {
        let replica = crowd();
        let pieces = || async {
            match ask(&replica, Method::GET, "", &HeaderMap::new()).await {
                Outcome::Pieces(pieces) => pieces,
                other => panic!("{other:?}"),
            }
        };
        let mut plain = pieces().await;
        assert!(!plain.compress(&HeaderMap::new()) && !plain.head().headers.contains_key(CONTENT_ENCODING));
        let (_, text) = all(&mut plain);
        let mut compressed = pieces().await;
        assert!(
            compressed
                .compress(&HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("br, gzip"))]))
        );
        let head = compressed.head();
        assert_eq!(
            (&head.headers[CONTENT_ENCODING], &head.headers[VARY]),
            (&"gzip".parse().unwrap(), &"Accept-Encoding".parse().unwrap())
        );
        let (_, bytes) = all(&mut compressed);
        assert!(bytes.len() < text.len() / 2);
        let mut back = Vec::new();
        GzDecoder::new(&bytes[..]).read_to_end(&mut back).unwrap();
        assert_eq!(back, text);
    });
}
