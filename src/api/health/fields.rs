//! Whether what was sent is made of the fields that there are, by the schemas that OpenAPI shows.

use serde_json::Value;

use super::super::go_json;

/// Names of fields that nobody knows, with the path to them.
pub(super) fn unknown(value: &Value, schema: &Value, definitions: &Value) -> Vec<String> {
    let mut found = Vec::new();
    look(value, schema, definitions, "", &mut found);
    found
}

fn look(value: &Value, schema: &Value, definitions: &Value, path: &str, found: &mut Vec<String>) {
    let schema = resolve(schema, definitions);
    match value {
        Value::Object(fields) => {
            // A map of anything, or one that nobody describes.
            let Some(properties) = schema["properties"].as_object() else { return };
            for (key, value) in fields {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match properties.get(key) {
                    Some(schema) => look(value, schema, definitions, &below, found),
                    None => found.push(below),
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                look(item, &schema["items"], definitions, &format!("{path}[{index}]"), found);
            }
        }
        _ => {}
    }
}

/// The first value that is of another type than its field, in Go's words.
pub(super) fn mistyped(value: &Value, schema: &Value, definitions: &Value) -> Option<String> {
    compare(value, schema, definitions, "")
}

fn compare(value: &Value, schema: &Value, definitions: &Value, path: &str) -> Option<String> {
    let schema = resolve(schema, definitions);
    let expected = match (value, schema["type"].as_str()?) {
        (Value::Null, _) => return None,
        (Value::Object(fields), "object") => {
            return fields.iter().find_map(|(key, value)| {
                let schema = match &schema["properties"][key] {
                    Value::Null => &schema["additionalProperties"],
                    known => known,
                };
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(value, schema, definitions, &below)
            });
        }
        (Value::Array(items), "array") => {
            return items.iter().find_map(|item| compare(item, &schema["items"], definitions, path));
        }
        (Value::String(_), "string")
        | (Value::Bool(_), "boolean")
        | (Value::Number(_), "integer" | "number") => {
            return None;
        }
        (_, "boolean") => "bool",
        (_, "integer" | "number") => "int64",
        (_, "array") => "slice",
        (_, "object") => "struct",
        (_, other) => other,
    };
    Some(format!(
        "json: cannot unmarshal {} into Go struct field {path} of type {expected}",
        go_json::kind(value)
    ))
}

fn resolve<'a>(schema: &'a Value, definitions: &'a Value) -> &'a Value {
    match schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/definitions/")) {
        Some(name) => &definitions[name],
        None => schema,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_known_by_their_paths() {
        let definitions = json!({"Meta": {"type": "object", "properties": {
            "name": {"type": "string"},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        }}});
        let schema = json!({"type": "object", "properties": {
            "metadata": {"$ref": "#/definitions/Meta"},
            "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "boolean"}}}},
        }});
        let check = |value: Value| unknown(&value, &schema, &definitions);
        assert!(check(json!({"metadata": {"labels": {"x": "y"}}, "list": [{"a": true}]})).is_empty());
        assert_eq!(
            check(json!({"metadata": {"nope": 1}, "list": [{"b": 1}], "x": {}})),
            ["list[0].b", "metadata.nope", "x"]
        );
        let wrong = |value: Value| mistyped(&value, &schema, &definitions);
        assert_eq!(wrong(json!({"metadata": null, "list": []})), None);
        assert_eq!(
            wrong(json!({"list": [{"a": "x"}]})).unwrap(),
            "json: cannot unmarshal string into Go struct field list.a of type bool"
        );
        assert!(wrong(json!({"metadata": {"labels": {"a": 1}}})).is_some());
    }
}
