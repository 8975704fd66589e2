//! One TCP connection to one broker: frames out, frames in, in order.
//!
//! Two tasks own the socket's halves. Requests leave in the order in which they were queued and
//! answers must come in that order; anything else ends the connection with an error that names the
//! broker. Memory grows with the bytes that arrive, never with a length that was announced.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::config::HostPort;
use crate::error::{ClientError, Result};
use crate::versions::ApiVersions;

/// Bytes that are asked of the socket at once.
const READ_CHUNK: usize = 64 * 1024;
/// Requests that may wait for the socket; callers wait beyond it.
const QUEUE: usize = 64;

/// A live connection. Dropping it closes the socket and fails what is still under way.
pub struct Connection {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Outgoing>,
    tasks: [JoinHandle<()>; 2],
    correlation: AtomicI32,
    versions: ApiVersions,
}

struct Shared {
    broker: String,
    max_response_bytes: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    in_flight: VecDeque<InFlight>,
    closed: Option<ClientError>,
}

struct InFlight {
    correlation: i32,
    answer: oneshot::Sender<Result<Bytes>>,
}

struct Outgoing {
    correlation: i32,
    chunks: Vec<Bytes>,
    answer: Answer,
}

/// Who waits for what becomes of a request.
enum Answer {
    /// For the broker's answer.
    Frame(oneshot::Sender<Result<Bytes>>),
    /// For its last byte to leave: produce with acks=0 gets no answer.
    Sent(oneshot::Sender<Result<()>>),
}

/// A request whose bytes may leave.
struct Leaving {
    chunks: Vec<Bytes>,
    sent: Option<oneshot::Sender<Result<()>>>,
}

impl Connection {
    /// Opens a connection without asking for the broker's versions.
    pub(crate) async fn open(
        address: &HostPort,
        timeout: Duration,
        max_response_bytes: usize,
    ) -> Result<Self> {
        let broker = address.to_string();
        let failed = |source: io::Error| ClientError::Io {
            broker: broker.clone(),
            source: Arc::new(source),
        };
        let connecting = TcpStream::connect((address.host.as_str(), address.port));
        let stream = match tokio::time::timeout(timeout, connecting).await {
            Ok(stream) => stream.map_err(failed)?,
            Err(_) => return Err(failed(io::ErrorKind::TimedOut.into())),
        };
        stream.set_nodelay(true).map_err(failed)?;
        let (read, write) = stream.into_split();
        let shared = Arc::new(Shared { broker, max_response_bytes, state: Mutex::default() });
        let (queue, requests) = mpsc::channel(QUEUE);
        let tasks = [
            tokio::spawn(write_requests(shared.clone(), requests, write)),
            tokio::spawn(read_responses(shared.clone(), read)),
        ];
        let versions = ApiVersions::default();
        Ok(Self { shared, queue, tasks, correlation: AtomicI32::new(0), versions })
    }

    /// `host:port` of the broker.
    pub fn broker(&self) -> &str {
        &self.shared.broker
    }

    /// What the broker offers.
    pub fn versions(&self) -> &ApiVersions {
        &self.versions
    }

    pub(crate) fn set_versions(&mut self, versions: ApiVersions) {
        self.versions = versions;
    }

    pub(crate) fn next_correlation(&self) -> i32 {
        self.correlation.fetch_add(1, Ordering::Relaxed) & i32::MAX
    }

    /// True once the connection has failed or was closed.
    pub fn is_closed(&self) -> bool {
        self.shared.state.lock().closed.is_some()
    }

    /// Sends a whole frame and waits for the answer's frame (without its size). `queued` is called
    /// once every later request will leave behind this one.
    pub(crate) async fn exchange(
        &self,
        correlation: i32,
        chunks: Vec<Bytes>,
        queued: impl FnOnce(),
    ) -> Result<Bytes> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(Outgoing { correlation, chunks, answer: Answer::Frame(answer) }).await?;
        queued();
        answered.await.unwrap_or_else(|_| Err(self.shared.why_closed()))
    }

    /// Sends a whole frame that gets no answer, and waits until it has left. `queued` as in
    /// [`Self::exchange`].
    pub(crate) async fn send(
        &self,
        correlation: i32,
        chunks: Vec<Bytes>,
        queued: impl FnOnce(),
    ) -> Result<()> {
        let (sent, has_left) = oneshot::channel();
        self.enqueue(Outgoing { correlation, chunks, answer: Answer::Sent(sent) }).await?;
        queued();
        has_left.await.unwrap_or_else(|_| Err(self.shared.why_closed()))
    }

    async fn enqueue(&self, request: Outgoing) -> Result<()> {
        if let Some(error) = &self.shared.state.lock().closed {
            return Err(error.clone());
        }
        self.queue.send(request).await.map_err(|_| self.shared.why_closed())
    }

    /// Ends the connection; all requests under way fail with `error`.
    pub(crate) fn close(&self, error: ClientError) {
        self.shared.close(error);
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close(ClientError::Closed);
    }
}

