//! The trace that a measurement belongs to: what an exemplar of a histogram shows.

use opentelemetry::trace::TraceContextExt as _;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Ids of the span in which a measurement was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exemplar {
    /// The trace, printed as 32 hexadecimal digits.
    pub trace_id: u128,
    /// The span, printed as 16 hexadecimal digits.
    pub span_id: u64,
}

impl Exemplar {
    /// The current span, when it is one that will be exported; `None` while export is off.
    pub fn current() -> Option<Self> {
        let span = Span::current();
        if span.is_disabled() {
            return None;
        }
        let context = span.context();
        let span = context.span();
        let ids = span.span_context();
        (ids.is_valid() && ids.is_sampled()).then(|| Self {
            trace_id: u128::from_be_bytes(ids.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(ids.span_id().to_bytes()),
        })
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    fn exemplar_under(sampler: Sampler) -> Option<Exemplar> {
        let provider = SdkTracerProvider::builder().with_sampler(sampler).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info_span!("append").in_scope(Exemplar::current)
        })
    }

    #[test]
    fn only_a_sampled_span_makes_an_exemplar() {
        let exemplar = exemplar_under(Sampler::AlwaysOn).unwrap();
        assert_ne!((exemplar.trace_id, exemplar.span_id), (0, 0));
        assert_eq!(exemplar_under(Sampler::AlwaysOff), None);
        assert_eq!(Exemplar::current(), None);
    }
}
