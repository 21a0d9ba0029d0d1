use crate::load::{Tally, distribution};
use crate::measure::Samples;
use crate::report::{Line, Plot};
use crate::stage::Contender;

impl Plot {
    /// Memory over time; lines in the order of the contenders.
    pub(super) fn memory(contenders: &[Contender], samples: Vec<Samples>) -> Self {
        let lines = contenders.iter().zip(samples);
        Self {
            title: "Resident memory meanwhile".to_owned(),
            x: "seconds".to_owned(),
            y: "MB".to_owned(),
            log: (false, false),
            lines: lines.map(|(contender, points)| Line { name: contender.name.clone(), points }).collect(),
        }
    }

    /// How many of the requests of all rounds stayed within a latency.
    pub(super) fn latencies(title: &str, contenders: &[Contender], samples: &[Vec<Tally>]) -> Self {
        let lines = contenders.iter().zip(samples);
        let line = |(contender, tallies): (&Contender, &Vec<Tally>)| Line {
            name: contender.name.clone(),
            points: distribution(tallies),
        };
        Self {
            title: format!("{title}: share of requests within a latency"),
            x: "milliseconds".to_owned(),
            y: "percent".to_owned(),
            log: (true, false),
            lines: lines.map(line).collect(),
        }
    }
}
