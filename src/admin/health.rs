//! Whether the node is ready: named conditions that rooms hold and move.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use serde_json::json;

/// The conditions of a node. Ready when each one holds; without any, it is ready at once.
#[derive(Clone, Default)]
pub struct Readiness {
    reasons: Arc<Mutex<BTreeMap<&'static str, Reason>>>,
}

/// Why a condition does not hold; `None` when it does.
enum Reason {
    Known(Option<String>),
    /// Looked up by whoever asks.
    Asked(Box<dyn Fn() -> Option<String> + Send>),
}

impl Reason {
    fn now(&self) -> Option<String> {
        match self {
            Self::Known(reason) => reason.clone(),
            Self::Asked(ask) => ask(),
        }
    }
}

/// A condition that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotReady {
    /// Name of the condition.
    pub condition: &'static str,
    /// Why it does not hold, as a lower-case sentence.
    pub reason: String,
}

/// The handle of one condition; the condition goes when it drops.
pub struct Condition {
    name: &'static str,
    readiness: Readiness,
}

impl Readiness {
    /// Adds the condition `name`, which does not hold yet because of `reason`.
    pub fn condition(&self, name: &'static str, reason: impl Into<String>) -> Condition {
        self.add(name, Reason::Known(Some(reason.into())))
    }

    /// Adds the condition `name`, which holds whenever `ask` gives no reason why not. It is asked
    /// with each request, and must neither block nor ask for readiness itself.
    pub fn watched(
        &self,
        name: &'static str,
        ask: impl Fn() -> Option<String> + Send + 'static,
    ) -> Condition {
        self.add(name, Reason::Asked(Box::new(ask)))
    }

    fn add(&self, name: &'static str, reason: Reason) -> Condition {
        self.reasons.lock().insert(name, reason);
        Condition { name, readiness: self.clone() }
    }

    /// The conditions that do not hold, by name; empty when the node is ready.
    pub fn missing(&self) -> Vec<NotReady> {
        let reasons = self.reasons.lock();
        let missing = reasons
            .iter()
            .filter_map(|(condition, reason)| Some(NotReady { condition, reason: reason.now()? }));
        missing.collect()
    }

    /// Whether every condition holds.
    pub fn is_ready(&self) -> bool {
        self.reasons.lock().values().all(|reason| reason.now().is_none())
    }
}

impl Condition {
    /// The condition holds.
    pub fn met(&self) {
        self.readiness.reasons.lock().insert(self.name, Reason::Known(None));
    }

    /// The condition does not hold (any more).
    pub fn unmet(&self, reason: impl Into<String>) {
        self.readiness.reasons.lock().insert(self.name, Reason::Known(Some(reason.into())));
    }
}

impl Drop for Condition {
    fn drop(&mut self) {
        self.readiness.reasons.lock().remove(self.name);
    }
}

/// `/health/live`: whoever answers lives.
pub(crate) async fn live() -> Response {
    Json(json!({ "status": "live" })).into_response()
}

/// `/health/ready`: 200, or 503 with the reasons.
pub(crate) async fn ready(State(readiness): State<Readiness>) -> Response {
    let missing = readiness.missing();
    if missing.is_empty() {
        return Json(json!({ "status": "ready" })).into_response();
    }
    let reasons: Vec<_> = missing
        .into_iter()
        .map(|it| json!({ "condition": it.condition, "reason": it.reason }))
        .collect();
    let body = json!({ "status": "not ready", "reasons": reasons });
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}

/// `/-/healthy` and `/-/ready` in the words of Prometheus' own servers.
pub(crate) async fn healthy() -> &'static str {
    "Pharos is Healthy.\n"
}

/// See [`healthy`].
pub(crate) async fn plainly_ready(State(readiness): State<Readiness>) -> Response {
    match readiness.is_ready() {
        true => "Pharos is Ready.\n".into_response(),
        false => ready(State(readiness)).await,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn ready_when_every_condition_holds() {
        let readiness = Readiness::default();
        assert!(readiness.is_ready());
        let unfenced = readiness.condition("unfenced", "waits for the controller");
        let loaded = readiness.condition("coordinators loaded", "not started");
        unfenced.met();
        loaded.unmet("2 partitions to load");
        let reason = "2 partitions to load".to_owned();
        assert_eq!(readiness.missing(), [NotReady { condition: "coordinators loaded", reason }]);
        loaded.met();
        assert!(readiness.is_ready());
        unfenced.unmet("fenced");
        assert!(!readiness.is_ready());
        drop(unfenced);
        assert!(readiness.is_ready());
    }

    #[test]
    fn a_watched_condition_is_asked_each_time() {
        let readiness = Readiness::default();
        let left = Arc::new(AtomicUsize::new(2));
        let counted = left.clone();
        let recovery = readiness.watched("recovery", move || {
            let left = counted.load(Ordering::Relaxed);
            (left > 0).then(|| format!("{left} logs are left"))
        });
        for (count, reason) in [(2, "2 logs are left"), (1, "1 logs are left")] {
            left.store(count, Ordering::Relaxed);
            let reason = reason.to_owned();
            assert_eq!(readiness.missing(), [NotReady { condition: "recovery", reason }]);
        }
        left.store(0, Ordering::Relaxed);
        assert!(readiness.is_ready());
        left.store(1, Ordering::Relaxed);
        assert!(!readiness.is_ready());
        drop(recovery);
        assert!(readiness.is_ready());
    }
}
