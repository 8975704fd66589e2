//! Exports spans by OTLP over HTTP (protobuf), on the control runtime.

use std::time::Duration;

use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanExporter as _};
use thiserror::Error;
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::collector::Collector;
use crate::export::{Batching, Queue};
use crate::layer;
use crate::tracer::Tracer;

/// Time to send what is left when the process stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Path of traces under an endpoint (OTLP specification).
const TRACES_PATH: &str = "/v1/traces";

/// Who made the spans.
const SCOPE: &str = "pharos";

/// Where spans go and what they are called.
#[derive(Clone, Debug)]
pub struct Otlp {
    /// `http://host:port`, to which the path of traces is added.
    pub endpoint: String,
    /// Name of the service.
    pub service_name: String,
    /// Number or name of this instance, as `node-1`.
    pub instance: String,
    /// Share of the requests that are traced, 0 to 1.
    pub sampled_ratio: f64,
    /// How spans leave.
    pub batching: Batching,
    /// The runtime on which requests run.
    pub runtime: Handle,
}

/// Why spans cannot be exported.
#[derive(Debug, Error)]
pub enum OtlpError {
    /// Not an endpoint that we can reach.
    #[error("otel.exporter.otlp.endpoint={0}: expected http://host:port")]
    Endpoint(String),
    /// The exporter refuses its configuration.
    #[error("spans cannot be exported: {0}")]
    Exporter(#[from] ExporterBuildError),
}

/// A running export; stopped by dropping.
#[derive(Debug)]
pub(crate) struct Provider {
    provider: SdkTracerProvider,
    queue: Queue,
    sampled_ratio: f64,
}

impl Otlp {
    pub(crate) fn start(self) -> Result<Provider, OtlpError> {
        let endpoint = traces_endpoint(&self.endpoint)?;
        let collector = Collector::new();
        let mut exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(collector.clone())
            .with_endpoint(endpoint)
            .with_timeout(self.batching.timeout)
            .build()?;
        let resource = Resource::builder()
            .with_service_name(self.service_name)
            .with_attribute(KeyValue::new("service.instance.id", self.instance))
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        exporter.set_resource(&resource);
        let told = move || collector.told();
        let queue = Queue::start(exporter, told, self.batching, &self.runtime);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(queue.clone())
            // Only what belongs to a traced request comes here.
            .with_sampler(Sampler::AlwaysOn)
            .with_resource(resource)
            .build();
        Ok(Provider { provider, queue, sampled_ratio: self.sampled_ratio })
    }
}

fn traces_endpoint(endpoint: &str) -> Result<String, OtlpError> {
    let base = endpoint.trim().trim_end_matches('/');
    let authority = base.strip_prefix("http://").unwrap_or_default();
    if authority.is_empty() || authority.starts_with('/') {
        return Err(OtlpError::Endpoint(endpoint.to_owned()));
    }
    Ok(if base.ends_with(TRACES_PATH) { base.to_owned() } else { format!("{base}{TRACES_PATH}") })
}

impl Provider {
    /// The layer that exports the spans that rooms make within a traced request.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        layer::layer(&self.provider, SCOPE)
    }

    /// What begins traces; `None` when no request is to be traced.
    pub(crate) fn tracer(&self) -> Option<Tracer> {
        let scope = InstrumentationScope::builder(SCOPE).build();
        let ratio = self.sampled_ratio;
        (ratio > 0.0).then(|| Tracer::new(self.queue.clone(), ratio, scope))
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        if let Err(error) = self.provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT) {
            tracing::info!(%error, "the last spans were not exported");
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn endpoints_get_the_path_of_traces() {
        for (endpoint, expected) in [
            ("http://collector:4318", Some("http://collector:4318/v1/traces")),
            ("http://collector:4318/", Some("http://collector:4318/v1/traces")),
            ("http://c/otel/v1/traces", Some("http://c/otel/v1/traces")),
            ("https://collector:4318", None),
            ("collector:4318", None),
            ("http://", None),
            ("", None),
        ] {
            assert_eq!(traces_endpoint(endpoint).ok().as_deref(), expected, "{endpoint}");
        }
    }

    /// Reads one HTTP request, answers 200 and returns its bytes.
    async fn receive_one(listener: TcpListener) -> Vec<u8> {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            let read = stream.read(&mut chunk).await.unwrap();
            bytes.extend_from_slice(&chunk[..read]);
            let text = String::from_utf8_lossy(&bytes).to_lowercase();
            let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap();
            let head_len = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
            if bytes.len() >= head_len + length.trim().parse::<usize>().unwrap() {
                break;
            }
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        bytes
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn spans_reach_the_collector() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let received = tokio::spawn(receive_one(listener));
        let otlp = Otlp {
            endpoint,
            service_name: "pharos".to_owned(),
            instance: "node-7".to_owned(),
            sampled_ratio: 1.0,
            batching: Batching {
                queue_spans: 10,
                batch_spans: 10,
                delay: Duration::from_secs(3600),
                timeout: Duration::from_secs(10),
            },
            runtime: Handle::current(),
        };
        let provider = otlp.start().unwrap();
        let subscriber = tracing_subscriber::registry().with(provider.layer());
        let trace = provider.tracer().unwrap().sample().unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let span = || drop(tracing::debug_span!(target: "pharos_test", "append_batch"));
            trace.scope(trace.new_span()).run(span);
        });
        tokio::task::spawn_blocking(move || drop(provider)).await.unwrap();
        let request = received.await.unwrap();
        let text = String::from_utf8_lossy(&request);
        assert!(text.starts_with("POST /v1/traces HTTP/1.1"), "{text}");
        for part in ["append_batch", "node-7", "service.name"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
