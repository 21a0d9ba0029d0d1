//! The body of a PUT.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use serde_saphyr::options::DuplicateKeyPolicy;

use crate::model::{Reason, Status};

use super::super::{VERSION, go_json, negotiation};
use super::KIND;
use super::fields;
use super::raw::{Placed, Raw};

/// As much of a body as is repeated to who sent it.
const SUMMARY: usize = 30;
/// What Go calls the two fields that are looked for first.
const TYPE_META: &str =
    r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;

/// In which letters a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    Json,
    Yaml,
    Protobuf,
}

/// A body that was read.
pub(super) struct Decoded {
    /// The object.
    pub(super) value: Value,
    /// As it was written, where that can be something else.
    raw: Option<Raw<String>>,
    /// What go-yaml says of fields that are there once more.
    repeated: Vec<String>,
}

impl Decoded {
    /// What of it nobody knows or is there twice: each for itself, and all in one text.
    pub(super) fn strict(&self, schema: &Value, definitions: &Value) -> (Vec<String>, String) {
        let found = match &self.raw {
            Some(raw) => fields::strict(raw, schema, definitions),
            None => fields::strict(&self.value.clone().into(), schema, definitions),
        };
        let yaml = (!self.repeated.is_empty())
            .then(|| format!("yaml: unmarshal errors:\n  {}", self.repeated.join("\n  ")));
        let text = yaml.iter().chain(&found).map(String::as_str).collect::<Vec<_>>().join(", ");
        (self.repeated.iter().cloned().chain(found).collect(), text)
    }
}

impl Input {
    /// By Content-Type; JSON when there is none.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Status> {
        let content_type = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?"));
        let media = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        match media.to_ascii_lowercase().as_str() {
            "" | "application/json" => Ok(Self::Json),
            "application/yaml" => Ok(Self::Yaml),
            "application/vnd.kubernetes.protobuf" => Ok(Self::Protobuf),
            _ => Err(unsupported(negotiation::MEDIA_TYPES)),
        }
    }

    /// The object, whose kind and version are ours.
    pub(super) fn object(self, body: &[u8], group: &str) -> Result<Decoded, Status> {
        let (value, raw, repeated) = match self {
            Self::Json => {
                let raw: Raw<String> =
                    serde_json::from_slice(body).map_err(|_| no_object(&go_json::problem(body), body))?;
                (raw.value(), Some(raw), Vec::new())
            }
            Self::Yaml => {
                let raw = yaml(body).map_err(|problem| unrecognized(&format!("yaml: {problem}"), body))?;
                (raw.value(), None, raw.repeated())
            }
            Self::Protobuf => {
                let problem =
                    "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]";
                return Err(unrecognized(problem, body));
            }
        };
        let value = match value {
            Value::Null => json!({}),
            Value::Object(_) => value,
            other => {
                let kind = go_json::kind(&other);
                let problem = format!("json: cannot unmarshal {kind} into Go value of type {TYPE_META}");
                return Err(no_object(&problem, body));
            }
        };
        for field in ["apiVersion", "kind"] {
            if !value[field].is_string() && !value[field].is_null() {
                let kind = go_json::kind(&value[field]);
                let problem =
                    format!("json: cannot unmarshal {kind} into Go struct field .{field} of type string");
                return Err(no_object(&problem, body));
            }
        }
        let own = format!("{group}/{VERSION}");
        let kind = value["kind"].as_str().filter(|kind| !kind.is_empty()).unwrap_or(KIND);
        let version = value["apiVersion"].as_str().filter(|version| !version.is_empty()).unwrap_or(&own);
        if kind != KIND || version != own {
            let short = version.rsplit('/').next().unwrap_or_default();
            return Err(Status::new(
                Reason::BadRequest,
                format!(
                    "{kind} in version {short:?} cannot be handled as a {KIND}: no kind {kind:?} is registered for version {version:?}"
                ),
            ));
        }
        Ok(Decoded { value, raw, repeated })
    }
}

/// 415
pub(super) fn unsupported(accepted: &str) -> Status {
    Status::new(
        Reason::UnsupportedMediaType,
        format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted}"
        ),
    )
}

/// 400 for an object of the right kind.
pub(super) fn unusable(problem: &str) -> Status {
    let message = format!("{KIND} in version {VERSION:?} cannot be handled as a {KIND}: {problem}");
    Status::new(Reason::BadRequest, message)
}

/// 400 for what may be anything.
fn unrecognized(problem: &str, body: &[u8]) -> Status {
    let message = format!(
        "the object provided is unrecognized (must be of type {KIND}): {problem} ({})",
        summary(body)
    );
    Status::new(Reason::BadRequest, message)
}

/// 400 for what has no kind that could be read.
fn no_object(problem: &str, body: &[u8]) -> Status {
    unrecognized(&format!("couldn't get version/kind; json parse error: {problem}"), body)
}

fn yaml(body: &[u8]) -> Result<Raw<Placed>, String> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        duplicate_keys: DuplicateKeyPolicy::LastWins,
    };
    serde_saphyr::from_slice_with_options(body, options).map_err(|error| error.to_string())
}

/// Text of what looks like JSON, hexadecimal digits of everything else.
fn summary(body: &[u8]) -> String {
    let shown = &body[..body.len().min(SUMMARY)];
    let more = if body.len() > SUMMARY { " ..." } else { "" };
    match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{more}", String::from_utf8_lossy(shown)),
        Some(_) => shown.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + more,
    }
}
