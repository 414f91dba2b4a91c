//! Medians, extremes and percentiles.

/// What several rounds of one measurement came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// The spread of `rounds`, `None` where there are none.
    pub fn of(rounds: &[f64]) -> Option<Self> {
        let mut sorted = rounds.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median =
            if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
        Some(Self { median, min, max })
    }

    /// A single measurement.
    pub fn single(value: f64) -> Self {
        Self { median: value, min: value, max: value }
    }
}

/// The smallest value that at least `per_thousand` of a thousand values are not above. Sorts `values`.
/// `None` where there are none.
pub fn percentile(values: &mut [f64], per_thousand: usize) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() * per_thousand).div_ceil(1000);
    values.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_the_middle_and_the_ends() {
        let check = |rounds: &[f64], median: f64, min: f64, max: f64| {
            assert_eq!(Spread::of(rounds), Some(Spread { median, min, max }), "{rounds:?}");
        };
        check(&[3.0, 1.0, 9.0], 3.0, 1.0, 9.0);
        check(&[4.0, 1.0, 2.0, 9.0], 3.0, 1.0, 9.0);
        check(&[5.0], 5.0, 5.0, 5.0);
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn a_percentile_is_a_value_that_was_there() {
        let mut thousand: Vec<f64> = (1..=1000).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut thousand, 990), Some(990.0));
        assert_eq!(percentile(&mut thousand, 500), Some(500.0));
        assert_eq!(percentile(&mut thousand, 1000), Some(1000.0));
        let mut few: Vec<f64> = (1..=150).map(f64::from).collect();
        assert_eq!(percentile(&mut few, 990), Some(149.0));
        assert_eq!(percentile(&mut [7.0], 990), Some(7.0));
        assert_eq!(percentile(&mut [2.0, 1.0], 500), Some(1.0));
        assert_eq!(percentile(&mut [], 990), None);
    }
}
