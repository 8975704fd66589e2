//! Meters: a count, and rates that decay exponentially (`com.yammer.metrics.core.Meter`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use pharos_base::Clock;

use super::{AtomicF64, BLIND};

const TICK: Duration = Duration::from_secs(5);
/// Ticks that a late sweep makes up for; beyond it the rates have decayed to nothing anyway.
const MAX_LATE_TICKS: u32 = 10_000;

/// Counts events and knows their rate over the last minute, five and fifteen.
#[derive(Debug, Clone)]
pub struct Meter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    count: AtomicU64,
    started: Duration,
    one: AtomicF64,
    five: AtomicF64,
    fifteen: AtomicF64,
    ticks: Mutex<Ticks>,
}

#[derive(Debug)]
struct Ticks {
    next: Duration,
    counted: u64,
    first: bool,
}

/// The rates of a meter, per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Since creation.
    pub mean: f64,
    /// Decaying over one minute.
    pub one_minute: f64,
    /// Decaying over five minutes.
    pub five_minutes: f64,
    /// Decaying over fifteen minutes.
    pub fifteen_minutes: f64,
}

impl Meter {
    /// A meter that nothing has marked. Its rates move only by [`Meter::tick`].
    pub fn new(clock: Clock) -> Self {
        let started = clock.monotonic();
        Self(Arc::new(Inner {
            clock,
            count: AtomicU64::new(0),
            started,
            one: AtomicF64::new(0.0),
            five: AtomicF64::new(0.0),
            fifteen: AtomicF64::new(0.0),
            ticks: Mutex::new(Ticks { next: started + TICK, counted: 0, first: true }),
        }))
    }

    /// Counts `events` more.
    pub fn mark(&self, events: u64) {
        if !BLIND {
            self.0.count.fetch_add(events, Ordering::Relaxed);
        }
    }

    /// All events so far.
    pub fn count(&self) -> u64 {
        self.0.count.load(Ordering::Relaxed)
    }

    /// Rates as of the last tick; the mean as of now.
    pub fn rates(&self) -> Rates {
        let elapsed = self.0.clock.monotonic().saturating_sub(self.0.started).as_secs_f64();
        let count = self.count();
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
        let mean = if count == 0 || elapsed <= 0.0 { 0.0 } else { count as f64 / elapsed };
        Rates {
            mean,
            one_minute: self.0.one.get(),
            five_minutes: self.0.five.get(),
            fifteen_minutes: self.0.fifteen.get(),
        }
    }

    /// Takes every tick that is due: one each five seconds from creation.
    pub fn tick(&self, now: Duration) {
        let mut ticks = self.0.ticks.lock();
        let mut late = 0;
        while now >= ticks.next && late < MAX_LATE_TICKS {
            ticks.next += TICK;
            late += 1;
            self.take(&mut ticks);
        }
        if now >= ticks.next {
            ticks.next = now + TICK;
        }
    }

    fn take(&self, ticks: &mut Ticks) {
        let count = self.count();
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
        let rate = count.wrapping_sub(ticks.counted) as f64 / TICK.as_secs_f64();
        ticks.counted = count;
        let first = std::mem::replace(&mut ticks.first, false);
        for (cell, minutes) in [(&self.0.one, 1.0), (&self.0.five, 5.0), (&self.0.fifteen, 15.0)] {
            let alpha = 1.0 - f64::exp(-TICK.as_secs_f64() / 60.0 / minutes);
            let old = cell.get();
            cell.set(if first { rate } else { old + alpha * (rate - old) });
        }
    }

    pub(crate) fn downgrade(&self) -> WeakMeter {
        WeakMeter(Arc::downgrade(&self.0))
    }
}

/// A meter in the sweep's list: dropped with its last handle.
#[derive(Debug)]
pub(crate) struct WeakMeter(std::sync::Weak<Inner>);

impl WeakMeter {
    /// Ticks the meter; false when it is gone.
    pub(crate) fn tick(&self, now: Duration) -> bool {
        self.0.upgrade().map(|inner| Meter(inner).tick(now)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_follow_yammer() {
        let (clock, hand) = Clock::simulated(0);
        let meter = Meter::new(clock.clone());
        meter.mark(300);
        hand.advance(Duration::from_secs(4));
        meter.tick(clock.monotonic());
        assert_eq!(meter.rates().one_minute, 0.0);
        assert_eq!(meter.rates().mean, 75.0);
        hand.advance(Duration::from_secs(1));
        meter.tick(clock.monotonic());
        let rates = meter.rates();
        assert_eq!(
            (rates.one_minute, rates.five_minutes, rates.fifteen_minutes),
            (60.0, 60.0, 60.0)
        );
        // One minute without events: e^-1, e^-(1/5) and e^-(1/15) of it remain.
        for _ in 0..12 {
            hand.advance(Duration::from_secs(5));
            meter.tick(clock.monotonic());
        }
        let rates = meter.rates();
        assert!((rates.one_minute - 60.0 * f64::exp(-1.0)).abs() < 1e-9);
        assert!((rates.five_minutes - 60.0 * f64::exp(-0.2)).abs() < 1e-9);
        assert!((rates.fifteen_minutes - 60.0 * f64::exp(-1.0 / 15.0)).abs() < 1e-9);
        assert_eq!(meter.count(), 300);
    }

    #[test]
    fn a_late_sweep_takes_every_tick() {
        let (clock, hand) = Clock::simulated(0);
        let (prompt, late) = (Meter::new(clock.clone()), Meter::new(clock.clone()));
        prompt.mark(10);
        late.mark(10);
        for _ in 0..20 {
            hand.advance(Duration::from_secs(5));
            prompt.tick(clock.monotonic());
        }
        late.tick(clock.monotonic());
        assert_eq!(prompt.rates(), late.rates());
    }
}
