//! A rate over sample windows of a chosen length and number, for whoever decides by it: quotas
//! (`org.apache.kafka.common.metrics.stats.{SampledStat, Rate}`).
//!
//! [`super::Sensor`] has the same idea with Kafka's two windows of 30 seconds; it is only read.

/// How many windows a rate covers, and how long each is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleWindows {
    /// Number of windows, the running one among them; at least 1.
    pub number: u32,
    /// Length of each in milliseconds; at least 1.
    pub length_ms: i64,
}

impl SampleWindows {
    /// Time that all windows cover.
    pub fn span_ms(self) -> i64 {
        self.length_ms.saturating_mul(i64::from(self.number))
    }
}

/// What was recorded lately, by windows. Times are milliseconds of any clock that does not go back.
#[derive(Clone, Debug)]
pub struct SampledRate {
    windows: SampleWindows,
    samples: Vec<Sample>,
    current: usize,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    start_ms: i64,
    last_ms: i64,
    sum: f64,
}

impl Sample {
    fn new(now_ms: i64) -> Self {
        Self { start_ms: now_ms, last_ms: now_ms, sum: 0.0 }
    }
}

impl SampledRate {
    /// A rate of nothing.
    pub fn new(windows: SampleWindows) -> Self {
        Self { windows, samples: Vec::new(), current: 0 }
    }

    /// Adds `value` to the running window; a negative one takes back what was recorded.
    pub fn record(&mut self, value: f64, now_ms: i64) {
        if self.samples.is_empty() {
            self.samples.push(Sample::new(now_ms));
        }
        let complete = self
            .samples
            .get(self.current)
            .is_none_or(|sample| now_ms - sample.start_ms >= self.windows.length_ms);
        if complete {
            // One more than the number: the oldest may overlap the time that is covered.
            self.current = (self.current + 1) % (self.windows.number as usize).saturating_add(1);
            match self.samples.get_mut(self.current) {
                Some(sample) => *sample = Sample::new(now_ms),
                None => {
                    self.current = self.samples.len();
                    self.samples.push(Sample::new(now_ms));
                }
            }
        }
        if let Some(sample) = self.samples.get_mut(self.current) {
            sample.sum += value;
            sample.last_ms = now_ms;
        }
    }

    /// What was recorded per second.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of seconds")]
    pub fn per_second(&mut self, now_ms: i64) -> f64 {
        self.purge(now_ms);
        // A sum of nothing is -0.0.
        let sum = self.samples.iter().map(|sample| sample.sum).sum::<f64>() + 0.0;
        sum / (self.elapsed_ms(now_ms) as f64 / 1000.0)
    }

    /// Time that the rate is taken over.
    pub fn window_ms(&mut self, now_ms: i64) -> i64 {
        self.purge(now_ms);
        self.elapsed_ms(now_ms)
    }

    /// Time since the oldest sample, but all windows save the running one at least: the first
    /// moments would have any rate otherwise.
    fn elapsed_ms(&self, now_ms: i64) -> i64 {
        let oldest = self.samples.iter().map(|sample| sample.start_ms).min().unwrap_or(now_ms);
        let elapsed = now_ms - oldest;
        let missing = i64::from(self.windows.number) - 1 - elapsed / self.windows.length_ms;
        let assumed = missing.max(0).saturating_mul(self.windows.length_ms);
        elapsed.saturating_add(assumed).max(1)
    }

    /// Forgets samples that saw nothing within the time that is covered.
    fn purge(&mut self, now_ms: i64) {
        let span_ms = self.windows.span_ms();
        for sample in self.samples.iter_mut().filter(|it| now_ms - it.last_ms >= span_ms) {
            *sample = Sample::new(now_ms);
        }
    }
}

/// Credits that come at a rate and are spent; it may run into debt
/// (`org.apache.kafka.common.metrics.stats.TokenBucket`).
#[derive(Clone, Debug)]
pub struct TokenBucket {
    seconds: f64,
    tokens: f64,
    updated_ms: Option<i64>,
}

impl TokenBucket {
    /// A full bucket that holds what comes in all windows together.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of seconds")]
    pub fn new(windows: SampleWindows) -> Self {
        Self { seconds: windows.span_ms() as f64 / 1000.0, tokens: 0.0, updated_ms: None }
    }

