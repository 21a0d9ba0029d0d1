use bytes::Bytes;
use serde::Serialize;

use crate::model::{GroupName, Status};

use super::super::encode::{Encoding, json};
use super::super::meta::{ListMeta, ObjectMeta, Partial};
use super::super::negotiation::{Form, Wanted};
use super::super::protobuf;
use super::super::resource::{Object, Resource};
use super::super::table::{Include, Table};
use super::super::{Api, VERSION};

/// In front of an event in protobuf: its length, in network order.
pub(super) const PREFIX: usize = size_of::<u32>();

/// What has happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Added,
    Modified,
    Deleted,
}

/// Writes the events of one watch.
#[derive(Debug, Clone)]
pub(super) struct Encoder {
    form: Form,
    encoding: Encoding,
    include: Include,
    /// Whether rows have to say what their columns are: the first one does.
    columns: bool,
}

/// `metav1.WatchEvent`
#[derive(Serialize)]
struct Event<T> {
    #[serde(rename = "type")]
    kind: &'static str,
    object: T,
}

/// An object of a kind that has nothing but a resourceVersion.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Empty<'a> {
    kind: &'static str,
    api_version: String,
    metadata: ObjectMeta<'a>,
}

impl Encoder {
    pub(super) fn new(wanted: Wanted, include: Include) -> Self {
        Self { form: wanted.form, encoding: wanted.format.encoding, include, columns: true }
    }

    pub(super) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Equal for two events of one object that are written in the same way.
    pub(super) fn key(&self, resource: Resource, kind: Kind) -> u32 {
        let form = match self.form {
            Form::Plain => 0,
            Form::Partial("v1beta1") if self.encoding == Encoding::Protobuf => 5,
            Form::Partial(_) if self.encoding == Encoding::Protobuf => 6,
            Form::Partial("v1beta1") => 1,
            Form::Partial(_) => 2,
            Form::Table("v1beta1") => 3,
            Form::Table(_) => 4,
        };
        let row = matches!(self.form, Form::Table(_));
        let include = if row { self.include as u32 } else { 0 };
        let columns = u32::from(row && self.columns);
        form | include << 4 | columns << 8 | (kind as u32) << 12 | (resource as u32) << 16
    }

    /// An event was written, by us or by somebody else for us.
    pub(super) fn begun(&mut self) {
        self.columns = false;
    }

    /// An event of an object, by this resourceVersion.
    pub(super) fn event(
        &mut self,
        resource: Resource,
        kind: Kind,
        object: Object<'_>,
        version: u64,
        api: &Api,
    ) -> Bytes {
        let kind = match kind {
            Kind::Added => "ADDED",
            Kind::Modified => "MODIFIED",
            Kind::Deleted => "DELETED",
        };
        match self.form {
            Form::Plain => line(kind, object.show(version, api)),
            Form::Partial(group_version) => {
                self.partial(kind, Partial::new(object.metadata(version, api), group_version))
            }
            Form::Table(group_version) => {
                let metadata = ListMeta { resource_version: version, ..ListMeta::default() };
                let objects = std::iter::once((object, version));
                let table = Table::new(resource, objects, metadata, group_version, self.include, api);
                line(kind, self.with_columns(table))
            }
        }
    }

    /// That everything up to a resourceVersion is told.
    pub(super) fn bookmark(
        &mut self,
        resource: Resource,
        version: u64,
        initial_end: bool,
        api: &Api,
    ) -> Bytes {
        const KIND: &str = "BOOKMARK";
        let end = initial_end.then(|| ("k8s.io/initial-events-end".into(), "true"));
        let metadata = ObjectMeta {
            resource_version: version,
            annotations: end.into_iter().collect(),
            ..ObjectMeta::default()
        };
        match self.form {
            Form::Plain => line(KIND, empty(resource, metadata, &api.group)),
            Form::Partial(group_version) => self.partial(KIND, Partial::new(metadata, group_version)),
            Form::Table(group_version) => {
                let list = ListMeta { resource_version: version, ..ListMeta::default() };
                let partial = Partial::new(metadata, group_version);
                let include = if initial_end { Include::Metadata } else { self.include };
                let table = Table::bookmark(resource, partial, list, group_version, include);
                line(KIND, self.with_columns(table))
            }
        }
    }

    /// Why there is nothing to watch.
    pub(super) fn failure(&self, status: &Status) -> Bytes {
        if self.encoding == Encoding::Protobuf {
            return message("ERROR", &protobuf::status(status));
        }
        // The Status as it is written everywhere, less its newline.
        let status = status.to_json();
        let object = status.trim_ascii_end();
        [&b"{\"type\":\"ERROR\",\"object\":"[..], object, b"}\n"].concat().into()
    }

    fn partial(&self, kind: &'static str, partial: Partial<'_>) -> Bytes {
        match self.encoding {
            // Made of plain values by ourselves: nothing in it can fail to be written.
            Encoding::Protobuf => {
                message(kind, &protobuf::partial(&serde_json::to_value(partial).unwrap_or_default()))
            }
            Encoding::Json | Encoding::Yaml => line(kind, partial),
        }
    }

    fn with_columns<'a>(&mut self, table: Table<'a>) -> Table<'a> {
        match std::mem::replace(&mut self.columns, false) {
            true => table,
            false => table.without_columns(),
        }
    }
}

fn empty<'a>(resource: Resource, metadata: ObjectMeta<'a>, group: &GroupName) -> Empty<'a> {
    Empty { kind: resource.kind(), api_version: format!("{group}/{VERSION}"), metadata }
}

/// An event in protobuf, with its length.
fn message(kind: &str, object: &[u8]) -> Bytes {
    let event = protobuf::event(kind, object);
    // Metadata is bounded by what a Secret may hold.
    let length = u32::try_from(event.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], &event].concat().into()
}

fn line(kind: &'static str, object: impl Serialize) -> Bytes {
    // Made of plain values by ourselves: nothing in it can fail to be written.
    json(&Event { kind, object }, false).unwrap_or_default().into()
}
