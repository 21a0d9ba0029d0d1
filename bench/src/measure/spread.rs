use serde::{Deserialize, Serialize};

/// What rounds gave: their median, and from where to where they went.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    /// The middle one; between the middle two of an even number.
    pub(crate) median: f64,
    /// The least.
    pub(crate) least: f64,
    /// The greatest.
    pub(crate) most: f64,
    /// Of how many rounds; none when nothing was measured.
    #[serde(default)]
    pub(crate) rounds: usize,
}

impl Spread {
    /// Of the rounds' values; all zero when there are none. What is no number (a round without any processor time)
    /// is left out: JSON has no word for it, and a report that has one could not be read again.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(&least), Some(&most)) = (sorted.first(), sorted.last()) else {
            return Self { median: 0.0, least: 0.0, most: 0.0, rounds: 0 };
        };
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Self { median, least, most, rounds: sorted.len() }
    }

    /// Of each round's difference.
    pub(crate) fn difference(more: &[f64], less: &[f64]) -> Self {
        Self::of(more.iter().zip(less).map(|(more, less)| more - less))
    }

    /// Of each round's quotient: what both had in that round (a busy machine) falls out.
    pub(crate) fn ratio(over: &[f64], under: &[f64]) -> Self {
        Self::of(over.iter().zip(under).filter(|(_, under)| **under > 0.0).map(|(over, under)| over / under))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_even_and_odd_numbers_of_rounds() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Spread { median: 2.0, least: 1.0, most: 3.0, rounds: 3 });
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).median, 2.5);
        assert_eq!(Spread::of([]).median, 0.0);
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // The second round was on a machine half as fast.
        let ratio = Spread::ratio(&[10.0, 5.0], &[5.0, 2.5]);
        assert_eq!(ratio, Spread { median: 2.0, least: 2.0, most: 2.0, rounds: 2 });
    }

    #[test]
    fn what_is_no_number_is_left_out() {
        let spread = Spread::of([f64::NAN, 1.0, f64::INFINITY, 3.0]);
        assert_eq!(spread, Spread { median: 2.0, least: 1.0, most: 3.0, rounds: 2 });
        assert_eq!(Spread::of([f64::NAN]).rounds, 0);
        assert_eq!(Spread::ratio(&[1.0, f64::NAN], &[0.0, 1.0]).rounds, 0);
    }
}
