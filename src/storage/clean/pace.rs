//! How fast cleaners read and write together (`log.cleaner.io.max.bytes.per.second`).

use std::time::Duration;

use parking_lot::Mutex;
use pharos_base::Clock;

/// Lets bytes pass at a rate; shared by all cleaners of a round. What was not used is not saved up.
#[derive(Debug)]
pub(super) struct Pace {
    bytes_per_second: f64,
    clock: Clock,
    /// When all that passed is paid for, by the monotonic clock.
    paid_at: Mutex<Duration>,
}

impl Pace {
    pub(super) fn new(bytes_per_second: f64, clock: Clock) -> Self {
        let paid_at = Mutex::new(clock.monotonic());
        Self { bytes_per_second, clock, paid_at }
    }

    /// How long whoever moved `bytes` has to rest.
    fn owed(&self, bytes: u64) -> Duration {
        let cost = Duration::try_from_secs_f64(bytes as f64 / self.bytes_per_second);
        let cost = cost.unwrap_or_default();
        if cost.is_zero() {
            return cost;
        }
        let now = self.clock.monotonic();
        let mut paid_at = self.paid_at.lock();
        *paid_at = paid_at.max(now).saturating_add(cost);
        paid_at.saturating_sub(now)
    }

    /// Rests for what `bytes` cost.
    pub(super) fn moved(&self, bytes: u64) {
        let owed = self.owed(bytes);
        if !owed.is_zero() {
            std::thread::park_timeout(owed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_cost_their_time_and_idle_time_is_not_saved_up() {
        let (clock, hand) = Clock::simulated(0);
        let pace = Pace::new(1000.0, clock.clone());
        assert_eq!(pace.owed(500), Duration::from_millis(500));
        assert_eq!(pace.owed(500), Duration::from_secs(1));
        hand.advance(Duration::from_secs(60));
        assert_eq!(pace.owed(100), Duration::from_millis(100));
        assert_eq!(Pace::new(f64::MAX, clock.clone()).owed(u64::MAX), Duration::ZERO);
        assert_eq!(Pace::new(0.0, clock).owed(1), Duration::ZERO);
    }
}
