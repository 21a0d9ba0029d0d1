use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::{Figure, Machine};

/// What comparisons need of an earlier run's report.json: it may be from another version of this suite, with other
/// tables.
#[derive(Debug, Deserialize)]
pub(crate) struct Earlier {
    /// When it began, RFC 3339.
    pub(crate) began: String,
    /// Whether rounds were long.
    pub(crate) full: bool,
    /// Where it ran.
    pub(crate) machine: Machine,
    /// What each section found.
    pub(crate) sections: Vec<Section>,
}

/// What a section found.
#[derive(Debug, Deserialize)]
pub(crate) struct Section {
    /// What it is compared by.
    pub(crate) figures: Vec<Figure>,
}

impl Earlier {
    /// Reads one that was written.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} is not the report.json of this suite", path.display()))
    }
}
