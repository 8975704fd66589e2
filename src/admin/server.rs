//! Routes, the door in front of them, and the connections.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::RwLock;
use pharos_metrics::Registry;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::beans::beans;
use crate::bind::{AdminAddress, BindError, bind};
use crate::doorkeeper::{Peer, Protection};
use crate::error::{ErrorBody, with_body};
use crate::guard::Guarded;
use crate::handshake::{Handshake, Handshakes, Slow, shake_hands};
use crate::health::{self, Readiness};
use crate::held::Cut;
use crate::index::{Index, Section, index};
use crate::limits::{
    HEAD_BUFFER_BYTES, HEAD_DEADLINE, MAX_BODY_BYTES, MAX_CONNECTIONS, MAX_HEADER_BYTES,
    MAX_HEADERS, REQUEST_DEADLINE,
};
use crate::pages::{PageSource, Pages, main_page, named_page};
use crate::refusals::Refusal;

/// Pause after the system refused to accept, for example because no file handle is free.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// What the listener serves.
pub struct Admin {
    /// Renders `/metrics` and `/metrics/<name>`.
    pub pages: Arc<dyn PageSource>,
    /// Read by `/beans`.
    pub registry: Registry,
    /// Read by `/health/ready`.
    pub readiness: Readiness,
    /// What other rooms add.
    pub sections: Vec<Section>,
}

impl Admin {
    /// All routes behind one door.
    fn router(self, protection: Protection) -> Router {
        let listed = self.sections.iter().map(|it| (it.path, it.title)).collect();
        let mut router = Router::new();
        if !self.sections.iter().any(|section| section.path == "/") {
            let state = Index { source: self.pages.clone(), sections: listed };
            router = router.route("/", get(index).with_state(state));
        }
        let pages = Pages::new(self.pages);
        router = router
            .route("/metrics", get(main_page).with_state(pages.clone()))
            // As the JVM agent's server has it.
            .route("/metrics/", get(main_page).with_state(pages.clone()))
            .route("/metrics/{name}", get(named_page).with_state(pages))
            .route("/beans", get(beans).with_state(self.registry))
            .route("/health/live", get(health::live))
            .route("/health/ready", get(health::ready).with_state(self.readiness.clone()))
            .route("/-/healthy", get(health::healthy))
            .route("/-/ready", get(health::plainly_ready).with_state(self.readiness));
        for section in self.sections {
            router = router.merge(section.router);
        }
        router
            .fallback(|| async { ErrorBody::new(StatusCode::NOT_FOUND, "no such page") })
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .layer(from_fn_with_state(protection, door))
    }
}

