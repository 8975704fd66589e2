//! What a handler may know of the request beyond its body.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use pharos_net::{Chunks, Connection, ReplyChunk};
use pharos_protocol::wire::Chunk;
use pharos_protocol::{ApiKey, DecodeError, EncodeError, Message, frame};
use pharos_storage::Conversion;

use crate::apis::Endpoint;
use crate::quotas::{ClientQuotas, ThreadTime};

/// Who asks for what, in which version.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The connection that the request came on.
    pub connection: Arc<Connection>,
    /// Whom its listener is for.
    pub endpoint: Endpoint,
    /// The API.
    pub api: ApiKey,
    /// Its version.
    pub version: i16,
    /// Number that the answer repeats.
    pub correlation_id: i32,
    /// What the client calls itself; empty when it does not say.
    pub client_id: Arc<str>,
    /// Size of header and body in bytes.
    pub request_bytes: usize,
    /// What clients may use.
    pub quotas: Arc<ClientQuotas>,
    /// The time that threads work on it, while anyone wants to know.
    pub time: Option<ThreadTime>,
}

impl RequestContext {
    /// Name of the listener that the request came on.
    pub fn listener(&self) -> &str {
        self.connection.listener()
    }

    /// Host of the client as group members show it: `/address`.
    pub fn client_host(&self) -> String {
        format!("/{}", self.connection.peer().ip())
    }
}

/// How often each error code stands in a response.
pub type ErrorCounts = Vec<(i16, u32)>;

/// Why a request is not answered: its connection closes.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The body does not fit its version.
    #[error("the body is malformed: {0}")]
    Decode(#[from] DecodeError),
    /// The answer does not fit its version.
    #[error("the answer to {api} version {version} cannot be written: {source}")]
    Encode {
        /// Name of the API.
        api: &'static str,
        /// Version of the request.
        version: i16,
        /// Why.
        #[source]
        source: EncodeError,
    },
    /// The answer is one to something else: a mistake in this process.
    #[error("the answer to {0} is of another kind")]
    Mismatch(&'static str),
}

impl AnswerError {
    /// An answer of another kind.
    pub fn mismatch(context: &RequestContext) -> Self {
        Self::Mismatch(context.api.name())
    }
}

/// The partition that a request was about, the first of those that it named.
#[derive(Clone, Debug)]
pub struct About {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its index.
    pub partition: i32,
    /// How many more there were.
    pub more: usize,
}

/// An encoded answer and what is counted for it.
#[derive(Debug)]
pub struct Body {
    /// Response header and body; file pieces are sent without entering user space.
    pub chunks: Chunks,
    /// Error codes in it, for `RequestMetrics,name=ErrorsPerSec`.
    pub errors: ErrorCounts,
    /// How long the client is muted after it.
    pub throttle: Duration,
    /// A fetch of a consumer: it counts under that name beside the API's own.
    pub by_consumer: bool,
    /// The partition that the request was about, where the handler tells it.
    pub about: Option<About>,
    /// What checking the records took, of a produce request.
    pub conversion: Conversion,
}

impl Body {
    /// Encodes a response without files; it counts against the quota of request time.
    ///
    /// # Errors
    /// When the response does not fit its version.
    pub fn of<M: Message>(context: &RequestContext, response: &M) -> Result<Self, AnswerError> {
        Self::throttled(context, response, context.charge_time())
    }

    /// Encodes a response whose client is muted for `ms`.
    ///
    /// # Errors
    /// When the response does not fit its version.
    pub fn throttled<M: Message>(
        context: &RequestContext,
        response: &M,
        ms: u32,
    ) -> Result<Self, AnswerError> {
        if ms == 0 {
            return Self::with_files(context, response, |_| None);
        }
        let mut told = response.clone();
        told.set_throttle_time_ms(i32::try_from(ms).unwrap_or(i32::MAX));
        let throttle = Duration::from_millis(ms.into());
        Ok(Self { throttle, ..Self::with_files(context, &told, |_| None)? })
    }

    /// Encodes a response; `file` makes the piece that a token of external records stands for.
    ///
    /// # Errors
    /// When the response does not fit its version.
    pub fn with_files<M: Message>(
        context: &RequestContext,
        response: &M,
        mut file: impl FnMut(u32) -> Option<ReplyChunk>,
    ) -> Result<Self, AnswerError> {
        let (api, version) = (context.api, context.version);
        let encoded = frame::encode_reply(api, version, context.correlation_id, response)
            .map_err(|source| AnswerError::Encode { api: api.name(), version, source })?;
        let chunks = encoded.chunks.into_iter().filter_map(|chunk| match chunk {
            Chunk::Bytes(bytes) => Some(ReplyChunk::Bytes(bytes)),
            Chunk::External { token, .. } => file(token),
        });
        Ok(Self {
            chunks: chunks.collect(),
            errors: encoded.errors,
            throttle: Duration::ZERO,
            by_consumer: false,
            about: None,
            conversion: Conversion::default(),
        })
    }
}

/// What a handler made of a request.
pub enum Answer {
    /// The answer.
    Ready(Body),
    /// The request took effect; its answer waits. An answer that cannot be written closes the
    /// connection.
    Later(Pin<Box<dyn Future<Output = Result<Body, AnswerError>> + Send>>),
    /// Nothing is answered (Produce with acks=0); the client is muted for that long.
    Silent(Duration, Conversion),
    /// The connection must close (Produce with acks=0 that failed).
    Close(&'static str),
}

impl Answer {
    /// A response that is ready.
    ///
    /// # Errors
    /// When the response does not fit its version.
    pub fn ready<M: Message>(context: &RequestContext, response: &M) -> Result<Self, AnswerError> {
        Body::of(context, response).map(Self::Ready)
    }

    /// A response that waits.
    pub fn later(answer: impl Future<Output = Result<Body, AnswerError>> + Send + 'static) -> Self {
        Self::Later(Box::pin(answer))
    }
}
