use std::collections::HashMap;

use super::{Better, Cell, Earlier, Figure, Findings, Kind, Report, Table, Unit, short};
use crate::measure::Spread;

/// What got slower or faster since an earlier run. A figure counts where the two runs' rounds do not overlap and the
/// medians are further apart than its kind's noise; an absolute one is shown beside it, since it is the machine's as
/// well.
pub(crate) fn compare(old: &Earlier, new: &Report) -> Findings {
    let before: HashMap<&str, &Figure> = old
        .sections
        .iter()
        .flat_map(|section| &section.figures)
        .map(|figure| (figure.name.as_str(), figure))
        .collect();
    let mut table = Table::new("", &["figure", "before", "now", "change", ""]);
    let mut slower = 0;
    for figure in new.sections.iter().flat_map(|section| &section.figures) {
        let Some(before) = before.get(figure.name.as_str()) else { continue };
        let verdict = judge(before, figure, !(old.full && new.full));
        slower += usize::from(verdict == Verdict::Slower);
        table.rows.push(vec![
            figure.name.as_str().into(),
            Cell::spread(before.spread, before.unit),
            Cell::spread(figure.spread, figure.unit),
            change(before.spread.median, figure.spread.median).as_str().into(),
            verdict.words().into(),
        ]);
    }
    let mut findings = Findings {
        name: "compare".to_owned(),
        title: format!("since the run of {}", old.began),
        notes: notes(old, new),
        ..Findings::default()
    };
    if table.rows.is_empty() {
        findings.notes.push("The two runs have no figure in common: were the same sections run?".to_owned());
        return findings;
    }
    findings.tables.push(table);
    let slower = Spread::of([slower as f64]);
    findings.promise("figures that got slower", slower, Better::Lower, 0.0, Unit::Count);
    findings
}

/// In what the two runs differ besides.
fn notes(old: &Earlier, new: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    if (old.machine.cores, &old.machine.processor) != (new.machine.cores, &new.machine.processor) {
        let (processor, cores) = (&old.machine.processor, old.machine.cores);
        notes.push(format!("The earlier run was on another machine: {processor}, {cores} cores."));
    }
    if old.full != new.full {
        let [before, now] = [old.full, new.full].map(|full| if full { "full" } else { "quick" });
        notes.push(format!(
            "The earlier run was a {before} one and this is a {now} one: a quick one's rounds are short, and its \
             figures further apart by themselves."
        ));
    }
    notes
}

fn change(before: f64, now: f64) -> String {
    // From nothing to something is no percentage.
    if before == 0.0 {
        return if now == 0.0 { "0 %".to_owned() } else { String::new() };
    }
    let change = (now / before - 1.0) * 100.0;
    format!("{}{} %", if change > 0.0 { "+" } else { "" }, short(change))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Slower,
    Faster,
    Same,
    /// Further apart than rounds explain, but the machine may be the reason.
    Absolute,
}

impl Verdict {
    fn words(self) -> &'static str {
        match self {
            Self::Slower => "SLOWER",
            Self::Faster => "faster",
            Self::Same => "",
            Self::Absolute => "(absolute: may be the machine)",
        }
    }
}

/// Less than this share is noise, whatever the rounds say.
fn noise(kind: Kind, quick: bool) -> f64 {
    match (kind, quick) {
        // Rounds are few, and leave less of the memory's chance to be seen.
        (Kind::Stable, _) => 0.1,
        // Two equal quick runs were seen to be 16 % apart: what short rounds have in common is not the code's.
        (Kind::Ratio | Kind::Absolute, true) => 0.2,
        (Kind::Ratio | Kind::Absolute, false) => 0.05,
    }
}

