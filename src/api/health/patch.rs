//! Patches: RFC 6902 and RFC 7386. Strategic merges are for types that Kubernetes was built with, and server-side
//! apply needs managed fields, which nobody stores here.

use json_patch::PatchOperation;
use serde_json::{Value, json};

use crate::model::{Details, Reason, Status};

use super::super::go_json;
use super::body;
use super::fields;
use super::options::Validation;
use super::raw::Raw;

const ACCEPTED: &str = "application/json-patch+json, application/merge-patch+json";
/// Operations of one JSON patch (handlers/patch.go).
const MOST_OPERATIONS: usize = 10_000;
/// Bytes that the copies of one JSON patch may make (kube-apiserver sets `AccumulatedCopySizeLimit` likewise).
const MOST_COPIED: usize = 10 * super::BODY_LIMIT;

/// How deep a patched object may be. Each operation moves what is there a little deeper, and who writes, copies or
/// drops a value goes down as deep as it is, on a stack. A body is not read deeper than that either.
const DEEPEST: usize = 128;

/// Which kind of patch it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PatchType {
    Json,
    Merge,
}

/// A patch that was read.
pub(super) enum Patch {
    Json(json_patch::Patch),
    Merge(Value),
}

impl PatchType {
    /// By Content-Type.
    pub(super) fn of(content_type: &str) -> Result<Self, Status> {
        match content_type.split(';').next().unwrap_or_default() {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/strategic-merge-patch+json" | "application/apply-patch+yaml" => {
                Err(body::unsupported(ACCEPTED))
            }
            _ => Err(Status::new(Reason::UnsupportedMediaType, "415: Unsupported Media Type")
                .with_details(Details::default())),
        }
    }
}

impl Patch {
    /// Reads a patch of a kind. With it, unless nobody wants to know: what of it is unknown or there twice.
    pub(super) fn read(
        kind: PatchType,
        body: &[u8],
        validation: Validation,
    ) -> Result<(Self, Vec<String>), Status> {
        // Who does not want fields to be validated is told by another parser.
        let undecodable = |problem: String| match validation {
            Validation::Ignore => bad(problem),
            Validation::Warn | Validation::Strict => bad(format!("error decoding patch: {problem}")),
        };
        let value: Value = serde_json::from_slice(body).map_err(|_| undecodable(go_json::problem(body)))?;
        let found = go_json::kind(&value);
        let patch = match (kind, value) {
            (PatchType::Merge, Value::Null) => Err(bad("Invalid JSON Patch".to_owned())),
            (PatchType::Merge, value @ Value::Object(_)) => Ok(Self::Merge(value)),
            (PatchType::Merge, _) => Err(undecodable(format!(
                "json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
            ))),
            (PatchType::Json, Value::Null) => Ok(Self::Json(json_patch::Patch(Vec::new()))),
            (PatchType::Json, Value::Array(operations)) => {
                if operations.len() > MOST_OPERATIONS {
                    return Err(Status::new(
                        Reason::RequestEntityTooLarge,
                        format!(
                            "Request entity too large: The allowed maximum operations in a JSON patch is {MOST_OPERATIONS}, got {}",
                            operations.len()
                        ),
                    ));
                }
                // What is no operation is found when it is to be done, there.
                serde_json::from_value(Value::Array(operations)).map(Self::Json).map_err(|_| rejected())
            }
            (PatchType::Json, _) => Err(undecodable(format!(
                "json: cannot unmarshal {found} into Go value of type []handlers.jsonPatchOp"
            ))),
        }?;
        let strict = match validation {
            Validation::Ignore => Vec::new(),
            Validation::Warn | Validation::Strict => strict(kind, body),
        };
        Ok((patch, strict))
    }

    /// The object with the patch.
    pub(super) fn apply(&self, object: &Value) -> Result<Value, Status> {
        let mut object = object.clone();
        match self {
            Self::Json(patch) => operate(&mut object, patch)?,
            Self::Merge(patch) => json_patch::merge(&mut object, patch),
        }
        Ok(object)
    }
}

/// What of a patch is unknown or there twice.
fn strict(kind: PatchType, body: &[u8]) -> Vec<String> {
    // It was read as JSON before.
    let Ok(raw) = serde_json::from_slice::<Raw<String>>(body) else { return Vec::new() };
    match kind {
        PatchType::Merge => fields::strict(&raw, &Value::Null, &Value::Null),
        PatchType::Json => {
            let operation = json!({"properties": {"op": null, "path": null, "from": null, "value": null}});
            let found = fields::strict(&raw, &json!({"items": operation}), &Value::Null);
            found.into_iter().map(|problem| format!("json patch {problem}")).collect()
        }
    }
}

/// Does one operation after the other, and does not let copies of copies grow without a bound.
fn operate(object: &mut Value, patch: &json_patch::Patch) -> Result<(), Status> {
    let mut copied = 0;
    for operation in &patch.0 {
        if reach(object, operation) > DEEPEST {
            return Err(rejected());
        }
        if let PatchOperation::Copy(copy) = operation {
            copied += copy.from.resolve(object).map_or(0, weight);
            if copied > MOST_COPIED {
                return Err(rejected());
            }
        }
        json_patch::patch(object, std::slice::from_ref(operation)).map_err(|_| rejected())?;
    }
    Ok(())
}

/// How deep what an operation puts somewhere will be. The object is never deeper than [`DEEPEST`], so looking is cheap.
fn reach(object: &Value, operation: &PatchOperation) -> usize {
    let of = |from: &json_patch::jsonptr::Pointer| from.resolve(object).map_or(0, depth);
    match operation {
        PatchOperation::Add(add) => add.path.count() + depth(&add.value),
        PatchOperation::Replace(replace) => replace.path.count() + depth(&replace.value),
        PatchOperation::Copy(copy) => copy.path.count() + of(&copy.from),
        PatchOperation::Move(moved) => moved.path.count() + of(&moved.from),
        PatchOperation::Remove(_) | PatchOperation::Test(_) => 0,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

/// About as many bytes as a value takes.
fn weight(value: &Value) -> usize {
    const OVERHEAD: usize = 32;
    OVERHEAD
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(weight).sum(),
            Value::Object(fields) => fields.iter().map(|(key, value)| key.len() + weight(value)).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
}

fn bad(message: String) -> Status {
    Status::new(Reason::BadRequest, message)
}

/// 422 in the few words that kube-apiserver has for it.
fn rejected() -> Status {
    Status::new(Reason::Invalid, "the server rejected our request due to an error in our request")
        .with_details(Details::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(operations: Value) -> Patch {
        let body = serde_json::to_vec(&operations).unwrap();
        Patch::read(PatchType::Json, &body, Validation::Ignore).unwrap().0
    }

    #[test]
    fn no_operation_puts_anything_deeper_than_a_body_may_be() {
        let mut nested = json!(0);
        for _ in 0..100 {
            nested = json!({"a": nested});
        }
        let below = format!("/n{}", "/a".repeat(100));
        for operation in ["move", "copy"] {
            let operations = json!([
                {"op": "add", "path": "/a", "value": nested},
                {"op": "add", "path": "/n", "value": nested},
                {"op": operation, "from": "/a", "path": below},
            ]);
            let status = patch(operations).apply(&json!({})).unwrap_err();
            assert_eq!(status.reason(), Reason::Invalid, "{operation}");
        }
        let operations =
            json!([{"op": "add", "path": "/a", "value": nested}, {"op": "move", "from": "/a", "path": "/b"}]);
        assert_eq!(patch(operations).apply(&json!({})).unwrap(), json!({"b": nested}));
    }
}
