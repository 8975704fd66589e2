//! T: what tracing costs those requests that are not traced: a broker that exports spans, of which
//! none falls to the share of 0, against one that exports none.

use super::requests;
use crate::Plan;
use crate::report::{Better, Report, Row};

/// Nobody listens there, and nothing is sent.
const UNSAMPLED: [&str; 2] =
    ["otel.exporter.otlp.endpoint=http://127.0.0.1:9", "otel.traces.sampler.arg=0"];

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let once = |_| requests::beside((plan, &UNSAMPLED), (plan, &[]));
    let found: Vec<_> = (0..plan.repeats).map(once).collect::<anyhow::Result<_>>()?;
    report.sample("T requests/s: untraced, off", serde_json::json!(found));
    let row = Row {
        id: "T",
        what: "single-record produce requests/s, tracing on and no request traced / off".to_owned(),
        floor: 0.95,
        target: 0.98,
        better: Better::Higher,
        unit: "",
    };
    let ratios: Vec<_> = found.iter().map(|[untraced, off]| untraced / off).collect();
    report.add(&row, &ratios);
    Ok(())
}
