use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Method;

use super::{ClusterSeries, ErrorKind, Resource, Verb};

/// Everything that is remembered of a request once it has ended.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// What it was for.
    pub target: Target,
    /// The cluster, when it was for one of the table.
    pub cluster: Option<&'a Arc<ClusterSeries>>,
    /// On the cluster, when it was for one.
    pub resource: Resource,
    /// On the cluster, when it was for one.
    pub verb: Verb,
    /// The status that the caller got; 499 when they left before.
    pub code: u16,
    /// The method.
    pub method: &'a Method,
    /// The path. A query that comes with it is cut off, because it may hold a secret.
    pub path: &'a str,
    /// Who called; for the access log only.
    pub user: &'a str,
    /// Where the connection came from.
    pub remote: Option<SocketAddr>,
    /// `Audit-ID`
    pub audit_id: &'a str,
    /// Bytes of the request's body.
    pub received: u64,
    /// Bytes of the answer's body.
    pub sent: u64,
    /// The connection was upgraded: its bytes were counted as they went by.
    pub streamed: bool,
    /// From the request's header to the end of the answer.
    pub duration: Duration,
    /// From sending the request to the cluster to the header of its answer, when it came.
    pub upstream: Option<Duration>,
    /// What went wrong between the cluster and us.
    pub error: Option<ErrorKind>,
}

/// What a request was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A cluster, be it there or not.
    Proxy,
    /// Our own API.
    Api,
    /// Health, metrics and the like.
    Operations,
}

impl Record<'_> {
    /// One line into the access log; nothing is formatted when that is off.
    pub(super) fn log(&self) {
        tracing::info!(
            target: super::logging::ACCESS,
            method = self.method.as_str(),
            path = self.path.split('?').next().unwrap_or_default(),
            code = self.code,
            cluster = self.cluster.map(|series| series.name().as_str()),
            verb = self.verb.as_str(),
            user = self.user,
            remote = self.remote.map(tracing::field::display),
            audit_id = self.audit_id,
            received = self.received,
            sent = self.sent,
            duration_ms = milliseconds(self.duration),
            upstream_ms = self.upstream.map(milliseconds),
            error = self.error.map(ErrorKind::as_str),
        );
    }
}

/// To a tenth of a millisecond: more is noise.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn a_line_has_no_query_and_cannot_be_forged() {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt().with_writer(lines.clone()).with_ansi(false).finish();
        tracing::subscriber::with_default(subscriber, || {
            Record {
                target: Target::Proxy,
                cluster: None,
                resource: Resource::NONE,
                verb: Verb::Get,
                code: 200,
                method: &Method::GET,
                path: "/a\nb?access_token=secret",
                user: "eve\n2026 INFO access: forged",
                remote: Some(([127, 0, 0, 1], 1).into()),
                audit_id: "id",
                received: 0,
                sent: 1,
                streamed: false,
                duration: Duration::from_micros(1234),
                upstream: None,
                error: Some(ErrorKind::Timeout),
            }
            .log();
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.contains("secret"), "{text}");
        for field in
            ["code=200", "duration_ms=1.2", "error=\"timeout\"", "remote=127.0.0.1:1", r#"path="/a\nb""#]
        {
            assert!(text.contains(field), "{field}: {text}");
        }
    }
}
