//! Gauges and texts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use metrics::{CounterFn, Gauge, GaugeFn};
use pharos_base::Clock;

use super::{AtomicF64, BLIND, StartTime};

/// The number behind a [`metrics::Gauge`].
#[derive(Debug)]
pub struct GaugeCell(AtomicF64);

impl GaugeCell {
    /// A cell that holds `value`.
    pub fn new(value: f64) -> Arc<Self> {
        Arc::new(Self(AtomicF64::new(value)))
    }

    /// The handle that moves it.
    pub fn handle(self: &Arc<Self>) -> Gauge {
        Gauge::from_arc(self.clone())
    }

    /// What it holds now.
    pub fn get(&self) -> f64 {
        self.0.get()
    }
}

impl GaugeFn for GaugeCell {
    fn increment(&self, value: f64) {
        self.0.add(value);
    }

    fn decrement(&self, value: f64) {
        self.0.add(-value);
    }

    fn set(&self, value: f64) {
        self.0.set(value);
    }
}

/// The number behind a [`metrics::Counter`].
#[derive(Debug)]
pub(crate) struct CounterCell {
    count: AtomicU64,
    started: Option<StartTime>,
}

impl CounterCell {
    /// A cell that counts from 0, from now on.
    pub(crate) fn new(clock: &Clock) -> Arc<Self> {
        Arc::new(Self { count: AtomicU64::new(0), started: StartTime::now(clock) })
    }

    pub(crate) fn get(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Since when it counts.
    pub(crate) fn started(&self) -> Option<StartTime> {
        self.started
    }
}

impl CounterFn for CounterCell {
    fn increment(&self, value: u64) {
        if !BLIND {
            self.count.fetch_add(value, Ordering::Relaxed);
        }
    }

    fn absolute(&self, value: u64) {
        self.count.fetch_max(value, Ordering::Relaxed);
    }
}

/// A text that changes rarely: a state, a version, an id.
#[derive(Debug, Clone)]
pub struct Text(Arc<ArcSwap<Arc<str>>>);

impl Text {
    /// A text that reads `value`.
    pub fn new(value: &str) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(Arc::from(value))))
    }

    /// Replaces it.
    pub fn set(&self, value: &str) {
        self.0.store(Arc::new(Arc::from(value)));
    }

    /// What it reads now.
    pub fn get(&self) -> Arc<str> {
        Arc::clone(&self.0.load())
    }
}
