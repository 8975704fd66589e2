//! Gauges and texts.

use std::sync::Arc;

use arc_swap::ArcSwap;
use metrics::{CounterFn, Gauge, GaugeFn};

use super::AtomicF64;

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
#[derive(Debug, Default)]
pub(crate) struct CounterCell(std::sync::atomic::AtomicU64);

impl CounterCell {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl CounterFn for CounterCell {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, std::sync::atomic::Ordering::Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.0.fetch_max(value, std::sync::atomic::Ordering::Relaxed);
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
