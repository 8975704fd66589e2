//! `/api/lines`: what the charts draw, an hour of it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use pharos_alerting::{Kept, Line, Use, Watch};
use pharos_metrics::catalog::native as rows;
use serde_json::{Map, Value, json};

use crate::answer;
use crate::limits::{CHART_MS, CHART_WINDOW, CHART_WINDOW_PAUSES, MAX_LINES, RATE_MS};
use crate::shared::Shared;

/// The rules that record what is drawn, over a time that holds two looks however rare they are.
pub(crate) fn own_rules(longest_pause: Duration) -> String {
    let window = CHART_WINDOW.max(longest_pause * CHART_WINDOW_PAUSES);
    include_str!("own.yml").replace("[2m]", &format!("[{}ms]", window.as_millis()))
}

/// One chart.
#[derive(Debug)]
pub(crate) struct Chart {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    unit: &'static str,
    /// The recorded name.
    pub(crate) record: &'static str,
    /// The series that it comes from, to be explained.
    of: &'static str,
}

macro_rules! charts {
    ($($id:literal, $title:literal, $unit:literal, $record:literal, $of:literal;)*) => {
        /// The charts, in the order in which they are shown.
        pub(crate) const CHARTS: &[Chart] = &[$(
            Chart { id: $id, title: $title, unit: $unit, record: $record, of: $of }
        ),*];
    };
}

charts! {
    "messages_in", "Records in", "records/s", "console:messages_in:rate", "kafka_server_brokertopicmetrics_messagesin_total";
    "bytes_in", "Bytes in", "bytes/s", "console:bytes_in:rate", "kafka_server_brokertopicmetrics_bytesin_total";
    "bytes_out", "Bytes out", "bytes/s", "console:bytes_out:rate", "kafka_server_brokertopicmetrics_bytesout_total";
    "produce_p99", "Produce, p99", "seconds", "console:produce_seconds:p99", "pharos_request_duration_seconds_bucket";
    "fetch_p99", "Fetch inside the broker, p99", "seconds", "console:fetch_seconds:p99", "pharos_request_phase_duration_seconds_bucket";
    "lag", "Lag of groups", "seconds", "console:lag_seconds:max", "kafka_consumergroup_lag_seconds_max";
    "requests", "Requests", "requests/s", "console:requests:rate", "kafka_network_requestmetrics_requests_total";
    "errors", "Errors in answers", "errors/s", "console:errors:rate", "kafka_network_requestmetrics_errors_total";
    "idle", "Handlers idle", "ratio", "console:handlers_idle:min", "kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent";
    "cpu", "CPU of the process", "cores", "console:cpu_seconds:rate", "process_cpu_seconds_total";
    "memory", "Resident memory", "bytes", "console:resident_bytes:sum", "process_resident_memory_bytes";
}

/// Recorded names whose last value is shown in lists.
pub(crate) mod last {
    pub(crate) const TOPIC_MESSAGES: &str =
        "topic:kafka_server_brokertopicmetrics_messagesin:rate5m";
    pub(crate) const TOPIC_BYTES_IN: &str = "topic:kafka_server_brokertopicmetrics_bytesin:rate5m";
    pub(crate) const TOPIC_BYTES_OUT: &str =
        "topic:kafka_server_brokertopicmetrics_bytesout:rate5m";
    pub(crate) const TOPIC_SKEW: &str = "topic:pharos_partition_bytes_in:skew_rate5m";
    pub(crate) const PARTITION_SHARE: &str =
        "topic_partition:pharos_partition_bytes_in:ratio_rate5m";
    pub(crate) const PARTITION_BYTES_IN: &str = "topic_partition:pharos_partition_bytes_in:rate5m";
    pub(crate) const PARTITION_BYTES_OUT: &str =
        "topic_partition:pharos_partition_bytes_out:rate5m";

    pub(crate) const ALL: [&str; 7] = [
        TOPIC_MESSAGES,
        TOPIC_BYTES_IN,
        TOPIC_BYTES_OUT,
        TOPIC_SKEW,
        PARTITION_SHARE,
        PARTITION_BYTES_IN,
        PARTITION_BYTES_OUT,
    ];
}

/// The names that are kept, and for how long.
pub(crate) fn kept_names() -> Vec<Kept> {
    let charts = CHARTS.iter().map(|chart| (chart.record, CHART_MS, Use::Charts));
    let last = last::ALL.map(|name| (name, 0, Use::Lists));
    let rates = [
        rows::KAFKA_CONSUMERGROUP_CURRENT_OFFSET.name,
        rows::KAFKA_TOPIC_PARTITION_CURRENT_OFFSET.name,
    ];
    let rates = rates.map(|name| (name, RATE_MS, Use::Lists));
    let all = charts.chain(last).chain(rates);
    all.map(|(name, keep_ms, of)| Kept { name, keep_ms, of }).collect()
}

/// `/api/lines`.
pub(crate) async fn answer(State(shared): State<Arc<Shared>>) -> Response {
    shared.work(|shared| answer::json(&to_json(shared))).await
}

fn to_json(shared: &Shared) -> Value {
    let now_ms = shared.registry.clock().now_ms();
    let watch = shared.watch.read();
    let charts: Vec<_> = CHARTS.iter().map(|chart| of_chart(chart, &watch, now_ms)).collect();
    let at_ms = shared.pulse.borrow().at_ms;
    json!({ "from_ms": now_ms - CHART_MS, "to_ms": now_ms, "at_ms": at_ms, "charts": charts })
}

fn of_chart(chart: &Chart, watch: &Watch, now_ms: i64) -> Value {
    let mut lines = watch.lines(chart.record, now_ms - CHART_MS);
    let left_out = lines.len().saturating_sub(MAX_LINES);
    lines.sort_by(|a, b| highest(b).total_cmp(&highest(a)));
    lines.truncate(MAX_LINES);
    let lines: Vec<_> = lines.iter().map(of_line).collect();
    json!({
        "id": chart.id,
        "title": chart.title,
        "unit": chart.unit,
        "record": chart.record,
        "of": chart.of,
        "lines": lines,
        "left_out": left_out,
    })
}

fn highest(line: &Line) -> f64 {
    line.points.iter().map(|(_, value)| *value).fold(0.0, f64::max)
}

/// What is no number leaves a gap.
fn of_line(line: &Line) -> Value {
    let labels: Map<_, _> =
        line.labels.iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
    let times: Vec<_> = line.points.iter().map(|(time, _)| *time).collect();
    let values: Vec<_> = line
        .points
        .iter()
        .map(|(_, value)| if value.is_finite() { Value::from(*value) } else { Value::Null })
        .collect();
    json!({ "labels": labels, "times_ms": times, "values": values })
}
