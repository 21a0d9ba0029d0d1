//! `/healthz`, `/livez`, `/readyz`: the texts of k8s.io/apiserver, pkg/server/healthz/healthz.go.

use std::fmt::Write;

use http::header::X_CONTENT_TYPE_OPTIONS;
use http::{HeaderValue, StatusCode};
use percent_encoding::percent_decode_str;

use crate::model::{Answer, answer};

use super::Readiness;
use super::readiness::Check;

/// A path of health.
pub(super) struct Health<'a> {
    root: Root,
    /// One check alone.
    check: Option<&'a str>,
}

#[derive(Clone, Copy)]
enum Root {
    /// The process answers. It stays that way without the hub, because a restart would not help then.
    Healthz,
    /// The same.
    Livez,
    /// Requests may be sent here.
    Readyz,
}

impl<'a> Health<'a> {
    /// What a path asks for; none when it is no path of health.
    pub(super) fn of(path: &'a str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        let (root, check) = match path.split_once('/') {
            Some((root, check)) => (root, Some(check)),
            None => (path, None),
        };
        let root = match root {
            "healthz" => Root::Healthz,
            "livez" => Root::Livez,
            "readyz" => Root::Readyz,
            _ => return None,
        };
        Some(Self { root, check })
    }

    pub(super) fn answer(&self, readiness: &Readiness, query: Option<&str>) -> Answer {
        let checks = self.checks(readiness);
        match self.check {
            None => self.all(&checks, query.unwrap_or_default()),
            Some(name) => match checks.iter().find(|check| check.name == name) {
                None => text(StatusCode::NOT_FOUND, "404 page not found\n".to_owned()),
                Some(Check { missing: None, .. }) => {
                    let mut answer = text(StatusCode::OK, "ok".to_owned());
                    // As kube-apiserver has it, for whatever reason.
                    answer.headers_mut().remove(X_CONTENT_TYPE_OPTIONS);
                    answer
                }
                Some(Check { missing: Some(why), .. }) => {
                    text(StatusCode::INTERNAL_SERVER_ERROR, format!("internal server error: {why}\n"))
                }
            },
        }
    }

    fn checks(&self, readiness: &Readiness) -> Vec<Check> {
        let mut checks = vec![Check { name: "ping", missing: None }];
        if let Root::Readyz = self.root {
            checks.extend(readiness.checks());
        }
        checks
    }

    fn all(&self, checks: &[Check], query: &str) -> Answer {
        let parameters: Vec<_> = query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (name, percent_decode_str(value).decode_utf8_lossy()))
            .collect();
        let mut excluded: Vec<&str> =
            parameters.iter().filter(|(name, _)| *name == "exclude").map(|(_, value)| &**value).collect();
        let mut report = String::new();
        let mut failed = false;
        for check in checks {
            let name = check.name;
            let line = match check.missing {
                _ if excluded.contains(&name) => format!("[+]{name} excluded: ok"),
                None => format!("[+]{name} ok"),
                Some(_) => {
                    failed = true;
                    format!("[-]{name} failed: reason withheld")
                }
            };
            report.push_str(&line);
            report.push('\n');
        }
        excluded.retain(|name| !checks.iter().any(|check| check.name == *name));
        excluded.sort_unstable();
        excluded.dedup();
        if !excluded.is_empty() {
            let quoted: Vec<String> = excluded.iter().map(|name| format!("{name:?}")).collect();
            // Writing to a String cannot fail.
            let _ = writeln!(
                report,
                "warn: some health checks cannot be excluded: no matches for {}",
                quoted.join(", ")
            );
        }
        let root = self.root.name();
        if failed {
            return text(StatusCode::INTERNAL_SERVER_ERROR, format!("{report}{root} check failed\n"));
        }
        match parameters.iter().any(|(name, _)| *name == "verbose") {
            true => text(StatusCode::OK, format!("{report}{root} check passed\n")),
            false => text(StatusCode::OK, "ok".to_owned()),
        }
    }
}

impl Root {
    fn name(self) -> &'static str {
        match self {
            Self::Healthz => "healthz",
            Self::Livez => "livez",
            Self::Readyz => "readyz",
        }
    }
}

fn text(code: StatusCode, body: String) -> Answer {
    let mut answer = answer(code, HeaderValue::from_static("text/plain; charset=utf-8"), body);
    answer.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
