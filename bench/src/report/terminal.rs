use std::io::Write;

use anyhow::Result;
use comfy_table::{CellAlignment, ContentArrangement, Table as Grid, presets};

use super::{Better, Cell, Findings, Promise, Table, short};

/// Prints what a section found.
pub(crate) fn print_findings(out: &mut impl Write, findings: &Findings) -> Result<()> {
    writeln!(out, "\n== {}: {} ==", findings.name, findings.title)?;
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
    let (measured, bound, sign) = (short(promise.measured), short(promise.bound), promise.unit.sign());
    format!("{mark}  {}: {measured} {sign} (promised {relation} {bound} {sign})", promise.what)
}

/// A cell's words; the spread only where there is one.
pub(super) fn words(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => text.clone(),
        Cell::Number { spread, unit } if spread.least == spread.most => {
            format!("{} {}", short(spread.median), unit.sign()).trim_end().to_owned()
        }
        Cell::Number { spread, unit } => format!(
            "{} {} ({}–{})",
            short(spread.median),
            unit.sign(),
            short(spread.least),
            short(spread.most)
        ),
    }
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
