//! The HTTP client of one collector. What the collector answers is not believed: it is limited in
//! size and time, and must be an answer of OTLP.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use parking_lot::Mutex;
use prost::Message as _;

/// Most bytes of an answer's body; one that counts rejected spans and says why has a few hundred.
const MAX_ANSWER_BYTES: usize = 64 << 10;
/// Most bytes of an answer's head.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// Sends requests to the collector. Clones share one connection and what was told.
#[derive(Clone)]
pub(crate) struct Collector {
    client: Client<HttpConnector, Full<Bytes>>,
    told: Arc<Mutex<Told>>,
}

/// What the exporter does not pass on of the last request.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Spans that the collector took in and threw away.
    pub rejected: u64,
    /// Why there was no answer.
    pub error: Option<String>,
}

impl Collector {
    pub(crate) fn new() -> Self {
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_max_idle_per_host(1).http1_max_buf_size(MAX_HEAD_BYTES);
        Self { client: builder.build(HttpConnector::new()), told: Arc::default() }
    }

    /// What was told since the last call.
    pub(crate) fn told(&self) -> Told {
        std::mem::take(&mut *self.told.lock())
    }

    async fn send(self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.client.request(request.map(Full::new)).await?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await?.to_bytes();
        if head.status.is_success() {
            let answer = ExportTraceServiceResponse::decode(&*body)
                .map_err(|error| format!("the answer is none of OTLP's: {error}"))?;
            let rejected = answer.partial_success.map_or(0, |partial| partial.rejected_spans);
            self.told.lock().rejected += u64::try_from(rejected).unwrap_or(0);
        }
        Ok(Response::from_parts(head, body))
    }
}

impl HttpClient for Collector {
    fn send_bytes<'s, 'f>(
        &'s self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'f>>
    where
        's: 'f,
        Self: 'f,
    {
        let this = self.clone();
        Box::pin(async move {
            let told = this.told.clone();
            let answer = this.send(request).await;
            told.lock().error = answer.as_ref().err().map(|error| whole(error.as_ref()));
            answer
        })
    }
}

/// An error with what caused it: the client's own words alone say nothing.
fn whole(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Collector")
    }
}
