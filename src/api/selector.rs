use std::collections::BTreeMap;

use crate::model::{Reason, Status};

use crate::model::Query;

/// `labelSelector` and `fieldSelector`: which objects of a list are wanted.
#[derive(Debug, Default)]
pub(super) struct Selectors {
    labels: Vec<Label>,
    fields: Vec<Field>,
}

/// One requirement on a label (k8s.io/apimachinery, pkg/labels/selector.go).
#[derive(Debug, PartialEq, Eq)]
enum Label {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
    Greater(String, i64),
    Less(String, i64),
}

/// One requirement on a field.
#[derive(Debug)]
struct Field {
    is_name: bool,
    equal: bool,
    value: String,
}

impl Selectors {
    pub(super) fn of(query: &Query<'_>) -> Result<Self, Status> {
        let labels = query.first("labelSelector").unwrap_or_default();
        let fields = query.first("fieldSelector").unwrap_or_default();
        Ok(Self {
            labels: terms(&labels).map(label).collect::<Result<_, _>>()?,
            fields: fields.split(',').filter(|term| !term.is_empty()).map(field).collect::<Result<_, _>>()?,
        })
    }

    /// Whether an object of no namespace fulfils every requirement.
    pub(super) fn match_object(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        self.labels.iter().all(|label| label.matches(labels))
            && self.fields.iter().all(|field| {
                let actual = if field.is_name { name } else { "" };
                (actual == field.value) == field.equal
            })
    }
}

impl Label {
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let number = |key: &str| labels.get(key).and_then(|value| value.parse::<i64>().ok());
        match self {
            Self::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Self::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Self::Exists(key) => labels.contains_key(key),
            Self::Missing(key) => !labels.contains_key(key),
            Self::Greater(key, bound) => number(key).is_some_and(|value| value > *bound),
            Self::Less(key, bound) => number(key).is_some_and(|value| value < *bound),
        }
    }
}

/// The terms of a selector: commas within parentheses separate values.
fn terms(selector: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    selector
        .split(move |character| {
            match character {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            character == ',' && depth == 0
        })
        .map(str::trim)
        .filter(|term| !term.is_empty())
}

fn label(term: &str) -> Result<Label, Status> {
    let invalid = || {
        let message = format!(
            "unable to parse requirement: {term:?} is none of key, !key, key=value, key!=value, key in (a,b), key notin (a,b), key>1, key<1"
        );
        Status::new(Reason::BadRequest, message)
    };
    let key = |text: &str| match text.trim() {
        key if is_key(key) => Ok(key.to_owned()),
        _ => Err(invalid()),
    };
    let value = |text: &str| match text.trim() {
        value if is_value(value) => Ok(value.to_owned()),
        _ => Err(invalid()),
    };
    let number = |text: &str| text.trim().parse().map_err(|_| invalid());
    if let Some((name, list)) = term.strip_suffix(')').and_then(|term| term.split_once('(')) {
        let values = list.split(',').map(value).collect::<Result<_, _>>()?;
        let mut words = name.split_whitespace();
        return match (words.next(), words.next(), words.next()) {
            (Some(name), Some("in"), None) => Ok(Label::In(key(name)?, values)),
            (Some(name), Some("notin"), None) => Ok(Label::NotIn(key(name)?, values)),
            _ => Err(invalid()),
        };
    }
    if let Some((name, rest)) = term.split_once("!=") {
        return Ok(Label::NotIn(key(name)?, vec![value(rest)?]));
    }
    if let Some((name, rest)) = term.split_once("==").or_else(|| term.split_once('=')) {
        return Ok(Label::In(key(name)?, vec![value(rest)?]));
    }
    if let Some((name, bound)) = term.split_once('>') {
        return Ok(Label::Greater(key(name)?, number(bound)?));
    }
    if let Some((name, bound)) = term.split_once('<') {
        return Ok(Label::Less(key(name)?, number(bound)?));
    }
    match term.strip_prefix('!') {
        Some(name) => Ok(Label::Missing(key(name)?)),
        None => Ok(Label::Exists(key(term)?)),
    }
}

fn field(term: &str) -> Result<Field, Status> {
    let (equal, split) = match (term.split_once("!="), term.split_once("==")) {
        (Some(split), _) => (false, Some(split)),
        (None, Some(split)) => (true, Some(split)),
        (None, None) => (true, term.split_once('=')),
    };
    let bad = |message| Status::new(Reason::BadRequest, message);
    let (name, value) = split.ok_or_else(|| {
        bad(format!("invalid selector: {term:?}; can't understand it: write metadata.name=NAME"))
    })?;
    let is_name = match name.trim() {
        "metadata.name" => true,
        "metadata.namespace" => false,
        other => {
            return Err(bad(format!(
                "{other:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
            )));
        }
    };
    Ok(Field { is_name, equal, value: value.trim().to_owned() })
}

fn is_key(text: &str) -> bool {
    let (prefix, name) = text.split_once('/').unwrap_or(("a", text));
    !prefix.is_empty() && !name.is_empty() && is_value(prefix) && is_value(name)
}

fn is_value(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(query: &str) -> Result<bool, Status> {
        let labels = [("env", "prod"), ("tier", "3"), ("example.com/team", "a")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        Ok(Selectors::of(&Query::new(Some(query)))?.match_object("one", &BTreeMap::from(labels)))
    }

    #[test]
    fn labels_are_selected_as_kubernetes_selects_them() {
        for selector in [
            "",
            "env",
            "env=prod",
            "env==prod",
            "env!=test",
            "!none",
            "none!=x",
            "env in (test, prod)",
            "env notin (a,b),tier=3",
            "none notin (a)",
            "tier>2",
            "tier<4",
            "example.com/team=a",
            "env in(prod),tier in (3,4)",
        ] {
            assert_eq!(
                chosen(&format!("labelSelector={}", selector.replace('!', "%21"))),
                Ok(true),
                "{selector}"
            );
        }
        for selector in [
            "none",
            "env=test",
            "env!=prod",
            "!env",
            "env in (a)",
            "env notin (prod)",
            "tier>3",
            "env=prod,tier=4",
            "env=",
        ] {
            assert_eq!(chosen(&format!("labelSelector={selector}")), Ok(false), "{selector}");
        }
    }

    #[test]
    fn selectors_that_cannot_be_read_are_refused_by_name() {
        for selector in ["a b", "=x", "env in prod", "env in (a", "in (a)", "tier>x", "a/b/c", "env=(x)"] {
            let status = chosen(&format!("labelSelector={selector}")).unwrap_err();
            assert_eq!(status.code(), 400, "{selector}");
        }
    }

    #[test]
    fn fields_are_name_and_namespace_and_no_other() {
        assert_eq!(chosen("fieldSelector=metadata.name%3Done"), Ok(true));
        assert_eq!(chosen("fieldSelector=metadata.name==two"), Ok(false));
        assert_eq!(chosen("fieldSelector=metadata.name!=two,metadata.namespace="), Ok(true));
        let message = chosen("fieldSelector=spec.x=1").unwrap_err().message().to_owned();
        assert_eq!(
            message,
            r#""spec.x" is not a known field selector: only "metadata.name", "metadata.namespace""#
        );
        assert!(chosen("fieldSelector=metadata.name").is_err());
    }
}
