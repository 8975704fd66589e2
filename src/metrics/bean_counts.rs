//! How many beans there are: Kafka's beans tell it of themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::row::{BeanRow, Shape};

/// How many figures there are, kept as beans come and go. Cloning shares the numbers.
#[derive(Clone, Debug, Default)]
pub struct BeanCounts(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    yammer: AtomicI64,
    kafka: AtomicI64,
}

impl BeanCounts {
    /// Beans of Yammer's library: meters, histograms, timers and gauges.
    pub fn yammer(&self) -> i64 {
        self.0.yammer.load(Ordering::Relaxed)
    }

    /// Attributes of the beans of Kafka's own library.
    #[expect(clippy::cast_precision_loss, reason = "Kafka's figure is a double")]
    pub fn kafka(&self) -> f64 {
        self.0.kafka.load(Ordering::Relaxed) as f64
    }

    /// Counts a bean `times` more.
    pub(crate) fn add(&self, row: &BeanRow, times: i64) {
        match row.shape {
            Shape::Attributes(rows) => {
                let figures = i64::try_from(rows.len()).unwrap_or(i64::MAX);
                self.0.kafka.fetch_add(figures.saturating_mul(times), Ordering::Relaxed);
            }
            _ => {
                self.0.yammer.fetch_add(times, Ordering::Relaxed);
            }
        }
    }
}
