//! The time that a request keeps a thread busy: waits are not counted.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Busy time of one request; clones share it.
#[derive(Clone, Debug)]
pub struct ThreadTime(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    base: Instant,
    spent_nanos: AtomicU64,
    /// Since when a thread works on it, after `base`; [`IDLE`] when none does.
    since_nanos: AtomicU64,
}

const IDLE: u64 = u64::MAX;

impl ThreadTime {
    /// Nothing is spent yet.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            base: Instant::now(),
            spent_nanos: AtomicU64::new(0),
            since_nanos: AtomicU64::new(IDLE),
        }))
    }

    /// As if threads had worked on it for that long.
    #[cfg(test)]
    pub fn of_nanos(nanos: u64) -> Self {
        let time = Self::new();
        time.0.spent_nanos.store(nanos, Ordering::Relaxed);
        time
    }

    /// Nanoseconds that threads worked on it.
    pub fn nanos(&self) -> u64 {
        let since = self.0.since_nanos.load(Ordering::Relaxed);
        let running = if since == IDLE { 0 } else { self.0.now().saturating_sub(since) };
        self.0.spent_nanos.load(Ordering::Relaxed).saturating_add(running)
    }

    /// Runs `work`, counting the time of its polls where there is something to count it in.
    pub async fn count<F: Future>(time: Option<&Self>, work: F) -> F::Output {
        let mut work = pin!(work);
        std::future::poll_fn(|cx| {
            let Some(Self(inner)) = time else { return work.as_mut().poll(cx) };
            let since = inner.now();
            inner.since_nanos.store(since, Ordering::Relaxed);
            let polled = work.as_mut().poll(cx);
            inner.spent_nanos.fetch_add(inner.now().saturating_sub(since), Ordering::Relaxed);
            inner.since_nanos.store(IDLE, Ordering::Relaxed);
            polled
        })
        .await
    }
}

impl Default for ThreadTime {
    fn default() -> Self {
        Self::new()
    }
}

impl Inner {
    fn now(&self) -> u64 {
        u64::try_from(self.base.elapsed().as_nanos()).unwrap_or(IDLE - 1)
    }
}
