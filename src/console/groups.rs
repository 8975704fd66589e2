//! `/api/groups` and `/api/group?id=`: how far groups are behind, and on which partitions.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pharos_admin::ErrorBody;
use pharos_alerting::Labels;
use pharos_metrics::catalog::native as rows;
use pharos_metrics::{FamilyRow, OTHER};
use serde_json::{Value, json};

use crate::answer::{self, number, refused};
use crate::figures::{below, by_label, chosen};
use crate::limits::{MAX_NAME, MAX_PARTITIONS, MAX_ROWS, RATE_MS};
use crate::shared::Shared;

/// From the best to the worst.
const STATUSES: [&str; 6] = ["ok", "no_offset", "warn", "rewind", "stop", "stall"];

/// A group as lists show it.
#[derive(Debug, Default)]
struct Group {
    lag: f64,
    lag_seconds: f64,
    drain_seconds: f64,
    expired: f64,
    last_commit: f64,
    status: usize,
    topics: usize,
}

/// `/api/groups`.
pub(crate) async fn list(State(shared): State<Arc<Shared>>) -> Response {
    shared.work(|shared| answer::json(&groups(shared))).await
}

fn groups(shared: &Shared) -> Value {
    let registry = &shared.registry;
    let mut groups: BTreeMap<Box<str>, Group> = BTreeMap::new();
    let mut add = |row: &'static FamilyRow, take: &dyn Fn(&mut Group, f64)| {
        registry.family(row).numbers(|labels, number| {
            if let Some(id) = labels.first().filter(|id| &***id != OTHER) {
                take(groups.entry(id.clone()).or_default(), number);
            }
        });
    };
    add(&rows::KAFKA_CONSUMERGROUP_MEMBERS, &|_, _| {});
    add(&rows::KAFKA_CONSUMERGROUP_LAG_SUM, &|group, it| {
        group.lag += it;
        group.topics += 1;
    });
    add(&rows::KAFKA_CONSUMERGROUP_LAG_SECONDS_MAX, &|group, it| {
        group.lag_seconds = group.lag_seconds.max(it);
    });
    add(&rows::KAFKA_CONSUMERGROUP_DRAIN_SECONDS, &|group, it| {
        group.drain_seconds = group.drain_seconds.max(it);
    });
    add(&rows::KAFKA_CONSUMERGROUP_EXPIRED_RECORDS_TOTAL, &|group, it| group.expired += it);
    add(&rows::KAFKA_CONSUMERGROUP_LAST_COMMIT_TIMESTAMP_SECONDS, &|group, it| {
        group.last_commit = group.last_commit.max(it);
    });
    for (of, status) in chosen(registry, &rows::KAFKA_CONSUMERGROUP_STATUS) {
        let rank = STATUSES.iter().position(|it| **it == *status).unwrap_or(0);
        if let Some(group) = of.first().and_then(|id| groups.get_mut(id)) {
            group.status = group.status.max(rank);
        }
    }
    let members = by_label(registry, &rows::KAFKA_CONSUMERGROUP_MEMBERS);
    let states = chosen(registry, &rows::KAFKA_CONSUMERGROUP_STATE);
    let all = groups.len();
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by(|(_, a), (_, b)| {
        b.lag_seconds.total_cmp(&a.lag_seconds).then(b.lag.total_cmp(&a.lag))
    });
    let listed = groups.iter().take(MAX_ROWS).map(|(id, group)| {
        json!({
            "id": id,
            "state": states.get(std::slice::from_ref(id)),
            "members": members.get(id),
            "topics": group.topics,
            "status": if group.topics == 0 { None } else { STATUSES.get(group.status) },
            "lag": number(group.lag),
            "lag_seconds": number(group.lag_seconds),
            "drain_seconds": number(group.drain_seconds),
            "expired_records": number(group.expired),
            "last_commit_ms": commit_ms(group.last_commit),
        })
    });
    let listed: Vec<_> = listed.collect();
    json!({ "groups": listed, "left_out": all.saturating_sub(MAX_ROWS) })
}

fn commit_ms(seconds: f64) -> Value {
    if seconds > 0.0 { number(seconds * 1000.0) } else { Value::Null }
}

/// `/api/group?id=`.
pub(crate) async fn one(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let Some(id) = query.get("id").filter(|id| id.len() <= MAX_NAME).cloned() else {
        return refused("id, the name of a group, is wanted").into_response();
    };
    shared.work(move |shared| group(shared, &id)).await
}

fn group(shared: &Shared, id: &str) -> Response {
    let registry = &shared.registry;
    let Some(members) = registry.family(&rows::KAFKA_CONSUMERGROUP_MEMBERS).read(&[id]) else {
        return ErrorBody::new(StatusCode::NOT_FOUND, "no such group").into_response();
    };
    let of = |row| below(registry, row, &[id]);
    let state = of(&rows::KAFKA_CONSUMERGROUP_STATE);
    let state = state
        .into_iter()
        .find(|(_, is)| *is >= 1.0)
        .and_then(|(labels, _)| labels.into_iter().next());
    let info = of(&rows::KAFKA_CONSUMERGROUP_INFO).into_iter().next();
    let mut info = info.map(|(labels, _)| labels).unwrap_or_default().into_iter();
    let (protocol, assignor) = (info.next(), info.next());
    let rebalances: BTreeMap<_, _> = of(&rows::KAFKA_CONSUMERGROUP_REBALANCES_TOTAL)
        .into_iter()
        .filter_map(|(labels, count)| Some((labels.into_iter().next()?, count)))
        .collect();
    let first = |row| of(row).first().map_or(Value::Null, |(_, it)| number(*it));
    let (partitions, left_out) = partitions(shared, id);
    answer::json(&json!({
        "id": id,
        "state": state,
        "protocol": protocol,
        "assignor": assignor,
        "members": number(members),
        "generation": first(&rows::KAFKA_CONSUMERGROUP_GENERATION),
        "rebalances": rebalances,
        "rebalance_seconds": first(&rows::KAFKA_CONSUMERGROUP_REBALANCE_SECONDS_TOTAL),
        "topics": topics(shared, id),
        "partitions": partitions,
        "partitions_left_out": left_out,
    }))
}

