use std::collections::HashMap;

use super::{Better, Cell, Figure, Findings, Report, Table, Unit, short};
use crate::measure::Spread;

/// Less than this is noise, whatever the rounds say.
const NOISE: f64 = 0.05;

/// What got slower or faster since an earlier run. A ratio counts where the two runs' rounds do not overlap and the
/// medians are further apart than noise; an absolute number is shown beside it, since it is the machine's as well.
pub(crate) fn compare(old: &Report, new: &Report) -> Findings {
    let before: HashMap<&str, &Figure> = figures(old).map(|figure| (figure.name.as_str(), figure)).collect();
    let mut table = Table::new("", &["figure", "before", "now", "change", ""]);
    let mut slower = 0;
    for figure in figures(new) {
        let Some(before) = before.get(figure.name.as_str()) else { continue };
        let verdict = judge(before, figure);
        slower += usize::from(verdict == Verdict::Slower);
        let change = (figure.spread.median / before.spread.median - 1.0) * 100.0;
        table.rows.push(vec![
            figure.name.as_str().into(),
            Cell::spread(before.spread, figure.unit),
            Cell::spread(figure.spread, figure.unit),
            format!("{}{} %", if change > 0.0 { "+" } else { "" }, short(change)).as_str().into(),
            verdict.words().into(),
        ]);
    }
    let mut findings = Findings {
        name: "compare".to_owned(),
        title: format!("since the run of {}", old.began),
        ..Findings::default()
    };
    if table.rows.is_empty() {
        findings.notes.push("The two runs have no figure in common: were the same sections run?".to_owned());
    }
    if (old.machine.cores, &old.machine.processor) != (new.machine.cores, &new.machine.processor) {
        let (processor, cores) = (&old.machine.processor, old.machine.cores);
        findings.notes.push(format!("The earlier run was on another machine: {processor}, {cores} cores."));
    }
    findings.tables.push(table);
    findings.promise("figures that got slower", slower as f64, Better::Lower, 0.0, Unit::Count);
    findings
}

fn figures(report: &Report) -> impl Iterator<Item = &Figure> {
    report.sections.iter().flat_map(|section| &section.figures)
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

fn judge(before: &Figure, now: &Figure) -> Verdict {
    let Spread { median, least, most } = now.spread;
    let apart = least > before.spread.most || most < before.spread.least;
    if !apart || (median - before.spread.median).abs() <= NOISE * before.spread.median.abs() {
        return Verdict::Same;
    }
    match (now.ratio, (median > before.spread.median) == (now.better == Better::Higher)) {
        (false, _) => Verdict::Absolute,
        (true, true) => Verdict::Faster,
        (true, false) => Verdict::Slower,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(rounds: [f64; 3], ratio: bool) -> Figure {
        let (name, unit) = ("x".to_owned(), Unit::Times);
        Figure { name, spread: Spread::of(rounds), unit, better: Better::Higher, ratio }
    }

    #[test]
    fn what_lies_within_the_rounds_or_the_noise_is_the_same() {
        assert_eq!(judge(&figure([1.0, 1.2, 1.4], true), &figure([1.3, 1.5, 1.6], true)), Verdict::Same);
        assert_eq!(judge(&figure([1.0; 3], true), &figure([0.96; 3], true)), Verdict::Same);
    }

    #[test]
    fn a_ratio_that_falls_is_slower_and_an_absolute_number_may_be_the_machine() {
        assert_eq!(judge(&figure([1.0, 1.2, 1.4], true), &figure([0.7, 0.8, 0.9], true)), Verdict::Slower);
        assert_eq!(judge(&figure([0.7, 0.8, 0.9], true), &figure([1.0, 1.2, 1.4], true)), Verdict::Faster);
        assert_eq!(judge(&figure([1.0; 3], false), &figure([0.5; 3], false)), Verdict::Absolute);
    }
}
