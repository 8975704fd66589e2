//! How much a thread may work: the clock on the wall tells of others on this machine, too.

use std::time::{Duration, Instant};

/// What this thread has worked so far, where the system tells it.
pub(crate) fn cpu_time() -> Option<Duration> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    told.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// Work that this thread may do from now on; where the system does not tell it, time on the wall.
pub(crate) struct Allowance {
    allowed: Duration,
    worked_before: Option<Duration>,
    /// Until then it cannot be spent: no thread works faster than the clock goes.
    lasts_until: Instant,
}

impl Allowance {
    pub(crate) fn of(allowed: Duration) -> Self {
        Self { allowed, worked_before: cpu_time(), lasts_until: Instant::now() + allowed }
    }

    /// Whether it is spent. Costs next to nothing, however often it is asked.
    pub(crate) fn is_spent(&mut self) -> bool {
        self.is_spent_at(Instant::now(), cpu_time)
    }

    fn is_spent_at(&mut self, now: Instant, cpu_time: impl FnOnce() -> Option<Duration>) -> bool {
        if now < self.lasts_until {
            return false;
        }
        let Some((before, worked)) = self.worked_before.zip(cpu_time()) else { return true };
        let left = self.allowed.saturating_sub(worked.saturating_sub(before));
        self.lasts_until = now + left;
        left.is_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks at times since its start, each with the work until then: None may not be asked for.
    #[track_caller]
    fn check(worked_before: Option<u64>, asked: &[(u64, Option<u64>, bool)]) {
        let ms = Duration::from_millis;
        let began = Instant::now();
        let lasts_until = began + ms(100);
        let worked_before = worked_before.map(ms);
        let mut allowance = Allowance { allowed: ms(100), worked_before, lasts_until };
        for (at, worked, spent) in asked {
            let cpu_time = || Some(ms(worked.expect("cannot be spent yet")));
            assert_eq!(allowance.is_spent_at(began + ms(*at), cpu_time), *spent, "at {at} ms");
        }
    }

    #[test]
    fn others_do_not_spend_it() {
        check(Some(7), &[(0, None, false), (99, None, false), (100, Some(107), true)]);
        let busy = [(100, Some(47), false), (159, None, false), (160, Some(67), false)];
        check(Some(7), &busy);
        check(Some(7), &[busy[0], busy[2], (199, None, false), (1000, Some(107), true)]);
    }

    #[test]
    fn where_the_system_does_not_tell_the_wall_does() {
        check(None, &[(99, None, false), (100, Some(0), true)]);
    }
}
