//! Metric pages: one rendering for all who ask at the same time, compressed once, or 503 when the
//! scraper's deadline passes first.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use parking_lot::Mutex;
use pharos_base::in_background;
use pharos_metrics::{Format, accepts_gzip, gzip, negotiate};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use crate::error::ErrorBody;
use crate::filter::only;
use crate::held::{Cut, Held, HeldPage};
use crate::limits::{MAX_NAMES, MAX_RENDERINGS, MIN_GZIP_BYTES, REQUEST_DEADLINE};

/// The header by which Prometheus tells how long it waits.
const SCRAPE_TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";

/// What is scraped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct PageRequest {
    /// `None` for `/metrics`, the name for `/metrics/<name>`.
    page: Option<String>,
    format: Format,
    /// The only families that are wanted; all when empty.
    names: Vec<String>,
}

/// Whoever renders metric pages.
pub trait PageSource: Send + Sync + 'static {
    /// Names of the pages below `/metrics/`.
    fn names(&self) -> Vec<String>;

    /// Renders a whole page, `None` standing for `/metrics`, on a thread that may block; `None`
    /// when there is no such page.
    fn render(&self, page: Option<&str>, format: Format) -> Option<Bytes>;

    /// Counts a scrape whose deadline passed before its page was there, `None` standing for
    /// `/metrics`; the name may be that of no page.
    fn timed_out(&self, page: Option<&str>);
}

impl PageSource for pharos_metrics::Pages {
    fn names(&self) -> Vec<String> {
        Self::names(self)
    }

    fn render(&self, page: Option<&str>, format: Format) -> Option<Bytes> {
        match page {
            None => Some(self.render_main(format)),
            Some(name) => Self::render(self, name, format),
        }
    }

    fn timed_out(&self, page: Option<&str>) {
        Self::timed_out(self, page);
    }
}

/// Renders and shares pages.
#[derive(Clone)]
pub(crate) struct Pages(Arc<Inner>);

struct Inner {
    source: Arc<dyn PageSource>,
    running: Mutex<HashMap<PageRequest, Arc<Rendering>>>,
    held: Held,
    turns: Arc<Semaphore>,
}

#[derive(Default)]
struct Rendering {
    page: OnceCell<Option<HeldPage>>,
    gzipped: OnceCell<HeldPage>,
}

impl Pages {
    pub(crate) fn new(source: Arc<dyn PageSource>) -> Self {
        let turns = Arc::new(Semaphore::new(MAX_RENDERINGS));
        Self(Arc::new(Inner { source, running: Mutex::default(), held: Held::default(), turns }))
    }

    /// The page, as it was at some moment after the oldest of those who share it asked.
    async fn get(&self, request: &PageRequest, gzip: bool) -> Result<Option<Page>, Failed> {
        let rendering = self.0.running.lock().entry(request.clone()).or_default().clone();
        let _done = Done { inner: &self.0, request, rendering: &rendering };
        let page = rendering.page.get_or_try_init(|| self.render(request)).await?;
        let Some(plain) = page.clone() else { return Ok(None) };
        if !gzip || plain.len() < MIN_GZIP_BYTES {
            return Ok(Some(Page { page: plain, gzipped: false }));
        }
        let page = rendering.gzipped.get_or_try_init(|| self.compress(plain)).await?.clone();
        Ok(Some(Page { page, gzipped: true }))
    }

    async fn render(&self, request: &PageRequest) -> Result<Option<HeldPage>, Failed> {
        let (source, request) = (self.0.source.clone(), request.clone());
        let held = self.0.held.clone();
        self.work(move || {
            let page = source.render(request.page.as_deref(), request.format)?;
            Some(held.hold(only(page, request.format, &request.names)))
        })
        .await
    }

    async fn compress(&self, plain: HeldPage) -> Result<HeldPage, Failed> {
        let held = self.0.held.clone();
        self.work(move || held.hold(gzip(plain.bytes()))).await
    }

