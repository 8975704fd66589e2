//! Summaries of samples, and the order in which two things are measured against each other.

/// Least, middle and greatest of some samples.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Summary {
    /// Of `samples`; zeros without any.
    pub(crate) fn of(samples: &[f64]) -> Self {
        Self {
            min: percentile(samples, 0.0),
            median: percentile(samples, 0.5),
            max: percentile(samples, 1.0),
        }
    }
}

/// The sample below which `share` of them lie; 0 without samples.
pub(crate) fn percentile(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index below the number of samples"
    )]
    let index = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(index).copied().unwrap_or(0.0)
}

/// What one repeat of A B B A found, for each of `N` figures: the two of A and the two of B.
pub(crate) type Repeat<const N: usize> = [[f64; 4]; N];

/// Takes `a` and `b` in the order A B B A, so that a drift of the machine hits both alike.
pub(crate) fn abba<const N: usize>(
    repeats: usize,
    mut a: impl FnMut() -> anyhow::Result<[f64; N]>,
    mut b: impl FnMut() -> anyhow::Result<[f64; N]>,
) -> anyhow::Result<Vec<Repeat<N>>> {
    let mut found = Vec::new();
    for _ in 0..repeats {
        let (first, second) = (a()?, b()?);
        let (third, fourth) = (b()?, a()?);
        let each = |index: usize| {
            [&first, &fourth, &second, &third].map(|it| it.get(index).copied().unwrap_or(0.0))
        };
        found.push(std::array::from_fn(each));
    }
    Ok(found)
}

/// A over B of one figure, by repeat.
pub(crate) fn ratios<const N: usize>(repeats: &[Repeat<N>], figure: usize) -> Vec<f64> {
    let of = |repeat: &Repeat<N>| repeat.get(figure).map(|[a, d, b, c]| (a + d) / (b + c));
    repeats.iter().filter_map(of).collect()
}