fn topics(shared: &Shared, id: &str) -> Vec<Value> {
    let registry = &shared.registry;
    let by_topic = |row| -> BTreeMap<Box<str>, f64> {
        let series = below(registry, row, &[id]).into_iter();
        series.filter_map(|(labels, it)| Some((labels.into_iter().next()?, it))).collect()
    };
    let lag = by_topic(&rows::KAFKA_CONSUMERGROUP_LAG_SUM);
    let seconds = by_topic(&rows::KAFKA_CONSUMERGROUP_LAG_SECONDS_MAX);
    let drain = by_topic(&rows::KAFKA_CONSUMERGROUP_DRAIN_SECONDS);
    let expired = by_topic(&rows::KAFKA_CONSUMERGROUP_EXPIRED_RECORDS_TOTAL);
    let commit = by_topic(&rows::KAFKA_CONSUMERGROUP_LAST_COMMIT_TIMESTAMP_SECONDS);
    let status: BTreeMap<_, _> = below(registry, &rows::KAFKA_CONSUMERGROUP_STATUS, &[id])
        .into_iter()
        .filter(|(_, is)| *is >= 1.0)
        .filter_map(|(labels, _)| match <[Box<str>; 2]>::try_from(labels) {
            Ok([topic, status]) => Some((topic, status)),
            Err(_) => None,
        })
        .collect();
    let of =
        |map: &BTreeMap<Box<str>, f64>, topic| map.get(topic).map_or(Value::Null, |it| number(*it));
    let told = commit.iter().map(|(topic, at)| {
        json!({
            "topic": topic,
            "status": status.get(topic),
            "lag": of(&lag, topic),
            "lag_seconds": of(&seconds, topic),
            "drain_seconds": of(&drain, topic),
            "expired_records": of(&expired, topic),
            "last_commit_ms": commit_ms(*at),
        })
    });
    told.take(MAX_ROWS).collect()
}

/// A partition of a group, by topic and number.
type Key = (Box<str>, Box<str>);

/// The partitions, the worst first, and how many are left out.
fn partitions(shared: &Shared, id: &str) -> (Vec<Value>, usize) {
    let by_partition = |row| -> BTreeMap<Key, f64> {
        let series = below(&shared.registry, row, &[id]).into_iter();
        let keyed = series.filter_map(|(labels, it)| match <[Box<str>; 2]>::try_from(labels) {
            Ok([topic, partition]) => Some(((topic, partition), it)),
            Err(_) => None,
        });
        keyed.collect()
    };
    let committed = by_partition(&rows::KAFKA_CONSUMERGROUP_CURRENT_OFFSET);
    let lag = by_partition(&rows::KAFKA_CONSUMERGROUP_LAG);
    let seconds = by_partition(&rows::KAFKA_CONSUMERGROUP_LAG_SECONDS);
    let mut keys: Vec<&Key> = committed.keys().collect();
    let rank = |key: &Key| {
        let of = |map: &BTreeMap<Key, f64>| map.get(key).copied().unwrap_or(-1.0);
        (of(&seconds), of(&lag))
    };
    keys.sort_by(|a, b| {
        let (a, b) = (rank(a), rank(b));
        b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1))
    });
    let left_out = keys.len().saturating_sub(MAX_PARTITIONS);
    keys.truncate(MAX_PARTITIONS);
    let listed: HashSet<(&str, &str)> =
        keys.iter().map(|(topic, partition)| (&**topic, &**partition)).collect();
    let is_listed =
        |labels: &Labels| listed.contains(&(labels.get("topic"), labels.get("partition")));
    let watch = shared.watch.read();
    let rates = |name, wanted: &dyn Fn(&Labels) -> bool| -> BTreeMap<Key, f64> {
        let slopes = watch.slopes(name, RATE_MS, wanted).into_iter();
        slopes
            .map(|(labels, it)| ((labels.get("topic").into(), labels.get("partition").into()), it))
            .collect()
    };
    let out = rates(rows::KAFKA_CONSUMERGROUP_CURRENT_OFFSET.name, &|labels| {
        labels.get("consumergroup") == id && is_listed(labels)
    });
    let into = rates(rows::KAFKA_TOPIC_PARTITION_CURRENT_OFFSET.name, &is_listed);
    drop(watch);
    let told = keys.into_iter().map(|key| {
        let of = |map: &BTreeMap<Key, f64>| map.get(key).map_or(Value::Null, |it| number(*it));
        json!({
            "topic": key.0,
            "partition": key.1.parse::<u32>().ok(),
            "committed": of(&committed),
            "lag": of(&lag),
            "lag_seconds": of(&seconds),
            "in_per_second": of(&into),
            "out_per_second": of(&out),
            "drain_seconds": drain(lag.get(key), into.get(key), out.get(key)),
        })
    });
    (told.collect(), left_out)
}

/// How long until a partition's lag is gone at the rates of now; `+Inf` when it does not shrink.
fn drain(lag: Option<&f64>, into: Option<&f64>, out: Option<&f64>) -> Value {
    let (Some(lag), Some(into), Some(out)) = (lag, into, out) else { return Value::Null };
    match (*lag, out - into) {
        (lag, _) if lag <= 0.0 => number(0.0),
        (lag, shrinks) if shrinks > 0.0 => number(lag / shrinks),
        _ => number(f64::INFINITY),
    }
}
