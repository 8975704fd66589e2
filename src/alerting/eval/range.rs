//! What is made of the samples of a time: Prometheus' own arithmetic (`promql/functions.go`).

/// The samples of a time, oldest first.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
    pub(super) samples: Vec<(i64, f64)>,
}

impl Window {
    pub(super) fn first(&self) -> Option<(i64, f64)> {
        self.samples.first().copied()
    }
}

#[expect(clippy::cast_precision_loss, reason = "differences of times")]
fn seconds(from_ms: i64, to_ms: i64) -> f64 {
    (to_ms - from_ms) as f64 / 1000.0
}

/// How much a figure grew, drawn out to the borders of the window where the samples come near them.
#[expect(clippy::cast_precision_loss, reason = "counts of samples")]
pub(super) fn extrapolated(window: &Window, counter: bool, per_second: bool) -> Option<f64> {
    let samples = &window.samples;
    let ((first_ms, first), (last_ms, last)) = (*samples.first()?, *samples.last()?);
    if samples.len() < 2 || first_ms == last_ms {
        return None;
    }
    let mut grown = last - first;
    if counter {
        let mut before = first;
        for (_, value) in samples {
            if *value < before {
                grown += before;
            }
            before = *value;
        }
    }
    let mut to_start = seconds(window.from_ms, first_ms);
    let to_end = seconds(last_ms, window.to_ms);
    let sampled = seconds(first_ms, last_ms);
    let step = sampled / (samples.len() - 1) as f64;
    if counter && grown > 0.0 && first >= 0.0 {
        // A counter is not drawn out below 0.
        to_start = to_start.min(sampled * (first / grown));
    }
    let near = step * 1.1;
    let reach = |gap: f64| if gap < near { gap } else { step / 2.0 };
    let grown = grown * (sampled + reach(to_start) + reach(to_end)) / sampled;
    let whole = seconds(window.from_ms, window.to_ms);
    Some(if per_second { grown / whole } else { grown })
}

/// How often the value changed.
#[expect(clippy::cast_precision_loss, reason = "counts of samples")]
pub(super) fn changes(window: &Window) -> Option<f64> {
    window.first()?;
    let changed = window.samples.windows(2).filter(|pair| match pair {
        [(_, a), (_, b)] => a != b && !(a.is_nan() && b.is_nan()),
        _ => false,
    });
    Some(changed.count() as f64)
}

/// The largest value; a number beats NaN.
pub(super) fn highest(window: &Window) -> Option<f64> {
    window.samples.iter().map(|(_, value)| *value).reduce(f64::max)
}

/// Slope per second, and height at `at_ms`, of the straight line through the samples.
#[expect(clippy::cast_precision_loss, reason = "counts of samples")]
pub(super) fn regression(window: &Window, at_ms: i64) -> Option<(f64, f64)> {
    let samples = &window.samples;
    let (_, first) = *samples.first()?;
    if samples.len() < 2 {
        return None;
    }
    if samples.iter().all(|(_, value)| *value == first) {
        return Some((0.0, first));
    }
    let count = samples.len() as f64;
    let (mut x, mut y, mut xy, mut xx) = (0.0, 0.0, 0.0, 0.0);
    for (time, value) in samples {
        let at = seconds(at_ms, *time);
        x += at;
        y += value;
        xy += at * value;
        xx += at * at;
    }
    let slope = (xy - x * y / count) / (xx - x * x / count);
    Some((slope, y / count - slope * x / count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(samples: &[(i64, f64)]) -> Window {
        Window { from_ms: 0, to_ms: 60_000, samples: samples.to_vec() }
    }

    #[test]
    fn growth_is_that_of_prometheus() {
        let even: Vec<_> = (0..5).map(|at| (at * 15_000, at as f64 * 30.0)).collect();
        assert_eq!(extrapolated(&window(&even), true, true), Some(2.0));
        let reset = [(0, 10.0), (20_000, 20.0), (40_000, 5.0), (60_000, 15.0)];
        assert_eq!(extrapolated(&window(&reset), true, false), Some(25.0));
        assert_eq!(extrapolated(&window(&reset), false, false), Some(5.0));
        assert_eq!(extrapolated(&window(&[(0, 1.0)]), true, true), None);
        // Born at 0 in the middle: not drawn out below 0.
        let born = [(30_000, 0.0), (45_000, 15.0), (60_000, 30.0)];
        assert_eq!(extrapolated(&window(&born), true, false), Some(30.0));
    }

    #[test]
    fn lines_changes_and_peaks() {
        let line: Vec<_> = (0..5).map(|at| (at * 15_000, 100.0 - at as f64 * 15.0)).collect();
        let (slope, now) = regression(&window(&line), 60_000).unwrap();
        assert!((slope + 1.0).abs() < 1e-9 && (now - 40.0).abs() < 1e-9);
        assert_eq!(changes(&window(&line)), Some(4.0));
        assert_eq!(changes(&window(&[])), None);
        assert_eq!(highest(&window(&[(0, f64::NAN), (1, -2.0), (2, -1.0), (3, -3.0)])), Some(-1.0));
        assert_eq!(highest(&window(&[])), None);
    }
}
