//! `kafka.server:type=KafkaRequestHandlerPool`: how idle the workers are that handle requests.
//!
//! Kafka marks a meter with the nanoseconds that its handler threads wait for requests, so that
//! the meter's rate is a share. Here requests are handled by the workers of the data runtime, and
//! the controller's by those of the control runtime; docs/decisions/0005-idle-figures.md says what
//! the shares mean.

use std::time::Duration;

use pharos_base::{Clock, Spawners};
use pharos_metrics::catalog::requests as rows;
use pharos_metrics::{Meter, Registered, Registry};
use tokio::runtime::Handle;

/// The idle meters, and how busy the workers had been when they were last looked at.
#[derive(Debug)]
pub struct IdleMeters {
    clock: Clock,
    last: Duration,
    broker: Pool,
    controller: Pool,
    all: Registered<Meter>,
}

#[derive(Debug)]
struct Pool {
    runtime: Handle,
    busy: Duration,
    meter: Registered<Meter>,
}

impl IdleMeters {
    /// Registers the meters.
    pub fn new(registry: &Registry, spawners: &Spawners) -> Self {
        let pool = |row, runtime: &Handle| Pool {
            busy: busy(runtime),
            runtime: runtime.clone(),
            meter: registry.meter(row, &[]),
        };
        let clock = registry.clock().clone();
        Self {
            last: clock.monotonic(),
            clock,
            broker: pool(
                &rows::KAFKA_REQUEST_HANDLER_POOL_BROKER_REQUEST_HANDLER_AVG_IDLE_PERCENT,
                &spawners.data,
            ),
            controller: pool(
                &rows::KAFKA_REQUEST_HANDLER_POOL_CONTROLLER_REQUEST_HANDLER_AVG_IDLE_PERCENT,
                &spawners.control,
            ),
            all: registry
                .meter(&rows::KAFKA_REQUEST_HANDLER_POOL_REQUEST_HANDLER_AVG_IDLE_PERCENT, &[]),
        }
    }

    /// Marks how long workers were idle since the last time. Call it about once a second.
    pub fn sample(&mut self) {
        let now = self.clock.monotonic();
        let elapsed = now.saturating_sub(std::mem::replace(&mut self.last, now));
        let worked = [self.broker.worked(), self.controller.worked()];
        self.mark(elapsed, worked);
    }

    /// In `elapsed` the workers of broker and controller were busy for so long, summed up.
    pub(crate) fn mark(&self, elapsed: Duration, worked: [Duration; 2]) {
        let mut idle = 0;
        let mut workers = 0;
        for (pool, worked) in [&self.broker, &self.controller].into_iter().zip(worked) {
            let count = pool.workers();
            let waited = idle_nanos(elapsed, count, worked);
            pool.meter.mark(waited / count);
            idle += waited;
            workers += count;
        }
        self.all.mark(idle / workers);
    }
}

impl Pool {
    fn workers(&self) -> u64 {
        u64::try_from(self.runtime.metrics().num_workers()).unwrap_or(1).max(1)
    }

    /// Time that the workers were busy since the last time, summed up.
    fn worked(&mut self) -> Duration {
        let busy = busy(&self.runtime);
        busy.saturating_sub(std::mem::replace(&mut self.busy, busy))
    }
}

fn busy(runtime: &Handle) -> Duration {
    let metrics = runtime.metrics();
    (0..metrics.num_workers()).map(|worker| metrics.worker_total_busy_duration(worker)).sum()
}

/// Nanoseconds in which workers had nothing to do, summed up. A worker reports when it parks, so
/// that what it did before may be told later: never below 0.
fn idle_nanos(elapsed: Duration, workers: u64, worked: Duration) -> u64 {
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    nanos(elapsed).saturating_mul(workers).saturating_sub(nanos(worked))
}

#[cfg(test)]
mod tests {
    use pharos_metrics::Value;

    use super::*;

    #[test]
    fn idle_time_is_what_is_left_of_all_workers() {
        let second = Duration::from_secs(1);
        assert_eq!(idle_nanos(second, 2, Duration::ZERO), 2_000_000_000);
        assert_eq!(idle_nanos(second, 2, Duration::from_millis(500)), 1_500_000_000);
        assert_eq!(idle_nanos(second, 1, Duration::from_secs(3)), 0);
    }

    #[tokio::test]
    async fn the_meters_count_nanoseconds_of_the_mean_worker() {
        let (clock, time) = Clock::simulated(0);
        let registry = Registry::new(clock);
        let spawners = Spawners::on(&Handle::current());
        let mut meters = IdleMeters::new(&registry, &spawners);
        time.advance(Duration::from_secs(10));
        meters.sample();
        let name = "kafka.server:type=KafkaRequestHandlerPool,name=RequestHandlerAvgIdlePercent";
        let Some(Value::Long(count)) = registry.read(name, "Count") else { panic!("no meter") };
        assert!(count > 9_000_000_000 && count <= 10_000_000_000, "{count}");
        assert_eq!(registry.read(name, "RateUnit"), Some(Value::text("NANOSECONDS")));
    }
}
