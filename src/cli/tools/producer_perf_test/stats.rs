//! Counts of a run, and the lines that tell them.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::io::Io;

const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// What became of a record.
pub struct Outcome {
    /// Milliseconds until it was acknowledged, or why it was not.
    pub latency: Result<f64, String>,
    /// Bytes of its value.
    pub bytes: usize,
    /// Whether it counts for the steady state.
    pub steady: bool,
}

/// Latencies and bytes since a moment.
pub struct Window {
    /// When it began.
    pub started: Instant,
    latencies_ms: Vec<f64>,
    bytes: usize,
}

impl Window {
    fn new() -> Self {
        Self { started: Instant::now(), latencies_ms: Vec::new(), bytes: 0 }
    }

    fn add(&mut self, latency_ms: f64, bytes: usize) {
        self.latencies_ms.push(latency_ms);
        self.bytes += bytes;
    }

    /// The summary; `what` says of which records.
    pub fn line(&mut self, what: &str) -> String {
        self.latencies_ms.sort_by(f64::total_cmp);
        total_line(&self.latencies_ms, self.bytes, self.started.elapsed().as_secs_f64(), what)
    }
}

/// Counts of the whole run, of its steady state, and of the time that is being reported.
pub struct Stats {
    interval: Duration,
    keeps_steady: bool,
    pub all: Window,
    pub steady: Window,
    reported: Window,
}

impl Stats {
    /// Counts from now on, reported at each interval.
    pub fn new(interval: Duration, keeps_steady: bool) -> Self {
        let window = Window::new;
        Self { interval, keeps_steady, all: window(), steady: window(), reported: window() }
    }

    /// Counts what became of a record; shows a report when it is time.
    pub fn add(&mut self, outcome: Outcome, io: &mut Io<'_>) -> Result<()> {
        match outcome.latency {
            Ok(latency_ms) => {
                self.all.add(latency_ms, outcome.bytes);
                self.reported.add(latency_ms, outcome.bytes);
                if outcome.steady && self.keeps_steady {
                    self.steady.add(latency_ms, outcome.bytes);
                }
            }
            Err(error) => io.warn(format!("Error when sending message: {error}")),
        }
        if self.reported.started.elapsed() >= self.interval {
            let Window { started, latencies_ms, bytes } = &self.reported;
            io.line(window_line(latencies_ms, *bytes, started.elapsed().as_secs_f64()))?;
            io.out.flush()?;
            self.reported = Window::new();
        }
        Ok(())
    }
}

fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

fn window_line(latencies_ms: &[f64], bytes: usize, seconds: f64) -> String {
    format!(
        "{} records sent, {:.1} records/sec ({:.2} MB/sec), {:.1} ms avg latency, {:.1} ms max \
         latency.",
        latencies_ms.len(),
        latencies_ms.len() as f64 / seconds,
        bytes as f64 / MEBIBYTE / seconds,
        mean(latencies_ms),
        latencies_ms.iter().copied().fold(0.0, f64::max)
    )
}

fn total_line(sorted_ms: &[f64], bytes: usize, seconds: f64, what: &str) -> String {
    let at = |quantile: f64| {
        let index = (quantile * sorted_ms.len() as f64) as usize;
        sorted_ms.get(index.min(sorted_ms.len().saturating_sub(1))).copied().unwrap_or(0.0) as u64
    };
    format!(
        "{}{what} records sent, {:.6} records/sec ({:.2} MB/sec), {:.2} ms avg latency, {:.2} ms max \
         latency, {} ms 50th, {} ms 95th, {} ms 99th, {} ms 99.9th.",
        sorted_ms.len(),
        sorted_ms.len() as f64 / seconds,
        bytes as f64 / MEBIBYTE / seconds,
        mean(sorted_ms),
        sorted_ms.last().copied().unwrap_or(0.0),
        at(0.5),
        at(0.95),
        at(0.99),
        at(0.999)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_look_as_kafka_prints_them() {
        let sorted: Vec<f64> = (1..=1000).map(f64::from).collect();
        assert_eq!(
            total_line(&sorted, 2 * 1024 * 1024, 2.0, ""),
            "1000 records sent, 500.000000 records/sec (1.00 MB/sec), 500.50 ms avg latency, \
             1000.00 ms max latency, 501 ms 50th, 951 ms 95th, 991 ms 99th, 1000 ms 99.9th."
        );
        assert_eq!(
            window_line(&[1.0, 3.0], 1024 * 1024, 1.0),
            "2 records sent, 2.0 records/sec (1.00 MB/sec), 2.0 ms avg latency, 3.0 ms max latency."
        );
    }
}