/// Refuses what is too large and who may not ask, ends what takes too long, and sees that errors have
/// a body.
async fn door(State(protection): State<Protection>, request: Request, next: Next) -> Response {
    if header_bytes(request.headers()) > MAX_HEADER_BYTES
        || request.uri().to_string().len() > MAX_HEADER_BYTES
    {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        let message = format!("the request's head is larger than {MAX_HEADER_BYTES} bytes");
        return closing(ErrorBody::new(status, message).into_response());
    }
    if request.body().size_hint().lower() > MAX_BODY_BYTES as u64 {
        let message = format!("the request's body is larger than {MAX_BODY_BYTES} bytes");
        return closing(ErrorBody::new(StatusCode::PAYLOAD_TOO_LARGE, message).into_response());
    }
    let answer = async {
        let (head, body) = request.into_parts();
        match protection.admit(&head).await {
            Ok(()) => next.run(Request::from_parts(head, body)).await,
            Err(refused) => refused,
        }
    };
    match tokio::time::timeout(REQUEST_DEADLINE, answer).await {
        Ok(response) => with_body(response),
        Err(_) => {
            let message = "the request took too long";
            closing(ErrorBody::new(StatusCode::REQUEST_TIMEOUT, message).into_response())
        }
    }
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// The rest of such a request is not worth reading.
fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The listener of a node.
pub struct AdminServer {
    sockets: Vec<TcpListener>,
    port: u16,
    secure: bool,
    protection: Protection,
    router: Arc<RwLock<Router>>,
    stopping: CancellationToken,
    cutting: CancellationToken,
    tasks: TaskTracker,
}

impl AdminServer {
    /// Opens the port; nothing is accepted before [`AdminServer::serve`]. An address that asks for TLS
    /// needs a `protection` that has some, or nobody is served.
    ///
    /// # Errors
    /// The host has no address, or the port cannot be bound.
    pub async fn bind(address: &AdminAddress, protection: Protection) -> Result<Self, BindError> {
        let (sockets, port) = bind(address).await?;
        let (stopping, cutting) = (CancellationToken::new(), CancellationToken::new());
        let (router, tasks) = (Arc::default(), TaskTracker::new());
        let secure = address.secure;
        Ok(Self { sockets, port, secure, protection, router, stopping, cutting, tasks })
    }

    /// The port, also when a free one was asked for.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether TLS is spoken.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Serves on `runtime` (the control plane's) until stopped. Who is served already gets, from the
    /// next request on, what a later call says.
    pub fn serve(&mut self, admin: Admin, runtime: &Handle) {
        *self.router.write() = admin.router(self.protection.clone());
        let acceptor = Acceptor {
            secure: self.secure,
            protection: self.protection.clone(),
            handshakes: Handshakes::default(),
            router: self.router.clone(),
            places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            stopping: self.stopping.clone(),
            cutting: self.cutting.clone(),
            tasks: self.tasks.clone(),
        };
        for socket in self.sockets.drain(..) {
            self.tasks.spawn_on(acceptor.clone().run(socket), runtime);
        }
    }

    /// Closes the port, lets answers finish, and cuts off what is left after `patience`.
    pub async fn stop(&self, patience: Duration) {
        self.stopping.cancel();
        self.tasks.close();
        if tokio::time::timeout(patience, self.tasks.wait()).await.is_err() {
            tracing::debug!(left = self.tasks.len(), "admin connections cut off");
            self.cutting.cancel();
            self.tasks.wait().await;
        }
    }
}

/// A start that fails leaves nobody behind.
impl Drop for AdminServer {
    fn drop(&mut self) {
        self.stopping.cancel();
        self.cutting.cancel();
    }
}

/// What a new connection holds.
enum Entry {
    /// A place among those that are served.
    Place(OwnedSemaphorePermit),
    /// A place among those that shake hands.
    Handshake(Handshake),
}

#[derive(Clone)]
struct Acceptor {
    secure: bool,
    protection: Protection,
    handshakes: Handshakes,
    router: Arc<RwLock<Router>>,
    places: Arc<Semaphore>,
    stopping: CancellationToken,
    cutting: CancellationToken,
    tasks: TaskTracker,
}

impl Acceptor {
    async fn run(self, socket: TcpListener) {
        while let Some(accepted) = self.stopping.run_until_cancelled(self.accept(&socket)).await {
            match accepted {
                Some((stream, peer, entry)) => {
                    let (this, cutting) = (self.clone(), self.cutting.clone());
                    self.tasks.spawn(async move {
                        cutting.run_until_cancelled(this.serve(stream, peer, entry)).await;
                    });
                }
                None => tokio::time::sleep(PAUSE_AFTER_ERROR).await,
            }
        }
    }

    /// The next connection. With TLS it has no place yet: who is slow to shake hands takes none.
    async fn accept(&self, socket: &TcpListener) -> Option<(TcpStream, SocketAddr, Entry)> {
        let place = match self.secure {
            true => None,
            false => Some(self.places.clone().acquire_owned().await.ok()?),
        };
        match socket.accept().await {
            Ok((stream, peer)) => {
                let begin = || Entry::Handshake(self.handshakes.begin(peer.ip().to_canonical()));
                Some((stream, peer, place.map_or_else(begin, Entry::Place)))
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept an admin connection");
                None
            }
        }
    }

    async fn serve(self, stream: TcpStream, peer: SocketAddr, entry: Entry) {
        match entry {
            Entry::Handshake(handshake) => self.serve_secure(stream, peer, handshake).await,
            Entry::Place(place) => {
                self.serve_connection(Guarded::new(stream), peer).await;
                drop(place);
            }
        }
    }

    async fn serve_secure(self, stream: TcpStream, peer: SocketAddr, handshake: Handshake) {
        let Protection { tls, refusals, .. } = self.protection.clone();
        let Some(tls) = tls else { return };
        let ip = peer.ip().to_canonical();
        let enter = async {
            let stream = shake_hands(stream, ip, &tls, &refusals).await?;
            Some((stream, self.places.clone().acquire_owned().await.ok()?))
        };
        let entered = self.stopping.run_until_cancelled(handshake.run(enter)).await;
        drop(handshake);
        match entered {
            Some(Ok((stream, place))) => {
                self.serve_connection(stream, peer).await;
                drop(place);
            }
            Some(Err(Slow(true))) => refusals.note(Refusal::SlowHandshake, ip),
            Some(Err(Slow(false))) | None => {}
        }
    }

    /// Serves requests until the peer leaves, the node stops, or what the peer reads too slowly is given up.
    async fn serve_connection(self, stream: impl AsyncRead + AsyncWrite + Unpin, peer: SocketAddr) {
        let Self { router, stopping, protection, .. } = self;
        let cut = Cut::default();
        let given = cut.clone();
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let router = router.read().clone();
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer));
            request.extensions_mut().insert(given.clone());
            async move {
                let answer = router.oneshot(request).await;
                Ok::<_, Infallible>(answer.unwrap_or_else(|never| match never {}))
            }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_DEADLINE)
            .max_buf_size(HEAD_BUFFER_BYTES)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = cut.0.cancelled() => {
                protection.refusals.note(Refusal::SlowReader, peer.ip().to_canonical());
                return;
            }
            () = stopping.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "admin connection ended");
        }
    }
}
