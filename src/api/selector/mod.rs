//! `labelSelector` and `fieldSelector`: which objects of a list are wanted.

mod fields;
mod labels;

use crate::model::{Query, Reason, Status};

use fields::Fields;
use labels::Labels;

/// Both selectors of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Selectors {
    labels: Labels,
    fields: Fields,
}

impl Selectors {
    /// Those of a query, in the words of kube-apiserver where they cannot be read.
    pub(super) fn of(query: &Query<'_>) -> Result<Self, Status> {
        let bad = |message| Status::new(Reason::BadRequest, message);
        let text = |name| query.first(name).unwrap_or_default();
        Ok(Self {
            labels: Labels::parse(&text("labelSelector")).map_err(bad)?,
            fields: Fields::parse(&text("fieldSelector")).map_err(bad)?,
        })
    }

    /// The same, but of one object only.
    pub(super) fn named(mut self, name: &str) -> Result<Self, Status> {
        if !self.fields.restrict_to(name) {
            let message = "fieldSelector metadata.name doesn't match requested name";
            return Err(Status::new(Reason::BadRequest, message));
        }
        Ok(self)
    }

    /// Whether every object is wanted.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an object of no namespace fulfils every requirement.
    pub(super) fn choose<'a>(&self, name: &str, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.fields.choose(name) && self.labels.choose(label)
    }
}
