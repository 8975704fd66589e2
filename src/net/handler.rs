//! The contract between a connection and whoever answers its requests.

use std::fs::File;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pharos_base::DiskPool;
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::close::CloseReason;
use crate::connection::Connection;

/// Answers requests. One value serves every connection of its listeners.
pub trait Handler: Send + Sync + 'static {
    /// What the handler wants to know again about a request once its reply has left: the name that
    /// it counts under, figures for its metrics. Carried untouched.
    type Tag: Send + 'static;

    /// Lets `request` take effect. The connection reads no further request until this is done, so
    /// effects keep the order of arrival; whatever only waits goes into [`Outcome::Later`].
    ///
    /// Dropped halfway when the connection closes.
    fn handle(&self, request: Request) -> impl Future<Output = Outcome<Self::Tag>> + Send;

    /// Told when the last byte of a reply has been handed to the kernel, or when a silent request
    /// is done. Never told of replies that the connection took with it when it closed.
    fn sent(&self, done: Completed<Self::Tag>);

    /// Told when a connection was accepted, before its first request.
    fn opened(&self, connection: &Arc<Connection>) {
        let _ = connection;
    }

    /// Told when a connection is gone, after its waits were dropped.
    fn closed(&self, connection: &Arc<Connection>, reason: &CloseReason) {
        let _ = (connection, reason);
    }
}

/// One request, as it came.
#[derive(Debug)]
pub struct Request {
    /// Whose request it is.
    pub connection: Arc<Connection>,
    /// Header and body, without the four bytes of the size; never empty. The bytes are counted
    /// against the budgets until the reply has left.
    pub frame: Bytes,
    /// When it came. The later instants still equal `handle_begin`.
    pub timestamps: Timestamps,
}

/// A reply that waits for something. Dropped, and so cancelled, when the connection closes.
pub type Later<T> = Pin<Box<dyn Future<Output = Reply<T>> + Send>>;

/// What became of a request.
pub enum Outcome<T> {
    /// The reply is ready.
    Reply(Reply<T>),
    /// The request has taken effect; its reply waits. Requests behind it go on meanwhile.
    Later(Later<T>),
    /// Nothing is answered (Produce with acks=0). The duration mutes the connection like
    /// [`Reply::throttle`].
    Silent {
        /// Given back in [`Completed`].
        tag: T,
        /// How long to read nothing more from this connection.
        throttle: Duration,
    },
    /// The connection is closed without an answer; earlier replies that are not written yet are
    /// lost, as in Kafka.
    Close(CloseReason),
}

/// The pieces of a reply, in order.
pub type Chunks = SmallVec<[ReplyChunk; 2]>;

/// A reply: response header and body without the size, which the connection writes itself.
#[derive(Debug)]
pub struct Reply<T> {
    /// The pieces, in order.
    pub chunks: Chunks,
    /// How long to read nothing more from this connection, counted from the moment that the reply
    /// is ready (KIP-219: the answer leaves at once, then the channel stays muted).
    pub throttle: Duration,
    /// Close the connection once this reply has left.
    pub then_close: Option<CloseReason>,
    /// Given back in [`Completed`].
    pub tag: T,
}

/// A piece of a reply.
#[derive(Clone, Debug)]
pub enum ReplyChunk {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes of a file, which go to the socket without entering user space.
    File {
        /// The open file. It stays open until the piece has left.
        file: Arc<File>,
        /// First byte.
        offset: u64,
        /// Number of bytes. The file must hold them: a shorter one closes the connection.
        len: u64,
        /// Who reads what is not in memory; `None` reads on the connection's own thread.
        disk: Option<Arc<DiskPool>>,
    },
}

impl ReplyChunk {
    /// Number of bytes on the wire.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }

    /// Whether nothing goes on the wire.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Reply<T> {
    /// A reply of `bytes`, without throttling.
    pub fn bytes(bytes: impl Into<Bytes>, tag: T) -> Self {
        Self::chunks([ReplyChunk::Bytes(bytes.into())], tag)
    }

    /// A reply of several pieces, without throttling.
    pub fn chunks(chunks: impl IntoIterator<Item = ReplyChunk>, tag: T) -> Self {
        let chunks = chunks.into_iter().collect();
        Self { chunks, throttle: Duration::ZERO, then_close: None, tag }
    }
}

/// The stations of a request; each lies at or after the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamps {
    /// The read that brought the first byte ended.
    pub first_byte: Instant,
    /// The read that brought the last byte ended. RequestQueueTimeMs runs from here.
    pub received: Instant,
    /// The handler was called. LocalTimeMs runs from here.
    pub handle_begin: Instant,
    /// The handler returned its outcome. RemoteTimeMs runs from here.
    pub handle_end: Instant,
    /// The reply was ready. ResponseQueueTimeMs runs from here: it may wait behind earlier ones.
    pub reply_ready: Instant,
    /// The first byte of the reply was tried on the socket. ResponseSendTimeMs runs from here.
    pub write_begin: Instant,
    /// The kernel took the last byte.
    pub write_end: Instant,
}

impl Timestamps {
    /// All stations at `now`; `first_byte` and `received` as given.
    pub(crate) fn begin(first_byte: Instant, received: Instant, now: Instant) -> Self {
        Self {
            first_byte,
            received,
            handle_begin: now,
            handle_end: now,
            reply_ready: now,
            write_begin: now,
            write_end: now,
        }
    }
}

/// A request whose reply has left, or that had none.
#[derive(Debug)]
pub struct Completed<T> {
    /// Whose request it was.
    pub connection: Arc<Connection>,
    /// As the handler gave it.
    pub tag: T,
    /// Size of the request on the wire in bytes, without the four of the size.
    pub request_bytes: usize,
    /// Size of the reply in bytes, without the four of the size; 0 when there was none.
    pub reply_bytes: u64,
    /// How long the connection was muted for it.
    pub throttle: Duration,
    /// When what happened.
    pub timestamps: Timestamps,
}
