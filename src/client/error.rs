//! What can go wrong between us and a broker. Every error names the broker, key or thing it is about.

use std::io;
use std::sync::Arc;

use pharos_protocol::ErrorCode;

/// The result of every call of this crate.
pub type Result<T> = std::result::Result<T, ClientError>;

/// A failed call. Clones share their source, so that one failure can be told to many waiters.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClientError {
    /// A property has a value that its row does not allow.
    #[error("invalid value {value} for configuration {key}: expected {expected}")]
    Config {
        /// Name of the property.
        key: String,
        /// The value as given.
        value: String,
        /// What would have been accepted.
        expected: String,
    },
    /// A file of properties cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// Opening, reading or writing the connection failed.
    #[error("broker {broker}: {source}")]
    Io {
        /// `host:port` of the broker.
        broker: String,
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The broker closed the connection.
    #[error("broker {broker} closed the connection")]
    Disconnected {
        /// `host:port` of the broker.
        broker: String,
    },
    /// The broker announced a response that no request of ours can have.
    #[error("broker {broker} announced a response of {size} bytes, the limit is {limit}")]
    ResponseSize {
        /// `host:port` of the broker.
        broker: String,
        /// The announced size.
        size: i64,
        /// The most that is accepted, in bytes.
        limit: usize,
    },
    /// The broker answered something that was not asked.
    #[error("broker {broker} answered request {found} where request {expected} was next")]
    Correlation {
        /// `host:port` of the broker.
        broker: String,
        /// The oldest request without an answer; -1 when there is none.
        expected: i32,
        /// The id that arrived.
        found: i32,
    },
    /// A response does not follow its schema.
    #[error("broker {broker} sent a {api} response that cannot be read: {reason}")]
    Malformed {
        /// `host:port` of the broker.
        broker: String,
        /// Name of the API.
        api: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A request cannot be written in the version that the broker speaks.
    #[error("cannot write a {api} request: {reason}")]
    Unwritable {
        /// Name of the API.
        api: &'static str,
        /// Why not.
        reason: String,
    },
    /// The broker does not offer the API, or no version that we know.
    #[error("broker {broker} does not support {api} in a version that this client speaks")]
    Unsupported {
        /// `host:port` of the broker.
        broker: String,
        /// Name of the API.
        api: &'static str,
    },
    /// No answer in time.
    #[error("broker {broker} did not answer a {api} request within {timeout_ms} ms")]
    RequestTimeout {
        /// `host:port` of the broker.
        broker: String,
        /// Name of the API.
        api: &'static str,
        /// How long was waited.
        timeout_ms: u64,
    },
    /// A call could not be finished within its time, whatever was tried.
    #[error("timed out after {timeout_ms} ms while {what}{}", .last.as_ref().map(|e| format!(": {e}")).unwrap_or_default())]
    Timeout {
        /// What was being done.
        what: String,
        /// How long was tried.
        timeout_ms: u64,
        /// The last failure on the way.
        last: Option<Box<ClientError>>,
    },
    /// The broker refused.
    #[error("{}", .message.clone().unwrap_or_else(|| .code.message().to_owned()))]
    Broker {
        /// Kafka's error.
        code: ErrorCode,
        /// The broker's own words, where it sent some.
        message: Option<String>,
    },
    /// The metadata names no such broker.
    #[error("broker {id} is not a live member of the cluster")]
    UnknownBroker {
        /// `node.id`.
        id: i32,
    },
    /// The call makes no sense in this state.
    #[error("{0}")]
    Usage(String),
    /// The client was closed while the call ran.
    #[error("the client was closed")]
    Closed,
}

impl ClientError {
    /// The error for a Kafka error code; `None` for success.
    pub fn from_code(code: i16, message: Option<&str>) -> Option<Self> {
        if code == 0 {
            return None;
        }
        let message = message.filter(|text| !text.is_empty()).map(str::to_owned);
        Some(Self::Broker { code: error_code(code), message })
    }

    /// Succeeds for code 0, else fails with the broker's words.
    pub fn check(code: i16, message: Option<&str>) -> Result<()> {
        Self::from_code(code, message).map_or(Ok(()), Err)
    }

    /// The Kafka error behind it, if a broker answered one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Broker { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// True when the same call may succeed later, perhaps at another broker.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Io { .. }
            | Self::Disconnected { .. }
            | Self::RequestTimeout { .. }
            | Self::UnknownBroker { .. } => true,
            Self::Broker { code, .. } => code.retriable(),
            _ => false,
        }
    }

    /// True when the connection, not the request, is at fault.
    pub fn is_connection(&self) -> bool {
        matches!(
            self,
            Self::Io { .. }
                | Self::Disconnected { .. }
                | Self::ResponseSize { .. }
                | Self::Correlation { .. }
                | Self::RequestTimeout { .. }
        )
    }
}

/// The error of a code; one that is not known here stands for an unknown failure, as in Kafka.
pub fn error_code(code: i16) -> ErrorCode {
    ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError)
}
