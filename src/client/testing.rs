//! A broker for tests: it speaks the protocol on a real socket and answers what the test says.
//!
//! It refuses to be a broker of any truth: what is not scripted ends the connection, so that a test
//! fails loudly where the client asks something unexpected.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use pharos_protocol::messages::ApiVersionsResponse;
use pharos_protocol::messages::api_versions_response::ApiVersion;
use pharos_protocol::{ApiKey, Chunk, Message, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::wire::Request;

/// Largest request that the fake broker reads.
const MAX_REQUEST_BYTES: i32 = 16 * 1024 * 1024;

type RawAnswer = Box<dyn FnMut(&[u8]) -> Option<Bytes> + Send>;
type Answer = Box<dyn FnMut(&[u8], i16, i32) -> Option<Bytes> + Send>;

/// What the fake broker answers, built before it starts.
#[derive(Default)]
pub struct Script {
    answers: HashMap<i16, ScriptedApi>,
    raw: Option<RawAnswer>,
}

struct ScriptedApi {
    min: i16,
    max: i16,
    answer: Answer,
}

impl Script {
    /// Nothing but ApiVersions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers every request `Q` in all of its versions by `answer`; `None` closes the connection.
    #[must_use]
    pub fn on<Q: Request>(
        self,
        mut answer: impl FnMut(Q) -> Option<Q::Response> + Send + 'static,
    ) -> Self {
        self.on_versions(Q::MIN_VERSION, Q::MAX_VERSION, move |request, _| answer(request))
    }

    /// As [`Self::on`], in these versions only; the version in use is told.
    #[must_use]
    pub fn on_versions<Q: Request>(
        mut self,
        min: i16,
        max: i16,
        mut answer: impl FnMut(Q, i16) -> Option<Q::Response> + Send + 'static,
    ) -> Self {
        let Some(key) = Q::API_KEY.and_then(ApiKey::from_i16) else { return self };
        let answer: Answer = Box::new(move |body, version, correlation| {
            let request = Q::decode(body, version).ok()?;
            let response = answer(request, version)?;
            encode(key, version, correlation, &response)
        });
        self.answers.insert(key.as_i16(), ScriptedApi { min, max, answer });
        self
    }

    /// Answers every frame, whatever it is, by these bytes; `None` says nothing.
    #[must_use]
    pub fn raw(mut self, answer: impl FnMut(&[u8]) -> Option<Bytes> + Send + 'static) -> Self {
        self.raw = Some(Box::new(answer));
        self
    }

    /// Starts the broker on a free port of the loopback interface.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(self) -> io::Result<FakeBroker> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let script = Arc::new(Mutex::new(self));
        let task = tokio::spawn(accept(listener, script.clone()));
        Ok(FakeBroker { port, task })
    }

    fn reply(&mut self, frame: &[u8]) -> Option<Bytes> {
        if let Some(raw) = &mut self.raw {
            return raw(frame);
        }
        let request = frame::split_request(frame).ok()?;
        let version = request.header.request_api_version;
        let correlation = request.header.correlation_id;
        if request.api_key == ApiKey::ApiVersions {
            return encode(request.api_key, version, correlation, &self.versions());
        }
        let api = self.answers.get_mut(&request.api_key.as_i16())?;
        (api.answer)(request.body, version, correlation)
    }

    fn versions(&self) -> ApiVersionsResponse {
        let own =
            ApiVersion { api_key: ApiKey::ApiVersions.as_i16(), min_version: 0, max_version: 4 };
        let mut api_keys: Vec<_> = self
            .answers
            .iter()
            .map(|(key, api)| ApiVersion {
                api_key: *key,
                min_version: api.min,
                max_version: api.max,
            })
            .chain([own])
            .collect();
        api_keys.sort_by_key(|api| api.api_key);
        ApiVersionsResponse { api_keys, ..Default::default() }
    }
}

fn encode<M: Message>(key: ApiKey, version: i16, correlation: i32, body: &M) -> Option<Bytes> {
    let encoded = frame::encode_response(key, version, correlation, body).ok()?;
    let mut out = BytesMut::new();
    for chunk in encoded.chunks {
        match chunk {
            Chunk::Bytes(bytes) => out.put(bytes),
            Chunk::External { .. } => return None,
        }
    }
    Some(out.freeze())
}

/// A running fake broker; stops when dropped.
pub struct FakeBroker {
    port: u16,
    task: JoinHandle<()>,
}

impl FakeBroker {
    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for FakeBroker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, script: Arc<Mutex<Script>>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        connections.spawn(serve(socket, script.clone()));
    }
}

async fn serve(mut socket: TcpStream, script: Arc<Mutex<Script>>) {
    loop {
        let Ok(size) = socket.read_i32().await else { return };
        if !(0..=MAX_REQUEST_BYTES).contains(&size) {
            return;
        }
        let mut frame = Vec::new();
        let wanted = u64::from(size.unsigned_abs());
        let read = (&mut socket).take(wanted).read_to_end(&mut frame).await;
        if read.is_ok_and(|read| read as u64 == wanted) {
            let (reply, raw) = {
                let mut script = script.lock();
                (script.reply(&frame), script.raw.is_some())
            };
            match reply {
                Some(reply) => {
                    if socket.write_all(&reply).await.is_err() {
                        return;
                    }
                }
                None if raw => {}
                None => return,
            }
        } else {
            return;
        }
    }
}
