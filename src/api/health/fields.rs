//! Whether what was sent is made of the fields that there are, by the schemas that OpenAPI shows, in the words of
//! sigs.k8s.io/json.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::VERSION;
use super::super::go_json;
use super::raw::Raw;

/// So many problems are told.
pub(super) const MOST: usize = 100;
/// Of a path in a problem, letters: bodies are large, and so may names in them be.
pub(super) const LONGEST: usize = 1024;

/// Fields that nobody knows and fields that are there twice, in the order in which they stand. A schema that is null
/// knows all.
pub(super) fn strict(value: &Raw<String>, schema: &Value, definitions: &Value) -> Vec<String> {
    let mut found = Vec::new();
    look(value, schema, definitions, &Trail::Root, &mut found);
    found
}

/// Where a value stands. It is written out for a problem only: paths of every value would be as large as the body is,
/// times its length.
enum Trail<'a> {
    Root,
    Field(&'a Trail<'a>, &'a str),
    Item(&'a Trail<'a>, usize),
}

impl Trail<'_> {
    /// As people read it, no longer than [`LONGEST`] letters.
    fn write(&self, text: &mut String, left: &mut usize) {
        match self {
            Self::Root => {}
            Self::Field(Self::Root, key) => push(text, left, key.chars()),
            Self::Field(above, key) => {
                above.write(text, left);
                push(text, left, std::iter::once('.').chain(key.chars()));
            }
            Self::Item(above, index) => {
                above.write(text, left);
                push(text, left, format!("[{index}]").chars());
            }
        }
    }

    fn text(&self) -> String {
        let (mut text, mut left) = (String::new(), LONGEST);
        self.write(&mut text, &mut left);
        text
    }
}

fn push(text: &mut String, left: &mut usize, letters: impl Iterator<Item = char>) {
    for letter in letters.take(*left) {
        text.push(letter);
        *left -= 1;
    }
}

fn look(
    value: &Raw<String>,
    schema: &Value,
    definitions: &Value,
    trail: &Trail<'_>,
    found: &mut Vec<String>,
) {
    if found.len() >= MOST {
        return;
    }
    let schema = resolve(schema, definitions);
    match value {
        Raw::Object(fields) => {
            let mut seen = BTreeSet::new();
            for (key, value) in fields {
                let below = Trail::Field(trail, key);
                let field = match (&schema["properties"], &schema["additionalProperties"]) {
                    (Value::Object(properties), _) => properties.get(key),
                    // A map, or something that nobody describes.
                    (_, any) => Some(any),
                };
                let Some(field) = field else {
                    tell(found, format!("unknown field {:?}", below.text()));
                    continue;
                };
                if !seen.insert(key) {
                    tell(found, format!("duplicate field {:?}", below.text()));
                }
                look(value, field, definitions, &below, found);
            }
        }
        Raw::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                look(item, &schema["items"], definitions, &Trail::Item(trail, index), found);
            }
        }
        Raw::Leaf(_) => {}
    }
}

fn tell(found: &mut Vec<String>, problem: String) {
    if found.len() < MOST && !found.contains(&problem) {
        found.push(problem);
    }
}

/// The first value that is of another type than its field. `kind` is what the whole is called.
pub(super) fn mistyped(value: &Value, schema: &Value, definitions: &Value, kind: &str) -> Option<String> {
    let place = Place { owner: "", path: "", name: format!("{VERSION}.{kind}") };
    compare(value, schema, definitions, &place)
}

/// Where a value stands, as Go sees it: in which struct, behind which fields, and what its own type is called if it
/// is a struct. Elements of lists and maps stand where these do.
struct Place<'a> {
    owner: &'a str,
    path: &'a str,
    name: String,
}

fn compare(value: &Value, schema: &Value, definitions: &Value, place: &Place<'_>) -> Option<String> {
    let known = resolve(schema, definitions);
    match (value, known["type"].as_str()?) {
        (Value::Null, _) | (Value::String(_), "string") | (Value::Bool(_), "boolean") => None,
        (Value::Number(_), "number") => None,
        (Value::Number(number), "integer") if number.is_i64() => None,
        (Value::Object(fields), "object") => {
            fields.iter().find_map(|(key, value)| match known["properties"].get(key) {
                Some(field) => {
                    let own = place.name.rsplit('.').next().unwrap_or_default();
                    let (path, name) = (join(place.path, key), struct_name(field, own, key));
                    compare(value, field, definitions, &Place { owner: own, path: &path, name })
                }
                None => {
                    let element = &known["additionalProperties"];
                    let name = struct_name(element, "", "");
                    compare(value, element, definitions, &Place { name, ..*place })
                }
            })
        }
        (Value::Array(items), "array") => {
            let name = place.name.clone();
            let place = Place { name, ..*place };
            items.iter().find_map(|item| compare(item, &known["items"], definitions, &place))
        }
        _ => {
            let found = match value {
                Value::Number(number) if known["type"] == "integer" => format!("number {number}"),
                _ => go_json::kind(value).to_owned(),
            };
            let expected = go_type(schema, definitions, &place.name);
            let Place { owner, path, .. } = place;
            Some(format!(
                "json: cannot unmarshal {found} into Go struct field {owner}.{path} of type {expected}"
            ))
        }
    }
}

