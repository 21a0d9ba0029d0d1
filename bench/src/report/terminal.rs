use std::io::Write;

use anyhow::Result;
use comfy_table::{CellAlignment, ContentArrangement, Table as Grid, presets};

use super::{Better, Cell, Findings, Promise, Table, Unit, short};
use crate::measure::Spread;

/// Prints what a section found.
pub(crate) fn print_findings(out: &mut impl Write, findings: &Findings) -> Result<()> {
    let (name, title, seconds) = (&findings.name, &findings.title, short(findings.seconds));
    writeln!(out, "\n== {name}: {title} ({seconds} s) ==")?;
    for note in &findings.notes {
        writeln!(out, "   {note}")?;
    }
    for table in &findings.tables {
        writeln!(out, "\n{}\n{}", table.title, grid(table))?;
    }
    for promise in &findings.promises {
        writeln!(out, "{}", line(promise))?;
    }
    Ok(())
}

/// A promise in a line.
pub(super) fn line(promise: &Promise) -> String {
    let (mark, relation) = (
        if promise.kept() { "kept  " } else { "MISSED" },
        if promise.better == Better::Higher { "≥" } else { "≤" },
    );
    let measured = match promise.measured.rounds {
        0 => "not measured".to_owned(),
        _ => number(promise.measured, promise.unit),
    };
    let bound = format!("{} {}", short(promise.bound), promise.unit.sign());
    format!("{mark}  {}: {measured}, promised {relation} {}", promise.what, bound.trim_end())
}

/// A cell's words.
pub(super) fn words(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => text.clone(),
        Cell::Number { spread: Spread { rounds: 0, .. }, .. } => "–".to_owned(),
        Cell::Number { spread, unit } => number(*spread, *unit),
    }
}

/// The spread only where there is one.
fn number(spread: Spread, unit: Unit) -> String {
    let Spread { median, least, most, .. } = spread;
    let median = format!("{} {}", short(median), unit.sign());
    let median = median.trim_end();
    if least == most { median.to_owned() } else { format!("{median} ({}–{})", short(least), short(most)) }
}

fn grid(table: &Table) -> Grid {
    let mut grid = Grid::new();
    grid.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Disabled);
    grid.set_header(&table.columns);
    for row in &table.rows {
        grid.add_row(row.iter().map(|cell| {
            let number = matches!(cell, Cell::Number { .. });
            let align = if number { CellAlignment::Right } else { CellAlignment::Left };
            comfy_table::Cell::new(words(cell)).set_alignment(align)
        }));
    }
    grid
}
