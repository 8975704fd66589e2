//! The spans that rooms make, as far as they belong to a traced request. Those of the HTTP client
//! are left out, or an export would make spans to export.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

use crate::tracer;

/// Spans of rooms are of this level at most, so that nobody makes them where no spans are exported.
const SPANS: Level = Level::DEBUG;
/// Log lines up to this level become events of the span in which they are written.
const EVENTS: Level = Level::INFO;

/// The layer over `provider`, for the instrumentation scope `scope`.
pub(crate) fn layer<S>(provider: &SdkTracerProvider, scope: &'static str) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(scope))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_level(false)
        .with_tracked_inactivity(false)
        .with_filter(Traced)
}

/// Keeps spans that nobody will export from being made at all: the registry makes a span for a layer
/// even when that layer's own filter is against it.
pub(crate) struct Gate {
    /// The finest level that some log line may have.
    lines: LevelFilter,
}

impl Gate {
    /// The gate beside log lines whose filter lets `lines` pass.
    pub(crate) fn new(lines: Option<LevelFilter>) -> Self {
        Self { lines: lines.unwrap_or(LevelFilter::TRACE) }
    }
}

impl<S: Subscriber> Layer<S> for Gate {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.is_span() && Traced::concerns(metadata) {
            Interest::sometimes()
        } else if *metadata.level() <= self.lines || Traced::concerns(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _context: Context<'_, S>) -> bool {
        !metadata.is_span() || (Traced::concerns(metadata) && tracer::current().is_some())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.lines.max(LevelFilter::from_level(SPANS)))
    }
}

/// Lets pass what our rooms do for a traced request.
struct Traced;

impl Traced {
    fn concerns(metadata: &Metadata<'_>) -> bool {
        let most = if metadata.is_span() { SPANS } else { EVENTS };
        *metadata.level() <= most && metadata.target().starts_with("pharos")
    }
}

impl<S: Subscriber> Filter<S> for Traced {
    fn enabled(&self, metadata: &Metadata<'_>, _context: &Context<'_, S>) -> bool {
        Self::concerns(metadata) && tracer::current().is_some()
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if Self::concerns(metadata) { Interest::sometimes() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::from_level(SPANS))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{SpanData, SpanExporter};
    use parking_lot::Mutex;
    use pharos_base::{SpanId, TraceContext, TraceId};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::tracer::Scope;

    #[derive(Clone, Debug, Default)]
    struct Kept(Arc<Mutex<Vec<SpanData>>>);

    impl SpanExporter for Kept {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().extend(batch);
            Ok(())
        }
    }

    /// What is exported of `work`.
    fn exported(work: impl FnOnce()) -> Vec<SpanData> {
        let kept = Kept::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
        let subscriber = tracing_subscriber::registry().with(layer(&provider, "test"));
        tracing::subscriber::with_default(subscriber, work);
        kept.0.lock().clone()
    }

    fn context(sampled: bool) -> TraceContext {
        TraceContext { trace_id: TraceId(7), span_id: SpanId(8), sampled }
    }

    fn append() {
        tracing::debug_span!(target: "pharos_storage", "append", log = "t-0").in_scope(|| {
            tracing::info!(target: "pharos_storage", "rolled");
            tracing::debug_span!(target: "pharos_storage", "write").in_scope(|| {});
        });
    }

    #[test]
    fn spans_of_a_traced_request_hang_under_it() {
        let spans = exported(|| Scope::new(context(true)).run(append));
        let [write, append] = spans.as_slice() else { panic!("{spans:?}") };
        assert_eq!((write.name.as_ref(), append.name.as_ref()), ("write", "append"));
        assert_eq!(u64::from_be_bytes(append.parent_span_id.to_bytes()), 8);
        assert_eq!(write.parent_span_id, append.span_context.span_id());
        for span in &spans {
            assert_eq!(u128::from_be_bytes(span.span_context.trace_id().to_bytes()), 7);
        }
        let attributes: Vec<_> =
            append.attributes.iter().map(|it| format!("{}={}", it.key, it.value)).collect();
        assert_eq!(attributes, ["log=t-0"]);
        assert_eq!(append.events.events.len(), 1);
    }

    #[test]
    fn the_gate_lets_lines_pass_and_spans_of_traced_requests() {
        let provider = SdkTracerProvider::builder().build();
        let gate = Gate::new(Some(LevelFilter::INFO));
        let subscriber = tracing_subscriber::registry().with(layer(&provider, "test")).with(gate);
        tracing::subscriber::with_default(subscriber, || {
            let span = || tracing::debug_span!(target: "pharos_storage", "append");
            assert!(span().is_disabled());
            assert!(Scope::new(context(false)).run(span).is_disabled());
            assert!(!Scope::new(context(true)).run(span).is_disabled());
            let foreign = || tracing::info_span!(target: "hyper", "connect");
            assert!(Scope::new(context(true)).run(foreign).is_disabled());
            assert!(tracing::enabled!(target: "pharos_storage", Level::WARN));
            assert!(!tracing::enabled!(target: "hyper", Level::TRACE));
        });
    }

    #[test]
    fn others_make_no_spans() {
        assert_eq!(exported(append).len(), 0);
        assert_eq!(exported(|| Scope::new(context(false)).run(append)).len(), 0);
        let foreign = || drop(tracing::debug_span!(target: "hyper", "connect"));
        assert_eq!(exported(|| Scope::new(context(true)).run(foreign)).len(), 0);
    }
}
