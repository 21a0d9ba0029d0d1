//! What is asked of a list or a watch: `metav1.ListOptions`, read, defaulted and validated in the order and in the
//! words of kube-apiserver (endpoints/handlers/get.go, apis/meta/internalversion/validation).

use std::time::Duration;

use crate::model::{Cause, Details, Query, Reason, Status};

use super::selector::Selectors;

/// The parameters of a request for many objects.
#[derive(Debug, Clone)]
pub(super) struct ListOptions {
    pub(super) watch: bool,
    pub(super) selectors: Selectors,
    pub(super) bookmarks: bool,
    /// Not read yet: what may stand there depends on what it is for.
    pub(super) version: String,
    pub(super) version_match: Option<Match>,
    /// None: as the server likes.
    pub(super) timeout: Option<Duration>,
    /// None: all of them.
    pub(super) limit: Option<usize>,
    pub(super) cursor: String,
    pub(super) initial_events: Option<bool>,
}

/// `resourceVersionMatch`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    Exact,
    NotOlderThan,
}

impl ListOptions {
    /// Those of a query. `watch`: by the path, whatever the query says.
    pub(super) fn of(query: &Query<'_>, watch: bool) -> Result<Self, Status> {
        let watch = watch || query.flag("watch");
        let text = |name| query.first(name).unwrap_or_default().into_owned();
        let timeout = integer(query, "timeoutSeconds")?;
        let limit = integer(query, "limit")?;
        let (version, named_match, cursor) =
            (text("resourceVersion"), text("resourceVersionMatch"), text("continue"));
        let mut initial_events = query.first("sendInitialEvents").map(|_| query.flag("sendInitialEvents"));
        let selectors = Selectors::of(query)?;
        let mut named_match = named_match.as_str();
        if watch && initial_events.is_none() && named_match.is_empty() && matches!(&*version, "" | "0") {
            // What watches without a version have always meant.
            initial_events = Some(true);
            named_match = "NotOlderThan";
        }
        let problems = match watch {
            true => bad_watch(named_match, &cursor, initial_events.is_some()),
            false => bad_list(named_match, &version, &cursor, initial_events.is_some()),
        };
        if !problems.is_empty() {
            return Err(invalid(&problems));
        }
        Ok(Self {
            watch,
            selectors,
            bookmarks: query.flag("allowWatchBookmarks"),
            version,
            version_match: match named_match {
                "Exact" => Some(Match::Exact),
                "NotOlderThan" => Some(Match::NotOlderThan),
                _ => None,
            },
            timeout: match timeout {
                0 => None,
                // Less than none: it is over when it begins.
                seconds => Some(Duration::from_secs(u64::try_from(seconds).unwrap_or_default())),
            },
            limit: usize::try_from(limit).ok().filter(|limit| *limit > 0),
            cursor,
            initial_events,
        })
    }
}

/// A resourceVersion; 0 where there is none.
pub(super) fn version(text: &str) -> Result<u64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or_else(|| {
        let what = if digits { "value out of range" } else { "invalid syntax" };
        format!("resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: {what}")
    })
}

/// 504: the future.
pub(super) fn too_large(asked: u64, current: u64) -> Status {
    let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
    let causes = vec![Cause {
        reason: "ResourceVersionTooLarge".to_owned(),
        message: "Too large resource version".to_owned(),
        ..Cause::default()
    }];
    Status::new(Reason::Timeout, message)
        .with_details(Details { causes, ..Details::default() })
        .with_retry_after(Duration::from_secs(1))
}

fn integer(query: &Query<'_>, name: &str) -> Result<i64, Status> {
    let Some(text) = query.first(name) else { return Ok(0) };
    text.parse().map_err(|_| {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(&text);
        let number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let what = if number { "value out of range" } else { "invalid syntax" };
        Status::new(Reason::BadRequest, format!("strconv.ParseInt: parsing {text:?}: {what}"))
    })
}

/// A parameter, and what is wrong with it.
struct Problem {
    field: &'static str,
    reason: &'static str,
    message: String,
}

fn forbidden(field: &'static str, message: &str) -> Problem {
    Problem { field, reason: "FieldValueForbidden", message: format!("Forbidden: {message}") }
}

fn unsupported(value: &str, supported: &str) -> Problem {
    let message = format!("Unsupported value: {value:?}: supported values: {supported}");
    Problem { field: MATCH, reason: "FieldValueNotSupported", message }
}

const MATCH: &str = "resourceVersionMatch";
const INITIAL: &str = "sendInitialEvents";

