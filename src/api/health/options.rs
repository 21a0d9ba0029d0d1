//! UpdateOptions and PatchOptions in a query, and what is wrong with them (apimachinery,
//! pkg/apis/meta/v1/validation).

use crate::model::{Cause, Details, Query, Reason, Status};

/// Bytes of a field manager's name.
const LONGEST_MANAGER: usize = 128;

/// How a write is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) dry_run: bool,
    pub(super) field_manager: Option<String>,
    pub(super) validation: Validation,
}

/// `fieldValidation`: what becomes of fields that nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Validation {
    Ignore,
    Warn,
    Strict,
}

/// One thing that is wrong: field, reason, what to say.
type Problem = (&'static str, &'static str, String);

impl Options {
    /// Those of a PUT.
    pub(super) fn of_update(query: &Query<'_>) -> Result<Self, Status> {
        Self::read(query, "UpdateOptions", Vec::new())
    }

    /// Those of a PATCH that is no apply.
    pub(super) fn of_patch(query: &Query<'_>) -> Result<Self, Status> {
        let mut problems = Vec::new();
        if query.first("force").is_some() {
            let message = "Forbidden: may not be specified for non-apply patch".to_owned();
            problems.push(("force", "FieldValueForbidden", message));
        }
        Self::read(query, "PatchOptions", problems)
    }

    fn read(query: &Query<'_>, kind: &str, mut problems: Vec<Problem>) -> Result<Self, Status> {
        let manager = query.first("fieldManager").unwrap_or_default().into_owned();
        if manager.len() > LONGEST_MANAGER {
            let message = format!("Too long: may not be more than {LONGEST_MANAGER} bytes");
            problems.push(("fieldManager", "FieldValueTooLong", message));
        }
        if let Some((at, bad)) = manager.char_indices().find(|(_, letter)| letter.is_control()) {
            let message = format!(
                "Invalid value: {manager:?}: invalid character U+{:04X} (at position {at})",
                u32::from(bad)
            );
            problems.push(("fieldManager", "FieldValueInvalid", message));
        }
        let dry_run: Vec<String> = query.all("dryRun").map(|value| value.into_owned()).collect();
        if dry_run.iter().any(|value| value != "All") {
            let quoted: Vec<String> = dry_run.iter().map(|value| format!("{value:?}")).collect();
            let message = format!("Unsupported value: [{}]: supported values: \"All\"", quoted.join(","));
            problems.push(("dryRun", "FieldValueNotSupported", message));
        }
        let validation = match query.first("fieldValidation").as_deref() {
            None | Some("" | "Warn") => Validation::Warn,
            Some("Ignore") => Validation::Ignore,
            Some("Strict") => Validation::Strict,
            Some(other) => {
                let message = format!(
                    "Unsupported value: {other:?}: supported values: \"\", \"Ignore\", \"Strict\", \"Warn\""
                );
                problems.push(("fieldValidation", "FieldValueNotSupported", message));
                Validation::Warn
            }
        };
        if !problems.is_empty() {
            return Err(invalid("meta.k8s.io", kind, "", problems));
        }
        Ok(Self {
            dry_run: !dry_run.is_empty(),
            field_manager: Some(manager).filter(|manager| !manager.is_empty()),
            validation,
        })
    }
}

/// 422 for an object of a kind, with all that is wrong (api/errors, NewInvalid).
pub(super) fn invalid(group: &str, kind: &str, name: &str, problems: Vec<Problem>) -> Status {
    let mut texts: Vec<String> =
        problems.iter().map(|(field, _, message)| format!("{field}: {message}")).collect();
    texts.dedup();
    let texts = match &texts[..] {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    };
    let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
    let causes = problems
        .into_iter()
        .map(|(field, reason, message)| Cause { reason: reason.to_owned(), message, field: field.to_owned() })
        .collect();
    Status::new(Reason::Invalid, format!("{qualified} {name:?} is invalid: {texts}")).with_details(Details {
        name: name.to_owned(),
        group: group.to_owned(),
        kind: kind.to_owned(),
        causes,
        ..Details::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(query: &str) -> Result<Options, Status> {
        Options::of_update(&Query::new(Some(query)))
    }

    #[test]
    fn what_is_not_said_is_a_warning_and_for_real() {
        let expected = Options { dry_run: false, field_manager: None, validation: Validation::Warn };
        assert_eq!(update("").unwrap(), expected);
        let all = update("dryRun=All&fieldManager=me&fieldValidation=Strict").unwrap();
        assert!(all.dry_run && all.validation == Validation::Strict);
        assert_eq!(all.field_manager.as_deref(), Some("me"));
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let status = update("dryRun=All&dryRun=Foo&fieldValidation=Foo").unwrap_err();
        assert_eq!(
            status.message(),
            "UpdateOptions.meta.k8s.io \"\" is invalid: [dryRun: Unsupported value: [\"All\",\"Foo\"]: supported values: \"All\", fieldValidation: Unsupported value: \"Foo\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"]"
        );
        let long = update(&format!("fieldManager={}", "x".repeat(129))).unwrap_err();
        assert!(long.message().ends_with("fieldManager: Too long: may not be more than 128 bytes"));
        assert!(update("fieldManager=a%00b").is_err());
        let forced = Options::of_patch(&Query::new(Some("force=foo"))).unwrap_err();
        assert!(forced.message().ends_with("force: Forbidden: may not be specified for non-apply patch"));
    }
}
