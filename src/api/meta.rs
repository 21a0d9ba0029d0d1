use std::borrow::Cow;

use serde::{Serialize, Serializer};

/// `metav1.ObjectMeta`, as far as it is known.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ObjectMeta<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) uid: &'a str,
    #[serde(skip_serializing_if = "is_zero", serialize_with = "as_text")]
    pub(super) resource_version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) creation_timestamp: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_map")]
    pub(super) labels: Vec<(Cow<'a, str>, &'a str)>,
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_map")]
    pub(super) annotations: Vec<(Cow<'a, str>, &'a str)>,
}

/// `metav1.ListMeta`
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListMeta {
    #[serde(serialize_with = "as_text")]
    pub(super) resource_version: u64,
    #[serde(rename = "continue", skip_serializing_if = "String::is_empty")]
    pub(super) cursor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remaining_item_count: Option<usize>,
}

/// `PartialObjectMetadata`
#[derive(Debug, Serialize)]
pub(super) struct Partial<'a> {
    kind: &'static str,
    #[serde(rename = "apiVersion")]
    api_version: String,
    metadata: ObjectMeta<'a>,
}

impl<'a> Partial<'a> {
    /// In a version of meta.k8s.io.
    pub(super) fn new(metadata: ObjectMeta<'a>, version: &str) -> Self {
        Self { kind: "PartialObjectMetadata", api_version: format!("meta.k8s.io/{version}"), metadata }
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn as_text<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

fn as_map<S: Serializer>(pairs: &[(Cow<'_, str>, &str)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
}
