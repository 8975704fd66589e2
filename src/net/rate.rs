//! A door that lets so many through per second, as a pure rule.

use std::time::Duration;

use tokio::time::Instant;

/// Lets `per_second` through; after a quiet time, ten seconds' worth at once (generic cell rate
/// algorithm).
#[derive(Clone, Copy, Debug)]
pub(crate) struct RateDoor {
    interval: Duration,
    /// When the last one let through would have come at an even pace.
    paid_until: Option<Instant>,
}

/// How far ahead of an even pace callers may run. Kafka takes the mean over ten samples of a second
/// and the one that has begun (`ConnectionQuotas.rateQuotaMetricConfig`).
const BURST: Duration = Duration::from_secs(10);

impl RateDoor {
    /// A door for `per_second`, at least 1.
    pub(crate) fn new(per_second: u32) -> Self {
        Self { interval: Duration::from_secs(1) / per_second.max(1), paid_until: None }
    }

    /// Lets one through at `now`, or tells how long to wait.
    pub(crate) fn pass(&mut self, now: Instant) -> Result<(), Duration> {
        let start = self.paid_until.map_or(now, |paid| paid.max(now));
        let paid_until = start + self.interval;
        let latest = now + BURST;
        if paid_until > latest {
            return Err(paid_until - latest);
        }
        self.paid_until = Some(paid_until);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_seconds_at_once_then_an_even_pace() {
        let start = Instant::now();
        let mut door = RateDoor::new(10);
        for _ in 0..100 {
            assert_eq!(door.pass(start), Ok(()));
        }
        assert_eq!(door.pass(start), Err(Duration::from_millis(100)));
        let later = start + Duration::from_millis(100);
        assert_eq!(door.pass(later), Ok(()));
        assert!(door.pass(later).is_err());
    }
}
