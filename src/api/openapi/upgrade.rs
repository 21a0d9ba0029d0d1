//! Makes version 3 of version 2: ours use few of its words.

use serde_json::{Map, Value, json};

/// The document of a group in OpenAPI 3.
pub(super) fn to_v3(v2: &Value) -> Value {
    let mut paths = Map::new();
    for (path, item) in v2["paths"].as_object().into_iter().flatten() {
        paths.insert(path.clone(), item_of(item));
    }
    let mut schemas = v2["definitions"].clone();
    references(&mut schemas);
    json!({
        "openapi": "3.0.0",
        "info": v2["info"],
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

fn item_of(item: &Value) -> Value {
    let mut upgraded = Map::new();
    for (key, value) in item.as_object().into_iter().flatten() {
        let value = match key.as_str() {
            "parameters" => Value::Array(parameters(value)),
            _ => operation(value),
        };
        upgraded.insert(key.clone(), value);
    }
    Value::Object(upgraded)
}

fn operation(old: &Value) -> Value {
    let mut operation = old.as_object().cloned().unwrap_or_default();
    operation.remove("schemes");
    let produces = operation.remove("produces").unwrap_or_default();
    let consumes = operation.remove("consumes").unwrap_or_default();
    let all = old["parameters"].as_array().cloned().unwrap_or_default();
    operation.insert("parameters".to_owned(), Value::Array(parameters(&old["parameters"])));
    if let Some(body) = all.iter().find(|parameter| parameter["in"] == "body") {
        let content = content(&consumes, &body["schema"]);
        operation.insert("requestBody".to_owned(), json!({"required": true, "content": content}));
    }
    if let Some(Value::Object(responses)) = operation.get_mut("responses") {
        for response in responses.values_mut() {
            let schema = response.as_object_mut().and_then(|response| response.remove("schema"));
            if let Some(schema) = schema {
                response["content"] = content(&produces, &schema);
            }
        }
    }
    Value::Object(operation)
}

fn content(types: &Value, schema: &Value) -> Value {
    let mut schema = schema.clone();
    references(&mut schema);
    let types = types.as_array().into_iter().flatten().filter_map(Value::as_str);
    types.map(|name| (name.to_owned(), json!({"schema": schema}))).collect::<Map<_, _>>().into()
}

/// All but the body, with their type in a schema.
fn parameters(old: &Value) -> Vec<Value> {
    let old = old.as_array().into_iter().flatten().filter(|parameter| parameter["in"] != "body");
    old.map(|parameter| {
        let mut parameter = parameter.as_object().cloned().unwrap_or_default();
        let keys = ["type", "uniqueItems"];
        let schema: Map<_, _> =
            keys.iter().filter_map(|key| Some(((*key).to_owned(), parameter.remove(*key)?))).collect();
        parameter.insert("schema".to_owned(), schema.into());
        parameter.into()
    })
    .collect()
}

/// Where schemas are found; what stands beside a reference is not looked at in version 3 unless it is wrapped.
fn references(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(references);
            if let Some(Value::String(reference)) = map.get("$ref") {
                let reference = reference.replace("#/definitions/", "#/components/schemas/");
                if map.len() == 1 {
                    map.insert("$ref".to_owned(), reference.into());
                } else {
                    map.remove("$ref");
                    map.insert("allOf".to_owned(), json!([{"$ref": reference}]));
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(references),
        _ => {}
    }
}
