//! T: what tracing costs those requests that are not traced: a broker that exports spans, of which
//! none falls to the share of 0, against one that exports none.

use super::requests;
use crate::Plan;
use crate::report::{Better, Report, Row};
use crate::stats::{abba, ratios};

/// Nobody listens there, and nothing is sent.
const UNSAMPLED: [&str; 2] =
    ["otel.exporter.otlp.endpoint=http://127.0.0.1:9", "otel.traces.sampler.arg=0"];

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let found =
        abba(plan.repeats, || requests::asked(plan, &UNSAMPLED), || requests::asked(plan, &[]))?;
    report.sample("T requests/s: untraced, untraced, off, off", serde_json::json!(found));
    let row = Row {
        id: "T",
        what: "single-record produce requests/s, tracing on and no request traced / off".to_owned(),
        floor: 0.95,
        target: 0.98,
        better: Better::Higher,
        unit: "",
    };
    report.add(&row, &ratios(&found, 0));
    Ok(())
}
