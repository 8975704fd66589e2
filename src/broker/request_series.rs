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
    /// How long each phase took, in the order of [`PHASES`].
    pub took: [Duration; 6],
    /// Last byte read until last byte written.
    pub total: Duration,
    /// Bytes of the request on the wire, with its size.
    pub request_bytes: u64,
    /// Bytes of the answer on the wire, with its size; 0 when there was none.
    pub response_bytes: u64,
}

/// The label `phase`. A client is muted beside the phases that follow.
const PHASES: [&str; 6] =
    ["request_queue", "local", "remote", "throttle", "response_queue", "response_send"];

impl<'a> Measured<'a> {
    /// A request with those times, whose client was muted for `throttle`, of so many bytes that was
    /// answered by so many.
    pub fn new(at: &'a Timestamps, throttle: Duration, request: u64, response: u64) -> Self {
        let took = [
            at.handle_begin - at.received,
            at.handle_end - at.handle_begin,
            at.reply_ready - at.handle_end,
            throttle,
            at.write_begin - at.reply_ready,
            at.write_end - at.write_begin,
        ];
        let total = at.write_end - at.received;
        Self { timestamps: at, took, total, request_bytes: request, response_bytes: response }
    }

    /// The phases and how long each took.
    pub fn phases(&self) -> [(&'static str, Duration); 6] {
        let mut took = self.took.into_iter();
        PHASES.map(|phase| (phase, took.next().unwrap_or_default()))
    }

    /// The phases, when each began and how long it took.
    pub fn timed_phases(&self) -> [(&'static str, Instant, Duration); 6] {
        let at = self.timestamps;
        let began = [
            at.received,
            at.handle_begin,
            at.handle_end,
            at.reply_ready,
            at.reply_ready,
            at.write_begin,
        ];
        let mut began = began.into_iter().map(tokio::time::Instant::into_std);
        self.phases().map(|(phase, took)| (phase, began.next().unwrap_or_else(Instant::now), took))
    }
}

impl RequestSeries {
    /// Registers the series of `request`, a name of `RequestMetrics`.
    pub fn new(registry: &Registry, request: &str) -> Self {
        let histogram = |row| registry.family(row).histogram(&[request]);
        let by_phase = registry.family(&rows::PHAROS_REQUEST_PHASE_DURATION_SECONDS);
        Self {
            total: histogram(&rows::PHAROS_REQUEST_DURATION_SECONDS),
            phases: PHASES.map(|phase| by_phase.histogram(&[request, phase])),
            request_bytes: histogram(&rows::PHAROS_REQUEST_SIZE_BYTES),
            response_bytes: histogram(&rows::PHAROS_RESPONSE_SIZE_BYTES),
        }
    }

    /// Counts one request; a traced one becomes an exemplar of its buckets.
    #[expect(clippy::cast_precision_loss, reason = "sizes of frames are far below 2^53")]
    pub fn record(&self, measured: &Measured<'_>, trace: Option<&TraceContext>) {
        self.total.record_traced(measured.total.as_secs_f64(), trace);
        for (series, took) in self.phases.iter().zip(measured.took) {
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
        series.record(&Measured::new(&timestamps, throttle, 100, 0), None);
        series.record(&Measured::new(&timestamps, throttle, 200, 50), None);
        let sum = |row, labels: &[&str]| registry.family(row).read(labels);
        assert_eq!(sum(&rows::PHAROS_REQUEST_DURATION_SECONDS, &["Produce"]), Some(0.062));
        assert_eq!(sum(&rows::PHAROS_REQUEST_SIZE_BYTES, &["Produce"]), Some(300.0));
        assert_eq!(sum(&rows::PHAROS_RESPONSE_SIZE_BYTES, &["Produce"]), Some(50.0));
        let expected = [0.001, 0.002, 0.004, 0.064, 0.008, 0.016];
        for (phase, seconds) in PHASES.into_iter().zip(expected) {
            let found = sum(&rows::PHAROS_REQUEST_PHASE_DURATION_SECONDS, &["Produce", phase]);
            assert_eq!(found, Some(2.0 * seconds), "{phase}");
        }
    }
}
