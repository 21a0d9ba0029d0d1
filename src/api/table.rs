//! Objects as rows (meta.k8s.io Table).

use serde::Serialize;
use serde_json::Value;

use crate::model::{Query, Reason, Status};

use super::Api;
use super::meta::{ListMeta, Partial};
use super::resource::{Object, Resource, Shown};

/// `includeObject`: how much of an object goes along with its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Include {
    None,
    Metadata,
    Object,
}

/// `metav1.TableColumnDefinition`
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Column {
    name: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    format: &'static str,
    description: &'static str,
    priority: u8,
}

/// `metav1.Table`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Table<'a> {
    kind: &'static str,
    api_version: String,
    metadata: ListMeta,
    /// None: those who watch were told with the first row.
    column_definitions: Option<&'static [Column]>,
    rows: Vec<Row<'a>>,
}

/// `metav1.TableRow`
#[derive(Debug, Serialize)]
pub(super) struct Row<'a> {
    cells: Vec<Value>,
    object: RowObject<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum RowObject<'a> {
    None,
    Metadata(Partial<'a>),
    Object(Box<Shown<'a>>),
}

impl Include {
    pub(super) fn of(query: &Query<'_>) -> Result<Self, Status> {
        match query.first("includeObject").as_deref() {
            None | Some("" | "Metadata") => Ok(Self::Metadata),
            Some("None") => Ok(Self::None),
            Some("Object") => Ok(Self::Object),
            Some(other) => Err(Status::new(
                Reason::BadRequest,
                format!(
                    "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must be 'Metadata', 'Object', 'None', or empty"
                ),
            )),
        }
    }
}

impl Column {
    pub(super) const fn new(
        name: &'static str,
        kind: &'static str,
        format: &'static str,
        description: &'static str,
        priority: u8,
    ) -> Self {
        Self { name, kind, format, description, priority }
    }
}

impl<'a> Row<'a> {
    /// An object by its resourceVersion, in a version of meta.k8s.io.
    pub(super) fn new(object: Object<'a>, of: u64, version: &str, include: Include, api: &Api) -> Self {
        Self {
            cells: object.cells(api),
            object: match include {
                Include::None => RowObject::None,
                Include::Metadata => RowObject::Metadata(Partial::new(object.metadata(of, api), version)),
                Include::Object => RowObject::Object(Box::new(object.show(of, api))),
            },
        }
    }
}

impl<'a> Table<'a> {
    /// Of objects, each by its resourceVersion, in a version of meta.k8s.io.
    pub(super) fn new(
        resource: Resource,
        objects: impl Iterator<Item = (Object<'a>, u64)>,
        metadata: ListMeta,
        version: &str,
        include: Include,
        api: &Api,
    ) -> Self {
        let rows = objects.map(|(object, of)| Row::new(object, of, version, include, api));
        Self {
            kind: "Table",
            api_version: format!("meta.k8s.io/{version}"),
            metadata,
            column_definitions: Some(resource.columns()),
            rows: rows.collect(),
        }
    }

    /// One row that says nothing but a resourceVersion, and perhaps that the initial events are over.
    pub(super) fn bookmark(
        resource: Resource,
        partial: Partial<'a>,
        metadata: ListMeta,
        version: &str,
        include: Include,
    ) -> Self {
        let cells = resource.columns().iter().map(|_| "".into()).collect();
        let object = if include == Include::None { RowObject::None } else { RowObject::Metadata(partial) };
        Self {
            kind: "Table",
            api_version: format!("meta.k8s.io/{version}"),
            metadata,
            column_definitions: Some(resource.columns()),
            rows: vec![Row { cells, object }],
        }
    }

    /// Without the columns.
    pub(super) fn without_columns(self) -> Self {
        Self { column_definitions: None, ..self }
    }
}
