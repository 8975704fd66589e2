//! The one source of time: the machine's, or one that a test moves.
//!
//! State machines never hold a clock: they are given `now`. Whoever drives them holds one of these.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Tells the time. Cloning is cheap and clones agree.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    Real { started: Instant },
    Simulated { nanos: Arc<AtomicI64>, epoch_ms: i64 },
}

/// The hand that moves a simulated [`Clock`].
#[derive(Clone)]
pub struct ClockHand(Arc<AtomicI64>);

impl Clock {
    /// The machine's clock.
    pub fn real() -> Self {
        Self(Source::Real { started: Instant::now() })
    }

    /// A clock that stands at `epoch_ms` (milliseconds since 1970) until its hand moves it.
    pub fn simulated(epoch_ms: i64) -> (Self, ClockHand) {
        let nanos = Arc::new(AtomicI64::new(0));
        (Self(Source::Simulated { nanos: nanos.clone(), epoch_ms }), ClockHand(nanos))
    }

    /// Wall time in milliseconds since 1970. May step when the machine's clock is set.
    pub fn now_ms(&self) -> i64 {
        match &self.0 {
            Source::Real { .. } => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
            }
            Source::Simulated { nanos, epoch_ms } => {
                epoch_ms + nanos.load(Ordering::Acquire) / 1_000_000
            }
        }
    }

    /// Time since this clock was made; never goes back.
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Source::Real { started } => started.elapsed(),
            Source::Simulated { nanos, .. } => {
                Duration::from_nanos(u64::try_from(nanos.load(Ordering::Acquire)).unwrap_or(0))
            }
        }
    }
}

impl ClockHand {
    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX), Ordering::AcqRel);
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({} ms)", self.now_ms())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulated_clock_moves_only_by_hand() {
        let (clock, hand) = Clock::simulated(1_700_000_000_000);
        assert_eq!(clock.now_ms(), 1_700_000_000_000);
        hand.advance(Duration::from_millis(1500));
        assert_eq!(clock.now_ms(), 1_700_000_001_500);
        assert_eq!(clock.monotonic(), Duration::from_millis(1500));
    }

    #[test]
    fn the_real_clock_runs_forward() {
        let clock = Clock::real();
        let first = clock.monotonic();
        assert!(clock.monotonic() >= first);
        assert!(clock.now_ms() > 1_600_000_000_000);
    }
}
