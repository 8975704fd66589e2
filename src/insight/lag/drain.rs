//! How long until a lag is gone, from how it moved during the last five minutes.

use std::collections::VecDeque;

use parking_lot::Mutex;

/// How far back the rates look.
const WINDOW_MS: i64 = 5 * 60 * 1000;
/// Least distance of two samples.
const STEP_MS: i64 = 10_000;

/// The lag of one group in one topic at some moments. What is committed faster than it is appended
/// is what the lag shrinks by, so that no rate need be kept by itself.
#[derive(Debug, Default)]
pub(super) struct Drain {
    samples: Mutex<VecDeque<(i64, i64)>>,
}

impl Drain {
    /// Notes the lag of now; more often than every ten seconds changes nothing.
    pub(super) fn sample(&self, now_ms: i64, lag: i64) {
        let mut samples = self.samples.lock();
        if samples.back().is_some_and(|(last_ms, _)| now_ms < last_ms + STEP_MS) {
            return;
        }
        samples.push_back((now_ms, lag));
        while samples.get(1).is_some_and(|(ms, _)| *ms <= now_ms - WINDOW_MS) {
            samples.pop_front();
        }
    }

    /// Other partitions make the sum up from now on: it cannot be compared with before.
    pub(super) fn restart(&self) {
        self.samples.lock().clear();
    }

    /// Seconds until `lag` is gone; 0 without lag, infinite while it does not shrink.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
    pub(super) fn seconds(&self, now_ms: i64, lag: i64) -> f64 {
        if lag <= 0 {
            return 0.0;
        }
        let samples = self.samples.lock();
        let recent = samples.iter().find(|(ms, _)| *ms >= now_ms - WINDOW_MS && *ms < now_ms);
        let Some((since_ms, before)) = recent else { return f64::INFINITY };
        let shrunk = before.saturating_sub(lag);
        if shrunk <= 0 {
            return f64::INFINITY;
        }
        let took_seconds = (now_ms - since_ms) as f64 / 1000.0;
        lag as f64 * took_seconds / shrunk as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_is_left_at_the_rate_of_the_last_five_minutes() {
        let drain = Drain::default();
        assert_eq!(drain.seconds(0, 0), 0.0);
        assert_eq!(drain.seconds(0, 100), f64::INFINITY);
        for second in 0..=600 {
            // Shrinks by 2 a second for five minutes, then grows by 1 a second.
            let lag = if second <= 300 { 1000 - 2 * second } else { 400 + second - 300 };
            drain.sample(second * 1000, lag);
            if second == 60 {
                assert_eq!(drain.seconds(60_000, 880), 440.0);
            }
        }
        assert!(drain.samples.lock().len() <= 32);
        assert_eq!(drain.seconds(600_000, 700), f64::INFINITY);
        assert_eq!(drain.seconds(600_000, 0), 0.0);
        drain.restart();
        assert_eq!(drain.seconds(601_000, 1), f64::INFINITY);
    }

    #[test]
    fn what_was_long_ago_does_not_count() {
        let drain = Drain::default();
        drain.sample(0, 1000);
        assert_eq!(drain.seconds(WINDOW_MS + 1, 10), f64::INFINITY);
        drain.sample(WINDOW_MS, 500);
        assert_eq!(drain.seconds(WINDOW_MS + 10_000, 400), 40.0);
    }
}
