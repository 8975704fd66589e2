//! Routes, the door in front of them, and the connections.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::RwLock;
use pharos_metrics::Registry;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::beans::beans;
use crate::bind::{AdminAddress, BindError, bind};
use crate::error::{ErrorBody, with_body};
use crate::guard::Guarded;
use crate::health::{self, Readiness};
use crate::index::{Index, Section, index};
use crate::limits::{
    HEAD_BUFFER_BYTES, HEAD_DEADLINE, MAX_BODY_BYTES, MAX_CONNECTIONS, MAX_HEADER_BYTES,
    MAX_HEADERS, REQUEST_DEADLINE,
};
use crate::pages::{PageSource, Pages, main_page, named_page};

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
    fn router(self) -> Router {
        let listed = self.sections.iter().map(|it| (it.path, it.title)).collect();
        let mut router = Router::new();
        if !self.sections.iter().any(|section| section.path == "/") {
            let state = Index { source: self.pages.clone(), sections: listed };
            router = router.route("/", get(index).with_state(state));
        }
        let pages = Pages::new(self.pages);
        router = router
            .route("/metrics", get(main_page).with_state(pages.clone()))
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
            .layer(from_fn(door))
    }
}

/// Refuses what is too large, ends what takes too long, and sees that errors have a body.
async fn door(request: Request, next: Next) -> Response {
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
    match tokio::time::timeout(REQUEST_DEADLINE, next.run(request)).await {
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
    router: Arc<RwLock<Router>>,
    stopping: CancellationToken,
    cutting: CancellationToken,
    tasks: TaskTracker,
}

impl AdminServer {
    /// Opens the port; nothing is accepted before [`AdminServer::serve`].
    ///
    /// # Errors
    /// The host has no address, or the port cannot be bound.
    pub async fn bind(address: &AdminAddress) -> Result<Self, BindError> {
        let (sockets, port) = bind(address).await?;
        let (stopping, cutting) = (CancellationToken::new(), CancellationToken::new());
        let (router, tasks) = (Arc::default(), TaskTracker::new());
        Ok(Self { sockets, port, router, stopping, cutting, tasks })
    }

    /// The port, also when a free one was asked for.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Serves on `runtime` (the control plane's) until stopped. Who is served already gets, from the
    /// next request on, what a later call says.
    pub fn serve(&mut self, admin: Admin, runtime: &Handle) {
        *self.router.write() = admin.router();
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        for socket in self.sockets.drain(..) {
            let acceptor = Acceptor {
                router: self.router.clone(),
                places: places.clone(),
                stopping: self.stopping.clone(),
                cutting: self.cutting.clone(),
                tasks: self.tasks.clone(),
            };
            self.tasks.spawn_on(acceptor.run(socket), runtime);
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

struct Acceptor {
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
                Some((stream, place)) => {
                    let serving =
                        serve_connection(stream, self.router.clone(), self.stopping.clone());
                    let cutting = self.cutting.clone();
                    self.tasks.spawn(async move {
                        cutting.run_until_cancelled(serving).await;
                        drop(place);
                    });
                }
                None => tokio::time::sleep(PAUSE_AFTER_ERROR).await,
            }
        }
    }

    async fn accept(
        &self,
        socket: &TcpListener,
    ) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
        let place = self.places.clone().acquire_owned().await.ok()?;
        match socket.accept().await {
            Ok((stream, _)) => Some((stream, place)),
            Err(error) => {
                tracing::debug!(%error, "cannot accept an admin connection");
                None
            }
        }
    }
}

async fn serve_connection(
    stream: TcpStream,
    router: Arc<RwLock<Router>>,
    stopping: CancellationToken,
) {
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let router = router.read().clone();
        async move {
            let answer = router.oneshot(request.map(Body::new)).await;
            Ok::<_, Infallible>(answer.unwrap_or_else(|never| match never {}))
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(HEAD_BUFFER_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(Guarded::new(stream)), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "admin connection ended");
    }
}
