//! `pharos_spans_*`: what became of the spans of traced requests. The families exist while spans are
//! exported.

use std::sync::Arc;

use pharos_metrics::catalog::native as rows;
use pharos_metrics::{Registered, Registry};
use pharos_telemetry::SpanCounts;

/// The series of a node that exports spans.
#[derive(Debug)]
pub struct SpanSeries {
    _exported: Registered<()>,
    _dropped: [Registered<()>; 3],
}

impl SpanSeries {
    /// Shows `counts`.
    #[expect(clippy::cast_precision_loss, reason = "samples are doubles")]
    pub fn new(registry: &Registry, counts: &Arc<SpanCounts>) -> Self {
        let dropped = registry.family(&rows::PHAROS_SPANS_DROPPED_TOTAL);
        let shown = |reason, count: fn(&SpanCounts) -> u64| {
            let counts = counts.clone();
            dropped.gauge_fn(&[reason], move || count(&counts) as f64)
        };
        let exported = counts.clone();
        Self {
            _exported: registry
                .family(&rows::PHAROS_SPANS_EXPORTED_TOTAL)
                .gauge_fn(&[], move || exported.exported() as f64),
            _dropped: [
                shown("queue_full", SpanCounts::queue_full),
                shown("export_failed", SpanCounts::failed),
                shown("rejected", SpanCounts::rejected),
            ],
        }
    }
}
