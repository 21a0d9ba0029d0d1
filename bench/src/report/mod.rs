//! What a run found, as a terminal table, as JSON and as one HTML file.

mod compare;
mod earlier;
mod html;
mod machine;
mod number;
mod plot;
mod terminal;

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

pub(crate) use compare::compare;
pub(crate) use earlier::Earlier;
pub(crate) use machine::Machine;
pub(crate) use number::{Unit, short};
pub(crate) use terminal::print_findings;

use crate::measure::Spread;

/// A whole run.
#[derive(Debug, Serialize)]
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
#[derive(Debug, Default, Serialize)]
pub(crate) struct Findings {
    /// Its name on the command line.
    pub(crate) name: String,
    /// Its title.
    pub(crate) title: String,
    /// How long it took, in seconds.
    pub(crate) seconds: f64,
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
#[derive(Debug, Default, Serialize)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// What is in a table.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Cell {
    /// Words.
    Text(String),
    /// A median and its spread.
    Number { spread: Spread, unit: Unit },
}

/// Lines over an axis.
#[derive(Debug, Serialize)]
pub(crate) struct Plot {
    pub(crate) title: String,
    pub(crate) x: String,
    pub(crate) y: String,
    /// Whether the axes are logarithmic.
    pub(crate) log: (bool, bool),
    pub(crate) lines: Vec<Line>,
}

/// One of them.
#[derive(Debug, Serialize)]
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
    #[serde(default)]
    pub(crate) kind: Kind,
}

/// How far a figure may be compared with that of another run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// Measured against something in the same rounds, so that another machine, or a busy one, gives the same.
    Ratio,
    /// What no machine changes much: memory, numbers of things.
    Stable,
    /// The machine's as much as ours: times, rates.
    #[default]
    Absolute,
}

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// A bound that the project keeps.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Promise {
    /// What it is about.
    pub(crate) what: String,
    /// The bound.
    pub(crate) bound: f64,
    /// What was measured: its median counts.
    pub(crate) measured: Spread,
    pub(crate) unit: Unit,
    pub(crate) better: Better,
}

impl Promise {
    /// Whether it is kept. What could not be measured is not.
    pub(crate) fn kept(&self) -> bool {
        let kept = match self.better {
            Better::Higher => self.measured.median >= self.bound,
            Better::Lower => self.measured.median <= self.bound,
        };
        kept && self.measured.rounds > 0
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
    /// A figure for comparisons with later runs; none when nothing was measured.
    pub(crate) fn figure(&mut self, name: &str, spread: Spread, unit: Unit, better: Better, kind: Kind) {
        if spread.rounds > 0 {
            self.figures.push(Figure { name: name.to_owned(), spread, unit, better, kind });
        }
    }

    /// A ratio of which more is better.
    pub(crate) fn ratio(&mut self, name: &str, spread: Spread) {
        self.figure(name, spread, Unit::Times, Better::Higher, Kind::Ratio);
    }

    /// A ratio of what is paid: less is better.
    pub(crate) fn cost(&mut self, name: &str, spread: Spread) {
        self.figure(name, spread, Unit::Times, Better::Lower, Kind::Ratio);
    }

    /// A time in milliseconds, which is also the machine's.
    pub(crate) fn time(&mut self, name: &str, spread: Spread) {
        self.figure(name, spread, Unit::Milliseconds, Better::Lower, Kind::Absolute);
    }

    /// What was measured and the bound that it is promised to keep.
    pub(crate) fn promise(&mut self, what: &str, measured: Spread, better: Better, bound: f64, unit: Unit) {
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

    /// Promises that were not kept.
    pub(crate) fn broken(&self) -> Vec<&Promise> {
        self.sections.iter().flat_map(|section| &section.promises).filter(|promise| !promise.kept()).collect()
    }
}
