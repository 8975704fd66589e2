//! Exponential backoff with jitter, as Kafka's clients do it
//! (`org.apache.kafka.common.utils.ExponentialBackoff`: base 2, jitter 20 %).

use std::time::Duration;

/// How long to wait before attempt n.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    /// The wait after the first failure, in milliseconds.
    pub initial_ms: u64,
    /// The longest wait before jitter, in milliseconds.
    pub max_ms: u64,
}

impl Backoff {
    /// The wait after `failures` failures in a row (0 waits nothing).
    pub fn after(&self, failures: u32) -> Duration {
        if failures == 0 {
            return Duration::ZERO;
        }
        let exponent = failures.saturating_sub(1).min(30);
        let wait = self.initial_ms.saturating_mul(1 << exponent).min(self.max_ms);
        let jitter = rand::random_range(0.8..1.2);
        Duration::from_micros((wait as f64 * 1000.0 * jitter) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit() {
        let backoff = Backoff { initial_ms: 100, max_ms: 1000 };
        assert_eq!(backoff.after(0), Duration::ZERO);
        for (failures, expected) in [(1, 100.0), (2, 200.0), (4, 800.0), (5, 1000.0), (90, 1000.0)]
        {
            let wait = backoff.after(failures).as_secs_f64() * 1000.0;
            assert!((expected * 0.79..expected * 1.21).contains(&wait), "{failures}: {wait}");
        }
    }
}