/// What Go calls the type of a field.
fn go_type(schema: &Value, definitions: &Value, name: &str) -> String {
    let known = resolve(schema, definitions);
    let below = |element: &Value| go_type(element, definitions, name);
    match known["type"].as_str().unwrap_or_default() {
        "string" if known["format"] == "byte" => "[]uint8".to_owned(),
        "boolean" => "bool".to_owned(),
        "integer" => known["format"].as_str().unwrap_or("int64").to_owned(),
        "number" => "float64".to_owned(),
        "array" => format!("[]{}", below(&known["items"])),
        "object" if known["additionalProperties"].is_object() => {
            format!("map[string]{}", below(&known["additionalProperties"]))
        }
        "object" => name.to_owned(),
        other => other.to_owned(),
    }
}

/// What Go calls a struct: by its schema, or after the field of another one that it is described in.
fn struct_name(schema: &Value, owner: &str, key: &str) -> String {
    let element = if schema["items"].is_object() { &schema["items"] } else { schema };
    match element["$ref"].as_str().and_then(|reference| reference.rsplit('.').next()) {
        Some(name) => format!("v1.{name}"),
        None => {
            let mut letters = key.chars();
            let first = letters.next().map(|first| first.to_ascii_uppercase());
            format!("{VERSION}.{owner}{}{}", first.map(String::from).unwrap_or_default(), letters.as_str())
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
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

    fn definitions() -> Value {
        json!({"x.v1.Meta": {"type": "object", "properties": {
            "name": {"type": "string"},
            "generation": {"type": "integer", "format": "int64"},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        }}})
    }

    fn schema() -> Value {
        json!({"type": "object", "properties": {
            "metadata": {"$ref": "#/definitions/x.v1.Meta"},
            "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "boolean"}}}},
            "free": {"type": "object"},
        }})
    }

    fn check(text: &str) -> Vec<String> {
        strict(&serde_json::from_str(text).unwrap(), &schema(), &definitions())
    }

    #[test]
    fn fields_are_known_by_their_paths_and_told_in_their_order() {
        assert!(
            check(r#"{"metadata": {"labels": {"x": "y"}}, "list": [{"a": true}], "free": {"b": 1}}"#)
                .is_empty()
        );
        assert_eq!(
            check(r#"{"x": {}, "list": [{"b": 1}], "metadata": {"nope": {"a": 1, "a": 2}}, "x": 1}"#),
            [r#"unknown field "x""#, r#"unknown field "list[0].b""#, r#"unknown field "metadata.nope""#]
        );
    }

    #[test]
    fn fields_are_there_once() {
        assert_eq!(
            check(
                r#"{"list": [], "metadata": {"name": "a", "labels": {"b": "", "b": ""}, "name": "c", "name": ""},
                      "list": [{"a": true, "a": true}], "free": {"d": {"e": 1, "e": 2}}}"#
            ),
            [
                r#"duplicate field "metadata.labels.b""#,
                r#"duplicate field "metadata.name""#,
                r#"duplicate field "list""#,
                r#"duplicate field "list[0].a""#,
                r#"duplicate field "free.d.e""#,
            ]
        );
        let long = "x".repeat(1 << 20);
        let found = check(&format!(r#"{{"free": {{"{long}": {{"a": 1, "a": 2, "a": 3}}}}}}"#));
        assert_eq!((found.len(), found[0].len()), (1, LONGEST + r#"duplicate field """#.len()));
        let many: Vec<String> = (0..200).map(|number| format!("\"{number}\":0")).collect();
        assert_eq!(check(&format!("{{{}}}", many.join(","))).len(), MOST);
    }

    #[test]
    fn types_are_those_of_go() {
        let wrong = |value: Value| mistyped(&value, &schema(), &definitions(), "Kind");
        assert_eq!(wrong(json!({"metadata": null, "list": [], "free": {"a": 1}})), None);
        for (value, words) in [
            (json!({"list": [{"a": "x"}]}), "string into Go struct field KindList.list.a of type bool"),
            (json!({"list": [5]}), "number into Go struct field Kind.list of type v1alpha1.KindList"),
            (json!({"list": {}}), "object into Go struct field Kind.list of type []v1alpha1.KindList"),
            (json!({"metadata": 5}), "number into Go struct field Kind.metadata of type v1.Meta"),
            (
                json!({"metadata": {"labels": {"a": 1}}}),
                "number into Go struct field Meta.metadata.labels of type string",
            ),
            (
                json!({"metadata": {"labels": 1}}),
                "number into Go struct field Meta.metadata.labels of type map[string]string",
            ),
            (
                json!({"metadata": {"generation": 1.5}}),
                "number 1.5 into Go struct field Meta.metadata.generation of type int64",
            ),
            (
                json!({"metadata": {"generation": "1"}}),
                "string into Go struct field Meta.metadata.generation of type int64",
            ),
        ] {
            assert_eq!(wrong(value).unwrap(), format!("json: cannot unmarshal {words}"));
        }
    }
}
