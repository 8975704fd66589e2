//! `/api/now`: what is wrong, ranked, by the rules that Prometheus is given.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use pharos_admin::NotReady;
use pharos_alerting::{Alert, Blind, Memory, Use};
use pharos_metrics::catalog::native as rows;
use serde_json::{Map, Value, json};

use crate::answer::{self, number};
use crate::limits::MAX_ALERTS;
use crate::lines::CHARTS;
use crate::runbooks;
use crate::shared::{Pulse, Shared};

/// What is wrong at one moment.
pub(crate) struct Now {
    pub(crate) alerts: Vec<Alert>,
    pub(crate) blind: Vec<Blind>,
    pub(crate) not_ready: Vec<NotReady>,
    pub(crate) rule_count: usize,
    pub(crate) series_count: usize,
    pub(crate) memory: Memory,
    pub(crate) pulse: Pulse,
}

impl Now {
    pub(crate) fn of(shared: &Shared) -> Self {
        let pulse = *shared.pulse.borrow();
        let watch = shared.watch.read();
        Self {
            alerts: without_milder(watch.alerts()),
            blind: watch.blind(),
            rule_count: watch.rule_count(),
            series_count: watch.series_count(),
            memory: watch.memory(),
            not_ready: shared.readiness.missing(),
            pulse,
        }
    }
}

/// Without what says the same of the same thing no more gravely, as Alertmanager does. They come
/// ranked; what is critical soon stands behind what warns now.
fn without_milder(alerts: Vec<Alert>) -> Vec<Alert> {
    let mut told = HashMap::new();
    let thing = |alert: &Alert| {
        let labels = alert.labels.iter().filter(|(name, _)| *name != "severity");
        labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>()
    };
    let mut is_news = |alert: &Alert| {
        let critical = alert.labels.get("severity") == "critical";
        let before = told.get(&thing(alert)).copied();
        told.insert(thing(alert), critical || before == Some(true));
        before.is_none_or(|was_critical| critical && !was_critical)
    };
    alerts.into_iter().filter(|alert| is_news(alert)).collect()
}

/// `/api/now`.
pub(crate) async fn answer(State(shared): State<Arc<Shared>>) -> Response {
    shared.work(|shared| answer::json(&to_json(shared, &Now::of(shared)))).await
}

pub(crate) fn to_json(shared: &Shared, now: &Now) -> Value {
    let reasons = now.not_ready.iter();
    let reasons: Vec<_> =
        reasons.map(|it| json!({ "condition": it.condition, "reason": it.reason })).collect();
    let blind: Vec<_> =
        now.blind.iter().map(|it| json!({ "name": it.name, "why": it.why })).collect();
    json!({
        "time_ms": shared.registry.clock().now_ms(),
        "node": {
            "id": shared.node_id,
            "cluster_id": shared.cluster_id,
            "version": env!("CARGO_PKG_VERSION"),
            "started_ms": started_ms(shared),
        },
        "look": {
            "at_ms": now.pulse.at_ms,
            "took_ms": now.pulse.took.as_secs_f64() * 1000.0,
            "cpu_ms": now.pulse.cost.as_secs_f64() * 1000.0,
            "pause_ms": now.pulse.pause.as_millis() as u64,
            "rules": now.rule_count,
            "series": now.series_count,
        },
        "memory": {
            "bytes": now.memory.bytes,
            "budget_bytes": now.memory.budget_bytes,
            "left_out": left_out(&now.memory),
        },
        "not_ready": reasons,
        "alerts": now.alerts.iter().take(MAX_ALERTS).map(alert).collect::<Vec<_>>(),
        "alerts_left_out": now.alerts.len().saturating_sub(MAX_ALERTS),
        "blind": blind,
    })
}

/// What there is no room for.
fn left_out(memory: &Memory) -> Vec<Value> {
    let told = memory.left_out.iter().map(|(name, of)| {
        let of = match of {
            Use::Rules => "rules",
            Use::Lists => "lists",
            Use::Charts => "charts",
        };
        let chart = CHARTS.iter().find(|chart| chart.record == name);
        json!({ "name": name, "of": of, "chart": chart.map(|chart| chart.title) })
    });
    told.collect()
}

fn started_ms(shared: &Shared) -> Value {
    let start = shared.registry.family(&rows::PROCESS_START_TIME_SECONDS).read(&[]);
    start.map_or(Value::Null, |seconds| number(seconds * 1000.0))
}

fn alert(it: &Alert) -> Value {
    let labels = it.labels.iter().filter(|(name, _)| !["alertname", "severity"].contains(name));
    let labels: Map<_, _> =
        labels.map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
    let said = |name: &str| it.annotations.get(name).cloned().unwrap_or_default();
    json!({
        "name": it.name,
        "state": state(it),
        "severity": it.labels.get("severity"),
        "since_ms": it.since_ms,
        "for_ms": it.for_ms,
        "summary": said("summary"),
        "description": said("description"),
        "runbook": runbooks::is_there(&it.name).then(|| format!("/runbooks/{}", it.name)),
        "labels": labels,
        "value": number(it.value),
        "expr": it.expr,
    })
}

/// The word of a state.
pub(crate) fn state(alert: &Alert) -> &'static str {
    match alert.state {
        pharos_alerting::State::Firing => "firing",
        pharos_alerting::State::Pending => "pending",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pharos_alerting::{Labels, State};

    use super::*;

    #[test]
    fn what_is_milder_is_left_out_and_what_is_graver_soon_is_not() {
        let alert = |state, severity: &str, topic: &str| Alert {
            name: "Late".to_owned(),
            state,
            since_ms: 0,
            for_ms: 0,
            labels: Labels::new([("severity", severity), ("topic", topic)]),
            value: 1.0,
            annotations: BTreeMap::new(),
            expr: String::new(),
        };
        let kept = |alerts: Vec<Alert>| -> Vec<String> {
            let told = without_milder(alerts);
            told.iter().map(|it| format!("{} {}", state(it), it.labels.get("severity"))).collect()
        };
        let (firing, pending) = (State::Firing, State::Pending);
        let [critical, warning] = ["critical", "warning"];
        let both = |a, b| kept(vec![alert(a, critical, "t"), alert(b, warning, "t")]);
        assert_eq!(both(firing, firing), ["firing critical"]);
        assert_eq!(both(firing, pending), ["firing critical"]);
        assert_eq!(both(pending, pending), ["pending critical"]);
        let soon = kept(vec![alert(firing, warning, "t"), alert(pending, critical, "t")]);
        assert_eq!(soon, ["firing warning", "pending critical"]);
        let others = kept(vec![alert(firing, critical, "t"), alert(firing, warning, "u")]);
        assert_eq!(others, ["firing critical", "firing warning"]);
    }
}
