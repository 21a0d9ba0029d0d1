//! JSON and YAML as they were written: fields in their order, and as often as they are there.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use super::fields;

/// A value whose fields have names of type `K`.
#[derive(Debug)]
pub(super) enum Raw<K> {
    Object(Vec<(K, Self)>),
    Array(Vec<Self>),
    Leaf(Value),
}

impl<K: AsRef<str>> Raw<K> {
    /// The value; of a field that is there more than once the last one counts.
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Object(fields) => fields
                .iter()
                .map(|(key, value)| (key.as_ref().to_owned(), value.value()))
                .collect::<Map<_, _>>()
                .into(),
            Self::Array(items) => items.iter().map(Self::value).collect::<Vec<_>>().into(),
            Self::Leaf(value) => value.clone(),
        }
    }
}

impl From<Value> for Raw<String> {
    fn from(value: Value) -> Self {
        match value {
            Value::Object(fields) => {
                Self::Object(fields.into_iter().map(|(key, value)| (key, value.into())).collect())
            }
            Value::Array(items) => Self::Array(items.into_iter().map(Self::from).collect()),
            leaf => Self::Leaf(leaf),
        }
    }
}

/// The name of a field in YAML, and where it stands.
#[derive(Debug)]
pub(super) struct Placed(Spanned<String>);

impl AsRef<str> for Placed {
    fn as_ref(&self) -> &str {
        &self.0.value
    }
}

impl<'de> Deserialize<'de> for Placed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
    }
}

impl Raw<Placed> {
    /// The fields that are there once more, in the words of go-yaml.
    pub(super) fn repeated(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.look(&mut found);
        found
    }

    fn look(&self, found: &mut Vec<String>) {
        if found.len() >= fields::MOST {
            return;
        }
        match self {
            Self::Object(fields) => {
                let mut seen = BTreeSet::new();
                for (Placed(key), value) in fields {
                    if !seen.insert(key.value.as_str()) && found.len() < fields::MOST {
                        let line = key.referenced.line();
                        let name: String = key.value.chars().take(fields::LONGEST).collect();
                        found.push(format!("line {line}: key {name:?} already set in map"));
                    }
                    value.look(found);
                }
            }
            Self::Array(items) => items.iter().for_each(|item| item.look(found)),
            Self::Leaf(_) => {}
        }
    }
}

impl<'de, K: Deserialize<'de>> Deserialize<'de> for Raw<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any(PhantomData))
    }
}

/// Takes whatever comes.
struct Any<K>(PhantomData<K>);

impl<'de, K: Deserialize<'de>> Visitor<'de> for Any<K> {
    type Value = Raw<K>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Raw::Leaf(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(Raw::Leaf(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Raw::Leaf(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Raw::Leaf(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Raw::Leaf(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Raw::Leaf(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Raw::Leaf(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Self::Value, E> {
        Ok(Raw::Leaf(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = access.next_entry()? {
            fields.push(field);
        }
        Ok(Raw::Object(fields))
    }
}
