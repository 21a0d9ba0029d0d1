use std::io;
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::Secret;
use tracing_subscriber::fmt::MakeWriter;

use crate::clusters::fixtures::*;
use crate::clusters::{Change, Metrics, Tables, Writer};
use crate::upstream::UpstreamError;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn writer() -> Writer {
    Writer::new(Tables::default(), options(), Metrics::new(&prometheus::Registry::new()).unwrap())
}

/// Says everything once. A line that is said for the first time ever by another test, while this one is the only one
/// that listens, is taken by tracing for one that interests nobody; when the next one begins to listen that is put right.
fn say_everything() {
    static SAID: Once = Once::new();
    let everything = || {
        let mut writer = writer();
        let apply = |secret: Secret| Change::Apply(Box::new(secret));
        let (good, broken) = (token_secret("a"), without(token_secret("a"), "token"));
        list(&mut writer, &[without(token_secret("b"), "ca.crt"), broken.clone()]);
        find(&mut |step| step());
        for change in [
            apply(good.clone()),
            apply(set(good.clone(), "token", "x")),
            apply(broken),
            apply(without(good.clone(), "ca.crt")),
            Change::Remove(Box::new(good.clone())),
            apply(good),
        ] {
            writer.apply(&[change], "2");
        }
    };
    SAID.call_once(|| {
        let listening = tracing_subscriber::fmt().with_writer(io::sink).with_max_level(tracing::Level::TRACE);
        tracing::subscriber::with_default(listening.finish(), everything);
    });
}

/// What is logged at any level, line by line.
fn logged(work: impl FnOnce()) -> Vec<String> {
    say_everything();
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(lines.clone())
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(!text.contains(TOKEN) && !text.contains("hunter2"), "{text}");
    text.lines().map(|line| line.trim().to_owned()).collect()
}

fn list(writer: &mut Writer, secrets: &[Secret]) {
    writer.begin();
    writer.stage(secrets);
    writer.finish("1");
}

#[test]
fn each_change_of_state_is_one_line_and_no_change_is_none() {
    let mut writer = writer();
    let mut step = |change: Change| logged(|| writer.apply(&[change], "2"));
    let apply = |secret: Secret| Change::Apply(Box::new(secret));
    let good = || token_secret("a");
    let broken = || without(good(), "token");
    let rows: [(Change, &[&str]); 9] = [
        (apply(broken()), &["WARN cluster is not usable cluster=a reason=\"data key token is missing"]),
        (apply(broken()), &[]),
        (apply(good()), &["INFO cluster recovered cluster=a endpoint=\"https://10.0.0.1:6443\""]),
        (apply(annotate(good(), "x", "y")), &[]),
        (apply(set(good(), "token", &format!("{TOKEN}2"))), &["INFO cluster changed cluster=a"]),
        (apply(broken()), &["WARN cluster has a problem, its access stays in force cluster=a reason="]),
        (
            apply(without(good(), "ca.crt")),
            &["INFO cluster recovered cluster=a", "WARN cluster is not verified cluster=a"],
        ),
        (apply(annotate(without(good(), "ca.crt"), "x", "y")), &[]),
        (Change::Remove(Box::new(good())), &["INFO cluster removed cluster=a"]),
    ];
    for (number, (change, expected)) in rows.into_iter().enumerate() {
        let lines = step(change);
        assert_eq!(lines.len(), expected.len(), "step {number}: {lines:?}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.starts_with(expected), "step {number}: {line}");
        }
    }
}

/// Lets requests find out about cluster `f` what there is to find out, and gives it to `look` step by step.
fn find(look: &mut dyn FnMut(&mut dyn FnMut())) {
    let tables = Tables::default();
    let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
    let mut writer = Writer::new(tables.clone(), options(), metrics);
    list(&mut writer, &[token_secret("f")]);
    let access = tables.load().iter().next().unwrap().access.clone().unwrap();
    let away = UpstreamError::NoAddress { host: "f.example".to_owned() };
    let steps: [&dyn Fn(); 5] = [
        &|| access.failed(&away),
        &|| access.failed(&away),
        &|| access.answered(),
        &|| access.refused(),
        &|| access.answered(),
    ];
    for step in steps {
        step();
        // A refusal is not told at once.
        look(&mut || writer.as_of(SystemTime::now() + Duration::from_secs(10)));
    }
}

#[test]
fn what_requests_find_out_is_a_line_when_it_begins_and_when_it_ends() {
    let mut lines = Vec::new();
    find(&mut |step| lines.push(logged(step)));
    let [away, still, back, refused, taken] = <[Vec<String>; 5]>::try_from(lines).unwrap();
    assert!(
        away[0].starts_with("WARN cluster cannot be reached cluster=f reason=unreachable since 20"),
        "{away:?}"
    );
    assert!(away[0].ends_with(": f.example has no address"), "{away:?}");
    assert_eq!(back, ["INFO cluster can be reached again cluster=f"]);
    assert!(
        refused[0].starts_with("WARN cluster refuses the credential cluster=f reason=refused by"),
        "{refused:?}"
    );
    assert_eq!((away.len(), still.len(), refused.len(), taken.len()), (1, 0, 1, 0));
}

#[test]
fn a_long_list_is_a_summary_and_a_line_per_problem() {
    let mut writer = writer();
    let mut secrets: Vec<_> =
        (0..100).map(|number| without(token_secret(&format!("c{number}")), "ca.crt")).collect();
    secrets.push(without(token_secret("broken"), "token"));
    let lines = logged(|| list(&mut writer, &secrets));
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("WARN cluster is not usable cluster=broken reason="), "{lines:?}");
    assert_eq!(lines[1], "INFO clusters listed clusters=101 changed=101 removed=0");
    assert!(lines[2].starts_with("WARN clusters are not verified count=100 examples="), "{lines:?}");
    let again = logged(|| list(&mut writer, &secrets));
    assert_eq!(again.len(), 1, "said twice: {again:?}");
}
