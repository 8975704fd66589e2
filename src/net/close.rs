//! Why a connection ended.

use std::io;

/// Why a connection ended. [`CloseReason::label`] is the bounded form for metrics.
#[derive(Debug, thiserror::Error)]
pub enum CloseReason {
    /// The peer closed its end between two requests.
    #[error("closed by the peer")]
    PeerClosed,
    /// The peer closed its end in the middle of a request.
    #[error("closed by the peer {received} bytes into a request")]
    Truncated {
        /// Bytes of the request that had arrived, with the size.
        received: usize,
    },
    /// Reading failed.
    #[error("cannot read: {0}")]
    Read(#[source] io::Error),
    /// Writing failed.
    #[error("cannot write: {0}")]
    Write(#[source] io::Error),
    /// The announced size is negative or zero.
    #[error("request announces a size of {0} bytes")]
    InvalidSize(i32),
    /// The announced size is above socket.request.max.bytes.
    #[error("request announces {size} bytes, more than the {limit} allowed")]
    TooLarge {
        /// Announced size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A request came in more slowly than any honest peer sends.
    #[error("request came too slowly: {received} bytes in {seconds} s")]
    SlowRequest {
        /// Bytes that had arrived.
        received: usize,
        /// Seconds since its first byte.
        seconds: u64,
    },
    /// Nothing happened for connections.max.idle.ms.
    #[error("idle for {seconds} s")]
    Idle {
        /// Seconds without a byte in either direction.
        seconds: u64,
    },
    /// The peer did not take a byte of its reply for connections.max.idle.ms.
    #[error("peer took no byte of its reply for {seconds} s")]
    NotReading {
        /// Seconds without a byte.
        seconds: u64,
    },
    /// The handler cannot answer: what came is no request that it serves.
    #[error("invalid request: {0}")]
    InvalidRequest(String),
    /// The handler refused the peer, for example a failed authentication.
    #[error("refused: {0}")]
    Refused(String),
    /// A reply does not fit into the four bytes of its size.
    #[error("reply of {0} bytes is too large for a frame")]
    ReplyTooLarge(u64),
    /// A file ended before the reply that it is part of.
    #[error("file ended {missing} bytes before the reply did")]
    FileTooShort {
        /// Bytes that are missing.
        missing: u64,
    },
    /// Reading a file for a reply failed.
    #[error("cannot read the file of a reply: {0}")]
    File(#[source] io::Error),
    /// This address has too many connections, or opens them too fast.
    #[error("too many connections from this address")]
    AddressLimit,
    /// Another listener needed the place.
    #[error("closed to make room for a more important connection")]
    Evicted,
    /// Someone in this process asked for it.
    #[error("closed on request")]
    Asked,
    /// The handler panicked.
    #[error("the handler panicked")]
    Panicked,
    /// The server stops.
    #[error("server stops")]
    Stopped,
}

impl CloseReason {
    /// Every label, so that counters exist before the first event.
    pub const LABELS: &'static [&'static str] = &[
        "peer_closed",
        "truncated",
        "read_error",
        "write_error",
        "invalid_size",
        "too_large",
        "slow_request",
        "idle",
        "not_reading",
        "invalid_request",
        "refused",
        "reply_too_large",
        "file_error",
        "address_limit",
        "evicted",
        "asked",
        "panicked",
        "stopped",
    ];

    /// One of [`CloseReason::LABELS`].
    pub fn label(&self) -> &'static str {
        Self::LABELS.get(self.index()).copied().unwrap_or("other")
    }

    /// Position of the label.
    pub(crate) fn index(&self) -> usize {
        match self {
            Self::PeerClosed => 0,
            Self::Truncated { .. } => 1,
            Self::Read(_) => 2,
            Self::Write(_) => 3,
            Self::InvalidSize(_) => 4,
            Self::TooLarge { .. } => 5,
            Self::SlowRequest { .. } => 6,
            Self::Idle { .. } => 7,
            Self::NotReading { .. } => 8,
            Self::InvalidRequest(_) => 9,
            Self::Refused(_) => 10,
            Self::ReplyTooLarge(_) => 11,
            Self::FileTooShort { .. } | Self::File(_) => 12,
            Self::AddressLimit => 13,
            Self::Evicted => 14,
            Self::Asked => 15,
            Self::Panicked => 16,
            Self::Stopped => 17,
        }
    }
}