fn bad_list(named_match: &str, version: &str, cursor: &str, initial_events: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !named_match.is_empty() {
        if version.is_empty() {
            let message = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            problems.push(forbidden(MATCH, message));
        }
        if !cursor.is_empty() {
            problems.push(forbidden(MATCH, "resourceVersionMatch is forbidden when continue is provided"));
        }
        if !matches!(named_match, "Exact" | "NotOlderThan") {
            problems.push(unsupported(named_match, r#""Exact", "NotOlderThan", """#));
        }
        if named_match == "Exact" && version == "0" {
            let message = r#"resourceVersionMatch "exact" is forbidden for resourceVersion "0""#;
            problems.push(forbidden(MATCH, message));
        }
    }
    if initial_events {
        problems.push(forbidden(INITIAL, "sendInitialEvents is forbidden for list"));
    }
    problems
}

fn bad_watch(named_match: &str, cursor: &str, initial_events: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    if initial_events && named_match != "NotOlderThan" {
        let message = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        problems.push(forbidden(MATCH, message));
    }
    if !named_match.is_empty() {
        if !initial_events {
            let message = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            problems.push(forbidden(MATCH, message));
        }
        if named_match != "NotOlderThan" {
            problems.push(unsupported(named_match, r#""NotOlderThan""#));
        }
        if !cursor.is_empty() {
            problems.push(forbidden(MATCH, "resourceVersionMatch is forbidden when continue is provided"));
        }
    }
    problems
}

/// 422
fn invalid(problems: &[Problem]) -> Status {
    let lines: Vec<String> =
        problems.iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect();
    let lines = match &lines[..] {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    };
    let causes = problems.iter().map(|problem| Cause {
        reason: problem.reason.to_owned(),
        message: problem.message.clone(),
        field: problem.field.to_owned(),
    });
    Status::new(Reason::Invalid, format!("ListOptions.meta.k8s.io \"\" is invalid: {lines}")).with_details(
        Details {
            group: "meta.k8s.io".to_owned(),
            kind: "ListOptions".to_owned(),
            causes: causes.collect(),
            ..Details::default()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(query: &str) -> (u16, String) {
        let status = ListOptions::of(&Query::new(Some(query)), false).unwrap_err();
        (status.code().as_u16(), status.message().to_owned())
    }

    /// All of them were asked of kube-apiserver 1.35.
    #[test]
    fn parameters_that_mean_nothing_are_refused_in_the_words_of_kubernetes() {
        let invalid = "ListOptions.meta.k8s.io \"\" is invalid: ";
        for (query, code, message) in [
            ("limit=abc", 400, "strconv.ParseInt: parsing \"abc\": invalid syntax".to_owned()),
            ("limit=", 400, "strconv.ParseInt: parsing \"\": invalid syntax".to_owned()),
            (
                "timeoutSeconds=99999999999999999999",
                400,
                "strconv.ParseInt: parsing \"99999999999999999999\": value out of range".to_owned(),
            ),
            (
                "resourceVersionMatch=Exact",
                422,
                format!(
                    "{invalid}resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
                ),
            ),
            (
                "resourceVersionMatch=Foo&resourceVersion=1",
                422,
                format!(
                    "{invalid}resourceVersionMatch: Unsupported value: \"Foo\": supported values: \"Exact\", \"NotOlderThan\", \"\""
                ),
            ),
            (
                "resourceVersionMatch=Exact&resourceVersion=0",
                422,
                format!(
                    "{invalid}resourceVersionMatch: Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""
                ),
            ),
            (
                "sendInitialEvents=true",
                422,
                format!("{invalid}sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"),
            ),
            (
                "watch=1&sendInitialEvents=true",
                422,
                format!(
                    "{invalid}resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
                ),
            ),
            (
                "watch=1&resourceVersionMatch=NotOlderThan&resourceVersion=5",
                422,
                format!(
                    "{invalid}resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
                ),
            ),
            (
                "watch=1&resourceVersionMatch=Exact&sendInitialEvents=1",
                422,
                format!(
                    "{invalid}[resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan, resourceVersionMatch: Unsupported value: \"Exact\": supported values: \"NotOlderThan\"]"
                ),
            ),
            (
                "watch=1&continue=x",
                422,
                format!(
                    "{invalid}resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided"
                ),
            ),
        ] {
            assert_eq!(refused(query), (code, message), "{query}");
        }
    }

    #[test]
    fn a_watch_without_a_version_wants_to_know_what_there_is() {
        let of = |query| ListOptions::of(&Query::new(Some(query)), true).unwrap();
        assert_eq!(of("").initial_events, Some(true));
        assert_eq!(of("resourceVersion=0").initial_events, Some(true));
        assert_eq!(of("resourceVersion=5").initial_events, None);
        let query = "sendInitialEvents=false&resourceVersionMatch=NotOlderThan";
        assert_eq!(of(query).initial_events, Some(false));
        assert_eq!(of("timeoutSeconds=-1").timeout, Some(Duration::ZERO));
        assert_eq!(of("timeoutSeconds=0").timeout, None);
        assert_eq!(of("limit=-1").limit, None);
    }

    #[test]
    fn versions_are_numbers() {
        assert_eq!((version(""), version("0"), version("17")), (Ok(0), Ok(0), Ok(17)));
        for (text, end) in [
            ("abc", "invalid syntax"),
            ("+1", "invalid syntax"),
            ("99999999999999999999", "value out of range"),
        ] {
            let message = version(text).unwrap_err();
            assert!(message.ends_with(end), "{message}");
        }
    }
}
