use anyhow::Result;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::terminal::{line, words};
use super::{Cell, Findings, Report, Table, plot, short};

const STYLE: &str = "
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75em; margin: 2em auto; padding: 0 1em; color: #222; }
table { border-collapse: collapse; margin: .5em 0 1.5em; }
th, td { border-bottom: 1px solid #ddd; padding: .25em .8em; text-align: left; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
small { color: #777; }
.kept { color: #176b2c; } .missed { color: #b00020; font-weight: 600; }
figure { display: inline-block; margin: 0 1em 1em 0; }
";

/// The whole report in one file that needs no other.
pub(super) fn page(report: &Report) -> Result<String> {
    let sections = report.sections.iter().map(section).collect::<Result<Vec<_>>>()?;
    let machine = &report.machine;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { "cluster-gateway: benchmarks of " (report.began) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "cluster-gateway: benchmarks" }
                p {
                    (report.began) ", " (if report.full { "full" } else { "quick" }) ", " (short(report.seconds)) " s on "
                    (machine.processor) ", " (machine.cores) " cores, " (machine.memory_gb) " GB, Linux " (machine.kernel)
                }
                p {
                    "Numbers are medians of interleaved rounds, with the least and the greatest of them. Ratios of one run "
                    "are the result; absolute numbers are this machine's."
                }
                @for section in sections { (section) }
            }
        }
    };
    Ok(page.into_string())
}

fn section(findings: &Findings) -> Result<Markup> {
    let plots = findings.plots.iter().map(plot::svg).collect::<Result<Vec<_>>>()?;
    Ok(html! {
        h2 id=(findings.name) { (findings.title) }
        p { small { (short(findings.seconds)) " s" } }
        @for note in &findings.notes { p { (note) } }
        @for found in &findings.tables { (table(found)) }
        @for promise in &findings.promises {
            p class=(if promise.kept() { "kept" } else { "missed" }) { (line(promise)) }
        }
        @for plot in plots { figure { (PreEscaped(plot)) } }
    })
}

fn table(table: &Table) -> Markup {
    html! {
        h3 { (table.title) }
        table {
            tr { @for column in &table.columns { th { (column) } } }
            @for row in &table.rows {
                tr {
                    @for cell in row {
                        @match cell {
                            Cell::Text(text) => td { (text) },
                            Cell::Number { .. } => td.number { (words(cell)) },
                        }
                    }
                }
            }
        }
    }
}
