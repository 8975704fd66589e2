//! `pharos_request_*`: what requests cost, as histograms with buckets, one label set per request.
//!
//! Unlike the beans of `RequestMetrics`, a consumer's fetch counts once, as `FetchConsumer`, and a
//! request that the controller decides counts once. So sums over `request` are true.

use std::time::{Duration, Instant};

use pharos_base::TraceContext;
use pharos_metrics::catalog::native as rows;
use pharos_metrics::{NativeHistogram, Registered, Registry};
use pharos_net::Timestamps;
use pharos_protocol::ApiKey;

/// The requests whose series exist before anyone sends one, objectives are set on them: the API, and
/// whether a consumer sends it.
pub const FROM_THE_START: [(ApiKey, bool); 2] = [(ApiKey::Produce, false), (ApiKey::Fetch, true)];

/// The series of one request name.
#[derive(Debug)]
pub struct RequestSeries {
    total: Registered<NativeHistogram>,
    /// In the order of [`PHASES`].
    phases: [Registered<NativeHistogram>; 6],
    request_bytes: Registered<NativeHistogram>,
    response_bytes: Registered<NativeHistogram>,
}

/// One request, once its answer has left.
#[derive(Clone, Copy, Debug)]
pub struct Measured<'a> {
    /// When what happened.
    pub timestamps: &'a Timestamps,
    /// How long the client was muted.
    pub throttle: Duration,
    /// Bytes of the request on the wire, with its size.
    pub request_bytes: u64,
    /// Bytes of the answer on the wire, with its size; 0 when there was none.
    pub response_bytes: u64,
}

/// The label `phase`, when the phase began and how long it took. A client is muted beside the
/// phases that follow.
type Phase = (&'static str, fn(&Timestamps) -> tokio::time::Instant, fn(&Measured<'_>) -> Duration);

const PHASES: [Phase; 6] = [
    ("request_queue", |at| at.received, |of| of.timestamps.handle_begin - of.timestamps.received),
    ("local", |at| at.handle_begin, |of| of.timestamps.handle_end - of.timestamps.handle_begin),
    ("remote", |at| at.handle_end, |of| of.timestamps.reply_ready - of.timestamps.handle_end),
    ("throttle", |at| at.reply_ready, |of| of.throttle),
    (
        "response_queue",
        |at| at.reply_ready,
        |of| of.timestamps.write_begin - of.timestamps.reply_ready,
    ),
    (
        "response_send",
        |at| at.write_begin,
        |of| of.timestamps.write_end - of.timestamps.write_begin,
    ),
];

impl Measured<'_> {
    /// Last byte read until last byte written.
    pub fn total(&self) -> Duration {
        self.timestamps.write_end - self.timestamps.received
    }
}

/// The phases of a request and how long each took.
pub fn phases(measured: &Measured<'_>) -> [(&'static str, Duration); 6] {
    PHASES.map(|(phase, _, took)| (phase, took(measured)))
}

/// The phases of a request, when each began and how long it took.
pub fn timed_phases(measured: &Measured<'_>) -> [(&'static str, Instant, Duration); 6] {
    PHASES
        .map(|(phase, began, took)| (phase, began(measured.timestamps).into_std(), took(measured)))
}

impl RequestSeries {
    /// Registers the series of `request`, a name of `RequestMetrics`.
    pub fn new(registry: &Registry, request: &str) -> Self {
        let histogram = |row| registry.family(row).histogram(&[request]);
        let by_phase = registry.family(&rows::PHAROS_REQUEST_PHASE_DURATION_SECONDS);
        Self {
            total: histogram(&rows::PHAROS_REQUEST_DURATION_SECONDS),
            phases: PHASES.map(|(phase, ..)| by_phase.histogram(&[request, phase])),
            request_bytes: histogram(&rows::PHAROS_REQUEST_SIZE_BYTES),
            response_bytes: histogram(&rows::PHAROS_RESPONSE_SIZE_BYTES),
        }
    }

    /// Counts one request; a traced one becomes an exemplar of its buckets.
    #[expect(clippy::cast_precision_loss, reason = "sizes of frames are far below 2^53")]
    pub fn record(&self, measured: &Measured<'_>, trace: Option<&TraceContext>) {
        self.total.record_traced(measured.total().as_secs_f64(), trace);
        for (series, (_, took)) in self.phases.iter().zip(phases(measured)) {
            series.record_traced(took.as_secs_f64(), trace);
        }
        self.request_bytes.record(measured.request_bytes as f64);
        if measured.response_bytes > 0 {
            self.response_bytes.record(measured.response_bytes as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use pharos_base::Clock;
    use tokio::time::Instant;

    use super::*;

    #[test]
    fn a_request_moves_each_series_by_its_times_and_sizes() {
        let registry = Registry::new(Clock::simulated(0).0);
        let series = RequestSeries::new(&registry, "Produce");
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let timestamps = Timestamps {
            first_byte: at(0),
            received: at(0),
            handle_begin: at(1),
            handle_end: at(3),
            reply_ready: at(7),
            write_begin: at(15),
            write_end: at(31),
        };
        let throttle = Duration::from_millis(64);
        series.record(
            &Measured { timestamps: &timestamps, throttle, request_bytes: 100, response_bytes: 0 },
            None,
        );
        series.record(
            &Measured { timestamps: &timestamps, throttle, request_bytes: 200, response_bytes: 50 },
            None,
        );
        let sum = |row, labels: &[&str]| registry.family(row).read(labels);
        assert_eq!(sum(&rows::PHAROS_REQUEST_DURATION_SECONDS, &["Produce"]), Some(0.062));
        assert_eq!(sum(&rows::PHAROS_REQUEST_SIZE_BYTES, &["Produce"]), Some(300.0));
        assert_eq!(sum(&rows::PHAROS_RESPONSE_SIZE_BYTES, &["Produce"]), Some(50.0));
        let expected = [0.001, 0.002, 0.004, 0.064, 0.008, 0.016];
        for ((phase, ..), seconds) in PHASES.into_iter().zip(expected) {
            let found = sum(&rows::PHAROS_REQUEST_PHASE_DURATION_SECONDS, &["Produce", phase]);
            assert_eq!(found, Some(2.0 * seconds), "{phase}");
        }
    }
}
