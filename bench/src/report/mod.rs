//! What a run found, as a terminal table, as JSON and as one HTML file.

mod compare;
mod html;
mod machine;
mod number;
mod plot;
mod terminal;

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

pub(crate) use compare::compare;
pub(crate) use machine::Machine;
pub(crate) use number::{Unit, short};
pub(crate) use terminal::print_findings;

use crate::measure::Spread;

/// A whole run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// When it began, RFC 3339.
    pub(crate) began: String,
    /// How long it took, in seconds.
    pub(crate) seconds: f64,
    /// Whether rounds were long.
    pub(crate) full: bool,
    /// Where it ran.
    pub(crate) machine: Machine,
    /// What each section found, in their order.
    pub(crate) sections: Vec<Findings>,
}

/// What a section found.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Findings {
    /// Its name on the command line.
    pub(crate) name: String,
    /// Its title.
    pub(crate) title: String,
    /// What was done, for somebody who was not there.
    pub(crate) notes: Vec<String>,
    /// Its tables.
    pub(crate) tables: Vec<Table>,
    /// Its plots.
    pub(crate) plots: Vec<Plot>,
    /// What later runs are compared by.
    pub(crate) figures: Vec<Figure>,
    /// Promises, kept or not.
    pub(crate) promises: Vec<Promise>,
}

/// A table.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// What is in a table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Cell {
    /// Words.
    Text(String),
    /// A median and its spread.
    Number { spread: Spread, unit: Unit },
}

/// Lines over an axis.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Plot {
    pub(crate) title: String,
    pub(crate) x: String,
    pub(crate) y: String,
    /// Whether the axes are logarithmic.
    pub(crate) log: (bool, bool),
    pub(crate) lines: Vec<Line>,
}

/// One of them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A number with a name that stays, for comparisons.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// `SECTION/WHAT/…`, unique in a report.
    pub(crate) name: String,
    pub(crate) spread: Spread,
    pub(crate) unit: Unit,
    pub(crate) better: Better,
    /// Whether it was measured against something in the same rounds, so that another machine, or a busy one, gives
    /// the same.
    pub(crate) ratio: bool,
}

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// A bound that the project keeps.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Promise {
    /// What it is about.
    pub(crate) what: String,
    /// The bound.
    pub(crate) bound: f64,
    /// The median that was measured.
    pub(crate) measured: f64,
    pub(crate) unit: Unit,
    pub(crate) better: Better,
}

impl Promise {
    /// Whether it is kept.
    pub(crate) fn kept(&self) -> bool {
        match self.better {
            Better::Higher => self.measured >= self.bound,
            Better::Lower => self.measured <= self.bound,
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Cell {
    /// A median and its spread.
    pub(crate) fn spread(spread: Spread, unit: Unit) -> Self {
        Self::Number { spread, unit }
    }

    /// Of rounds' values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>, unit: Unit) -> Self {
        Self::Number { spread: Spread::of(values), unit }
    }
}

impl Table {
    /// A table with these columns and no row yet.
    pub(crate) fn new(title: &str, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        Self { title: title.to_owned(), columns, rows: Vec::new() }
    }
}

impl Findings {
    /// A figure for comparisons with later runs.
    pub(crate) fn figure(&mut self, name: &str, spread: Spread, unit: Unit, better: Better, ratio: bool) {
        self.figures.push(Figure { name: name.to_owned(), spread, unit, better, ratio });
    }

    /// A ratio and the bound that it is promised to keep.
    pub(crate) fn promise(&mut self, what: &str, measured: f64, better: Better, bound: f64, unit: Unit) {
        self.promises.push(Promise { what: what.to_owned(), bound, measured, unit, better });
    }
}

impl Report {
    /// Writes `report.json` and `report.html` into a folder.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let write = |name: &str, content: String| {
            let path = folder.join(name);
            std::fs::write(&path, content).with_context(|| format!("writing {}", path.display()))
        };
        write("report.json", serde_json::to_string_pretty(self)?)?;
        write("report.html", html::page(self)?)
    }

    /// Reads one that was written.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} is not the report.json of this suite", path.display()))
    }

    /// Promises that were not kept.
    pub(crate) fn broken(&self) -> Vec<&Promise> {
        self.sections.iter().flat_map(|section| &section.promises).filter(|promise| !promise.kept()).collect()
    }
}
