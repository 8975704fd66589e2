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
    Real { started: Instant, coarsely: Duration },
    Simulated { nanos: Arc<AtomicI64>, epoch_ms: i64 },
}

/// The hand that moves a simulated [`Clock`].
#[derive(Clone)]
pub struct ClockHand(Arc<AtomicI64>);

impl Clock {
    /// The machine's clock.
    pub fn real() -> Self {
        Self(Source::Real { started: Instant::now(), coarsely: coarse_uptime() })
    }

    /// A clock that stands at `epoch_ms` (milliseconds since 1970) until its hand moves it.
    pub fn simulated(epoch_ms: i64) -> (Self, ClockHand) {
        let nanos = Arc::new(AtomicI64::new(0));
        (Self(Source::Simulated { nanos: nanos.clone(), epoch_ms }), ClockHand(nanos))
    }

    /// Wall time in milliseconds since 1970. May step when the machine's clock is set.
    pub fn now_ms(&self) -> i64 {
        match &self.0 {
            Source::Real { .. } => wall_ms(),
            Source::Simulated { nanos, epoch_ms } => {
                epoch_ms + nanos.load(Ordering::Acquire) / 1_000_000
            }
        }
    }

    /// As [`Self::now_ms`], but up to ten milliseconds late, at an eighth of its price.
    pub fn coarse_ms(&self) -> i64 {
        match &self.0 {
            Source::Real { .. } => coarse_wall_ms(),
            Source::Simulated { .. } => self.now_ms(),
        }
    }

    /// Time since this clock was made; never goes back.
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Source::Real { started, .. } => started.elapsed(),
            Source::Simulated { nanos, .. } => simulated(nanos),
        }
    }

    /// As [`Self::monotonic`], but off by up to ten milliseconds either way, at an eighth of its price:
    /// for what thinks in seconds and is asked for every record. Never goes back.
    pub fn coarse(&self) -> Duration {
        match &self.0 {
            Source::Real { coarsely, .. } => coarse_uptime().saturating_sub(*coarsely),
            Source::Simulated { nanos, .. } => simulated(nanos),
        }
    }
}

fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn simulated(nanos: &AtomicI64) -> Duration {
    Duration::from_nanos(u64::try_from(nanos.load(Ordering::Acquire)).unwrap_or(0))
}

/// Time since the machine started, as of the kernel's last tick.
#[cfg(target_os = "linux")]
fn coarse_uptime() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanos)
}

/// Wall time in ms since 1970, as of the kernel's last tick.
#[cfg(target_os = "linux")]
fn coarse_wall_ms() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000)
}

/// Other kernels have no such clocks: the exact ones.
#[cfg(not(target_os = "linux"))]
fn coarse_wall_ms() -> i64 {
    wall_ms()
}

#[cfg(not(target_os = "linux"))]
fn coarse_uptime() -> Duration {
    static FIRST: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    FIRST.elapsed()
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
        assert_eq!((clock.coarse(), clock.coarse_ms()), (clock.monotonic(), clock.now_ms()));
    }

    /// The longest that a kernel takes from tick to tick.
    const TICK: Duration = Duration::from_millis(10);

    #[test]
    fn the_real_clock_runs_forward() {
        let clock = Clock::real();
        let first = clock.monotonic();
        assert!(clock.monotonic() >= first);
        let (exact, coarse) = (clock.monotonic(), clock.coarse());
        while clock.coarse() < coarse + 5 * TICK {
            std::hint::spin_loop();
        }
        assert!(clock.monotonic() + TICK >= exact + 5 * TICK, "both run alike");
        assert!(clock.now_ms() > 1_600_000_000_000);
        assert!(clock.now_ms().abs_diff(clock.coarse_ms()) < 60_000);
    }
}