fn judge(before: &Figure, now: &Figure, quick: bool) -> Verdict {
    let Spread { median, least, most, .. } = now.spread;
    let apart = least > before.spread.most || most < before.spread.least;
    let noise = noise(now.kind, quick) * before.spread.median.abs();
    if !apart || (median - before.spread.median).abs() <= noise {
        return Verdict::Same;
    }
    match (now.kind, (median > before.spread.median) == (now.better == Better::Higher)) {
        (Kind::Absolute, _) => Verdict::Absolute,
        (Kind::Ratio | Kind::Stable, true) => Verdict::Faster,
        (Kind::Ratio | Kind::Stable, false) => Verdict::Slower,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Machine;

    fn figure(rounds: [f64; 3], kind: Kind) -> Figure {
        let (name, unit) = ("x".to_owned(), Unit::Times);
        Figure { name, spread: Spread::of(rounds), unit, better: Better::Higher, kind }
    }

    fn ratio(rounds: [f64; 3]) -> Figure {
        figure(rounds, Kind::Ratio)
    }

    #[test]
    fn what_lies_within_the_rounds_or_the_noise_is_the_same() {
        let full = |before, now| judge(&ratio(before), &ratio(now), false);
        assert_eq!(full([1.0, 1.2, 1.4], [1.3, 1.5, 1.6]), Verdict::Same);
        assert_eq!(full([1.0; 3], [0.96; 3]), Verdict::Same);
        assert_eq!(full([1.0; 3], [0.9; 3]), Verdict::Slower);
        let stable =
            |before, now| judge(&figure([before; 3], Kind::Stable), &figure([now; 3], Kind::Stable), true);
        assert_eq!(stable(1.0, 0.92), Verdict::Same);
        assert_eq!(stable(1.0, 0.88), Verdict::Slower);
        assert_eq!(stable(0.0, 0.0), Verdict::Same);
    }

    #[test]
    fn a_quick_run_has_more_noise() {
        let quick = |now| judge(&ratio([1.0; 3]), &ratio([now; 3]), true);
        assert_eq!(quick(0.85), Verdict::Same);
        assert_eq!(quick(0.75), Verdict::Slower);
    }

    #[test]
    fn a_ratio_that_falls_is_slower_and_an_absolute_number_may_be_the_machine() {
        let of = |before, now, kind| judge(&figure(before, kind), &figure(now, kind), false);
        assert_eq!(of([1.0, 1.2, 1.4], [0.7, 0.8, 0.9], Kind::Ratio), Verdict::Slower);
        assert_eq!(of([0.7, 0.8, 0.9], [1.0, 1.2, 1.4], Kind::Ratio), Verdict::Faster);
        assert_eq!(of([1.0; 3], [0.5; 3], Kind::Absolute), Verdict::Absolute);
    }

    #[test]
    fn a_report_that_was_written_is_compared_with_the_next() {
        let machine = Machine { processor: "p".to_owned(), cores: 2, memory_gb: 1, kernel: "k".to_owned() };
        let mut report =
            Report { began: "then".to_owned(), seconds: 1.0, full: true, machine, sections: Vec::new() };
        let mut findings = Findings::default();
        findings.ratio("a/ratio", Spread::of([2.0, 2.1]));
        findings.ratio("gone", Spread::of([1.0]));
        findings.ratio("never measured", Spread::of([f64::NAN]));
        report.sections.push(findings);
        let written = serde_json::to_string(&report).unwrap();
        assert!(!written.contains("null"), "{written}");
        let old: Earlier = serde_json::from_str(&written).unwrap();

        let mut findings = Findings::default();
        findings.ratio("a/ratio", Spread::of([1.0, 1.1]));
        findings.ratio("new", Spread::of([1.0]));
        (report.sections, report.full) = (vec![findings], false);
        let compared = compare(&old, &report);
        assert_eq!(compared.tables[0].rows.len(), 1);
        assert_eq!(compared.promises[0].measured.median, 1.0);
        assert!(!compared.promises[0].kept());
        assert!(compared.notes[0].contains("full one and this is a quick one"), "{:?}", compared.notes);
    }
}
