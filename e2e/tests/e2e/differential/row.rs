//! One line of a table.

use std::fmt;

use super::part::Part;
pub(super) use super::peer::Peer;
use super::peer::Place;

/// A request, and whom to compare with.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) method: &'static str,
    /// `{all}` is the collection, `{watch}` where it has always been watched, `{sub}` the subresource that is written, `{group}` and `{version}` what is above,
    /// `{now}` the resourceVersion of a list, `{next}` where a list of one object goes on, `{rest}` the same as of now.
    pub(super) target: String,
    pub(super) headers: Vec<(&'static str, String)>,
    /// `{rv}`, `{uid}`, `{apiVersion}` and `{kind}` are those of the object `one`.
    pub(super) body: Option<String>,
    pub(super) peer: Peer,
    pub(super) part: Part,
    /// Why the answers may differ.
    pub(super) differs: Option<&'static str>,
}

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Theirs,
    Ours,
    ThroughHub,
}

pub(super) const GROUP: &str = "cluster.core.oam.dev";
pub(super) const CUSTOM_GROUP: &str = "differential.example.com";
pub(super) const JSON: &str = "application/json";
pub(super) const YAML: &str = "application/yaml";
pub(super) const MERGE: &str = "application/merge-patch+json";
pub(super) const JSON_PATCH: &str = "application/json-patch+json";

/// A request without a body, compared with a built-in resource.
pub(super) fn row(method: &'static str, target: impl Into<String>) -> Row {
    Row {
        method,
        target: target.into(),
        headers: Vec::new(),
        body: None,
        peer: Peer::Secrets,
        part: Part::Everything,
        differs: None,
    }
}

/// GET
pub(super) fn get(target: impl Into<String>) -> Row {
    row("GET", target)
}

/// PUT of the subresource of an object.
pub(super) fn put(name_and_query: &str, content_type: &str, body: impl Into<String>) -> Row {
    write("PUT", name_and_query, content_type, body)
}

/// PATCH of the subresource of an object.
pub(super) fn patch(name_and_query: &str, content_type: &str, body: impl Into<String>) -> Row {
    write("PATCH", name_and_query, content_type, body)
}

fn write(method: &'static str, name_and_query: &str, content_type: &str, body: impl Into<String>) -> Row {
    let (name, query) = name_and_query.split_once('?').unwrap_or((name_and_query, ""));
    let query = if query.is_empty() { String::new() } else { format!("?{query}") };
    // Secrets have no subresource.
    let row = row(method, format!("{{all}}/{name}/{{sub}}{query}")).body(body).peer(Peer::Custom);
    if content_type.is_empty() { row } else { row.header("content-type", content_type) }
}

impl Row {
    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn accept(self, value: impl Into<String>) -> Self {
        self.header("accept", value)
    }

    pub(super) fn body(mut self, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self
    }

    pub(super) fn peer(mut self, peer: Peer) -> Self {
        self.peer = peer;
        self
    }

    /// Compares only a part.
    pub(super) fn part(mut self, part: Part) -> Self {
        self.part = part;
        self
    }

    pub(super) fn differs(mut self, why: &'static str) -> Self {
        self.differs = Some(why);
        self
    }

    /// What is asked, whoever is.
    pub(super) fn request(&self) -> (&str, &str, &[(&str, String)], Option<&str>) {
        (self.method, &self.target, &self.headers, self.body.as_deref())
    }

    /// Whether the hub passes it on to an aggregated apiserver.
    pub(super) fn is_below_version(&self) -> bool {
        ["{all}", "{version}"].iter().any(|start| self.target.starts_with(start))
    }

    /// Where a side has the resource.
    pub(super) fn place(&self, side: Side) -> Place {
        match side {
            Side::Theirs => self.peer.place(),
            Side::Ours | Side::ThroughHub => Place::ours(),
        }
    }

    /// What is asked of a side.
    pub(super) fn target_of(&self, side: Side) -> String {
        let place = self.place(side);
        let sub = if place.collection == collection(GROUP) { "health" } else { "status" };
        let target = self.target.replace("{openapi}", &format!("/openapi/v3{}", place.version));
        let target = target.replace("{all}", &place.collection).replace("{sub}", sub);
        let target = target.replace("{watch}", &place.watched());
        target.replace("{group}", place.group).replace("{version}", &place.version)
    }
}

/// The path of the collection in a group.
pub(super) fn collection(group: &str) -> String {
    format!("/apis/{group}/v1alpha1/clustergateways")
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} {:?}", self.method, self.target, self.peer)?;
        for (name, value) in &self.headers {
            write!(formatter, " {name}: {value}")?;
        }
        match &self.body {
            Some(body) => write!(formatter, " {:.120}", body),
            None => Ok(()),
        }
    }
}