    /// Waits for a turn, and for the work.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failed> {
        let turn = self.turn().await?;
        let working = in_background("page", move || {
            let _turn = turn;
            work()
        });
        let done = working.inspect_err(|error| {
            tracing::error!(%error, "no thread for a metric page");
        });
        done.map_err(|_| Failed)?.await.map_err(|_| {
            tracing::error!("making a metric page panicked");
            Failed
        })
    }

    /// Goes into the work that it is for: a scraper that gives up ends its wait, not the work.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, Failed> {
        self.0.turns.clone().acquire_owned().await.map_err(|_| Failed)
    }

    async fn respond(
        &self,
        page: Option<String>,
        query: Vec<(String, String)>,
        headers: &HeaderMap,
        cut: Cut,
    ) -> Response {
        let names: Vec<_> =
            query.into_iter().filter(|(key, _)| key == "name[]").map(|(_, name)| name).collect();
        if names.len() > MAX_NAMES {
            let message = format!("more than {MAX_NAMES} name[] parameters");
            return ErrorBody::new(StatusCode::BAD_REQUEST, message).into_response();
        }
        let format = negotiate(joined(headers, header::ACCEPT).as_deref());
        let zipped = accepts_gzip(joined(headers, header::ACCEPT_ENCODING).as_deref());
        let request = PageRequest { page, format, names };
        let patience = scrape_deadline(headers);
        let page = tokio::time::timeout(patience, self.get(&request, zipped)).await;
        match page {
            Ok(Ok(Some(page))) => page.respond(format, cut),
            Ok(Ok(None)) => {
                ErrorBody::new(StatusCode::NOT_FOUND, "no such metric page").into_response()
            }
            Ok(Err(Failed)) => {
                let message = "the page could not be rendered";
                ErrorBody::new(StatusCode::INTERNAL_SERVER_ERROR, message).into_response()
            }
            Err(_) => {
                self.0.source.timed_out(request.page.as_deref());
                let message = "the page was not ready within the scrape's timeout";
                ErrorBody::new(StatusCode::SERVICE_UNAVAILABLE, message).into_response()
            }
        }
    }
}

/// A panic in the renderer; it has been logged.
struct Failed;

struct Page {
    page: HeldPage,
    gzipped: bool,
}

impl Page {
    fn respond(self, format: Format, cut: Cut) -> Response {
        let mut response = Response::new(Body::from(self.page.read_by(cut)));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
        headers.insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
        if self.gzipped {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

/// Forgets a rendering once it is there or everyone who waited has left, so that the next scrape
/// sees new numbers.
struct Done<'a> {
    inner: &'a Inner,
    request: &'a PageRequest,
    rendering: &'a Arc<Rendering>,
}

impl Drop for Done<'_> {
    fn drop(&mut self) {
        let mut running = self.inner.running.lock();
        let same = running.get(self.request).is_some_and(|it| Arc::ptr_eq(it, self.rendering));
        // One count is the map's, one ours: nobody else waits.
        let last = Arc::strong_count(self.rendering) <= 2;
        if same && (last || self.rendering.page.initialized()) {
            running.remove(self.request);
        }
    }
}

/// A list header, which may come in several lines.
fn joined(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    let lines: Vec<_> =
        headers.get_all(name).iter().filter_map(|line| line.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

/// How long the scraper waits; without its word, as long as any request.
fn scrape_deadline(headers: &HeaderMap) -> Duration {
    let told = headers.get(SCRAPE_TIMEOUT).and_then(|value| value.to_str().ok());
    let seconds = told.and_then(|text| text.trim().parse::<f64>().ok());
    match seconds {
        Some(seconds) if seconds > 0.0 && seconds.is_finite() => {
            Duration::from_secs_f64(seconds.min(REQUEST_DEADLINE.as_secs_f64()))
        }
        _ => REQUEST_DEADLINE,
    }
}

type Parameters = Query<Vec<(String, String)>>;
type Connection = Option<Extension<Cut>>;

/// What ends the connection of this request.
fn cut(connection: Connection) -> Cut {
    connection.map(|Extension(cut)| cut).unwrap_or_default()
}

/// `/metrics`.
pub(crate) async fn main_page(
    State(pages): State<Pages>,
    Query(query): Parameters,
    connection: Connection,
    headers: HeaderMap,
) -> Response {
    pages.respond(None, query, &headers, cut(connection)).await
}

/// `/metrics/<name>`.
pub(crate) async fn named_page(
    State(pages): State<Pages>,
    Path(name): Path<String>,
    Query(query): Parameters,
    connection: Connection,
    headers: HeaderMap,
) -> Response {
    pages.respond(Some(name), query, &headers, cut(connection)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_bounded() {
        let check = |text: &str, expected: f64| {
            let mut headers = HeaderMap::new();
            headers.insert(SCRAPE_TIMEOUT, text.parse().unwrap());
            assert_eq!(scrape_deadline(&headers), Duration::from_secs_f64(expected), "{text}");
        };
        check("10", 10.0);
        check(" 0.25 ", 0.25);
        for odd in ["0", "-1", "NaN", "inf", "1e300", "", "ten"] {
            check(odd, REQUEST_DEADLINE.as_secs_f64());
        }
        assert_eq!(scrape_deadline(&HeaderMap::new()), REQUEST_DEADLINE);
    }
}