    /// Credits now, when `rate` come each second.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of seconds")]
    pub fn tokens(&mut self, rate: f64, now_ms: i64) -> f64 {
        let full = self.seconds * rate;
        self.tokens = match self.updated_ms {
            None => full,
            Some(before) => full.min(self.tokens + rate * ((now_ms - before) as f64 / 1000.0)),
        };
        self.updated_ms = Some(now_ms);
        self.tokens
    }

    /// Spends credits, also those that are not there.
    pub fn spend(&mut self, count: f64, rate: f64, now_ms: i64) {
        let full = self.seconds * rate;
        self.tokens = full.min(self.tokens(rate, now_ms) - count);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Kafka's default: ten whole windows and the running one.
    const WINDOWS: SampleWindows = SampleWindows { number: 11, length_ms: 1000 };

    #[test]
    fn the_first_moments_count_as_ten_seconds() {
        let mut rate = SampledRate::new(WINDOWS);
        assert!(rate.per_second(0).is_sign_positive(), "Kafka shows no -0.0");
        rate.record(5000.0, 0);
        assert_eq!((rate.per_second(0), rate.window_ms(0)), (500.0, 10_000));
        assert_eq!((rate.per_second(999), rate.window_ms(999)), (5000.0 / 10.999, 10_999));
        // A whole window has passed, so nine are assumed.
        assert_eq!(rate.window_ms(1000), 10_000);
        assert_eq!(rate.window_ms(10_999), 10_999);
        assert_eq!(rate.per_second(11_000), 0.0);
    }

    #[test]
    fn what_is_taken_back_is_as_if_it_had_not_been() {
        let mut rate = SampledRate::new(WINDOWS);
        rate.record(700.0, 100);
        let before = rate.clone().per_second(1500);
        rate.record(10_000.0, 1500);
        rate.record(-10_000.0, 1500);
        assert_eq!(rate.per_second(1500), before);
    }

    #[test]
    fn a_bucket_fills_at_its_rate_up_to_all_windows() {
        let mut bucket = TokenBucket::new(WINDOWS);
        assert_eq!(bucket.tokens(10.0, 0), 110.0);
        bucket.spend(200.0, 10.0, 0);
        assert_eq!(bucket.tokens(10.0, 0), -90.0);
        assert_eq!(bucket.tokens(10.0, 9_000), 0.0);
        assert_eq!(bucket.tokens(10.0, 100_000), 110.0);
        // Another rate makes another bucket of it.
        assert_eq!(bucket.tokens(1.0, 100_000), 11.0);
    }

    /// The same by keeping every event: those that share a window belong together.
    #[derive(Default)]
    struct Model {
        /// Start, last event and sum of each window, oldest first.
        windows: Vec<(i64, i64, f64)>,
    }

    impl Model {
        fn record(&mut self, value: f64, now: i64) {
            match self.windows.last_mut() {
                Some((start, last, sum)) if now - *start < WINDOWS.length_ms => {
                    *last = now;
                    *sum += value;
                }
                _ => self.windows.push((now, now, value)),
            }
        }

        /// What is in the rate: the windows that saw something within the covered time. Looking
        /// begins a window anew when the last one is older.
        fn sum(&mut self, now: i64) -> f64 {
            if self.windows.last().is_some_and(|(_, last, _)| now - last >= WINDOWS.span_ms()) {
                self.windows.push((now, now, 0.0));
            }
            let alive = self.windows.iter().filter(|(_, last, _)| now - last < WINDOWS.span_ms());
            // A ring of one window more than the number holds no older ones.
            alive.rev().take(WINDOWS.number as usize + 1).map(|(.., sum)| sum).sum()
        }
    }

    proptest! {
        /// Whatever comes when, the rate is what the windows that overlap the covered time hold,
        /// over at least all windows save the running one.
        #[test]
        fn the_rate_is_that_of_a_simple_model(
            steps in prop::collection::vec((0_i64..4000, 0_u32..1000, any::<bool>()), 1..200),
        ) {
            let (mut rate, mut model, mut now) = (SampledRate::new(WINDOWS), Model::default(), 0);
            for (pause, value, look) in steps {
                now += pause;
                if look {
                    let window = rate.window_ms(now);
                    prop_assert!((10_000..=12_999).contains(&window), "{window}");
                    let expected = model.sum(now) / (window as f64 / 1000.0);
                    prop_assert!((rate.per_second(now) - expected).abs() < 1e-6);
                } else {
                    rate.record(f64::from(value), now);
                    model.record(f64::from(value), now);
                }
            }
        }
    }
}