impl Shared {
    fn why_closed(&self) -> ClientError {
        let closed = self.state.lock().closed.clone();
        closed.unwrap_or_else(|| ClientError::Disconnected { broker: self.broker.clone() })
    }

    fn close(&self, error: ClientError) {
        let mut state = self.state.lock();
        let error = state.closed.get_or_insert(error).clone();
        for request in state.in_flight.drain(..) {
            // A caller that has given up no longer listens.
            let _ = request.answer.send(Err(error.clone()));
        }
    }

    fn io(&self, source: io::Error) -> ClientError {
        match source.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe => {
                ClientError::Disconnected { broker: self.broker.clone() }
            }
            _ => ClientError::Io { broker: self.broker.clone(), source: Arc::new(source) },
        }
    }

    /// Registers the request before its bytes leave, so that no answer can come too early. None
    /// when the connection has ended; whoever waits learns why.
    fn register(&self, request: Outgoing) -> Option<Leaving> {
        let mut state = self.state.lock();
        let sent = match (request.answer, &state.closed) {
            (Answer::Frame(answer), Some(error)) => {
                let _ = answer.send(Err(error.clone()));
                return None;
            }
            (Answer::Sent(_), Some(_)) => return None,
            (Answer::Sent(sent), None) => Some(sent),
            (Answer::Frame(answer), None) => {
                state.in_flight.push_back(InFlight { correlation: request.correlation, answer });
                None
            }
        };
        Some(Leaving { chunks: request.chunks, sent })
    }

    /// Hands a frame to the request that is next.
    fn deliver(&self, frame: Bytes) -> Result<()> {
        let found = frame.clone().try_get_i32().unwrap_or(-1);
        let mut state = self.state.lock();
        match state.in_flight.pop_front() {
            Some(next) if next.correlation == found => {
                let _ = next.answer.send(Ok(frame));
                Ok(())
            }
            next => {
                let expected = next.as_ref().map_or(-1, |next| next.correlation);
                // Put back, so that closing tells it the reason.
                state.in_flight.extend(next);
                Err(ClientError::Correlation { broker: self.broker.clone(), expected, found })
            }
        }
    }

    fn check_size(&self, size: i32) -> Result<usize> {
        // The smallest response is its correlation id.
        match usize::try_from(size) {
            Ok(size) if (4..=self.max_response_bytes).contains(&size) => Ok(size),
            _ => Err(ClientError::ResponseSize {
                broker: self.broker.clone(),
                size: i64::from(size),
                limit: self.max_response_bytes,
            }),
        }
    }
}

async fn write_requests(
    shared: Arc<Shared>,
    mut requests: mpsc::Receiver<Outgoing>,
    mut socket: OwnedWriteHalf,
) {
    while let Some(request) = requests.recv().await {
        let Some(leaving) = shared.register(request) else { return };
        for mut chunk in leaving.chunks {
            if let Err(error) = socket.write_all_buf(&mut chunk).await {
                shared.close(shared.io(error));
                return;
            }
        }
        if let Some(sent) = leaving.sent {
            let _ = sent.send(Ok(()));
        }
    }
}

async fn read_responses(shared: Arc<Shared>, mut socket: OwnedReadHalf) {
    let mut buffer = BytesMut::new();
    let error = loop {
        match read_frame(&shared, &mut socket, &mut buffer).await.and_then(|f| shared.deliver(f)) {
            Ok(()) => {}
            Err(error) => break error,
        }
    };
    shared.close(error);
}

async fn read_frame(
    shared: &Shared,
    socket: &mut OwnedReadHalf,
    buffer: &mut BytesMut,
) -> Result<Bytes> {
    fill(shared, socket, buffer, 4).await?;
    let size = shared.check_size(buffer.get_i32())?;
    fill(shared, socket, buffer, size).await?;
    Ok(buffer.split_to(size).freeze())
}

/// Reads until `buffer` holds `wanted` bytes; its room doubles at most.
async fn fill(
    shared: &Shared,
    socket: &mut OwnedReadHalf,
    buffer: &mut BytesMut,
    wanted: usize,
) -> Result<()> {
    while buffer.len() < wanted {
        let missing = wanted - buffer.len();
        buffer.reserve(missing.clamp(1, buffer.len().max(READ_CHUNK)));
        match socket.read_buf(buffer).await {
            Ok(0) => return Err(ClientError::Disconnected { broker: shared.broker.clone() }),
            Ok(_) => {}
            Err(error) => return Err(shared.io(error)),
        }
    }
    Ok(())
}
