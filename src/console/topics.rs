//! `/api/topics` and `/api/topic?name=`: partitions, their leaders and their traffic.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pharos_admin::ErrorBody;
use pharos_alerting::Watch;
use pharos_metrics::catalog::native as rows;
use pharos_metrics::{FamilyRow, OTHER};
use serde_json::{Value, json};

use crate::answer::{self, number, refused};
use crate::figures::{below, by_label};
use crate::limits::{MAX_NAME, MAX_PARTITIONS, MAX_ROWS, RATE_MS};
use crate::lines::last;
use crate::shared::Shared;

/// `/api/topics`.
pub(crate) async fn list(State(shared): State<Arc<Shared>>) -> Response {
    shared.work(|shared| answer::json(&topics(shared))).await
}

fn topics(shared: &Shared) -> Value {
    let registry = &shared.registry;
    let counted = |row: &'static FamilyRow, counts: &dyn Fn(f64) -> bool| {
        let mut found: BTreeMap<Box<str>, u64> = BTreeMap::new();
        registry.family(row).numbers(|labels, number| {
            if let (Some(topic), true) = (labels.first(), counts(number)) {
                *found.entry(topic.clone()).or_default() += 1;
            }
        });
        found
    };
    let partitions = by_label(registry, &rows::KAFKA_TOPIC_PARTITIONS);
    let offline = counted(&rows::KAFKA_TOPIC_PARTITION_LEADER, &|leader| leader < 0.0);
    let under = counted(&rows::KAFKA_TOPIC_PARTITION_UNDER_REPLICATED_PARTITION, &|it| it > 0.0);
    let watch = shared.watch.read();
    let figures = [
        ("messages_in", by_topic(&watch, last::TOPIC_MESSAGES)),
        ("bytes_in", by_topic(&watch, last::TOPIC_BYTES_IN)),
        ("bytes_out", by_topic(&watch, last::TOPIC_BYTES_OUT)),
        ("skew", by_topic(&watch, last::TOPIC_SKEW)),
    ];
    drop(watch);
    let names = partitions.keys().filter(|name| &***name != OTHER);
    let listed = names.clone().take(MAX_ROWS).map(|name| {
        let mut topic = json!({
            "name": name,
            "partitions": partitions.get(name),
            "offline": offline.get(name).copied().unwrap_or(0),
            "under_replicated": under.get(name).copied().unwrap_or(0),
        });
        for (key, figures) in &figures {
            if let Some(topic) = topic.as_object_mut() {
                let figure = figures.get(&**name).map_or(Value::Null, |it| number(*it));
                topic.insert((*key).to_owned(), figure);
            }
        }
        topic
    });
    let listed: Vec<_> = listed.collect();
    json!({ "topics": listed, "left_out": names.count().saturating_sub(MAX_ROWS) })
}

fn by_topic(watch: &Watch, name: &str) -> BTreeMap<Box<str>, f64> {
    watch.last(name).map(|(labels, value)| (labels.get("topic").into(), value)).collect()
}

/// `/api/topic?name=`.
pub(crate) async fn one(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let Some(name) = query.get("name").filter(|name| name.len() <= MAX_NAME).cloned() else {
        return refused("name, that of a topic, is wanted").into_response();
    };
    shared.work(move |shared| topic(shared, &name)).await
}

fn topic(shared: &Shared, name: &str) -> Response {
    let registry = &shared.registry;
    if registry.family(&rows::KAFKA_TOPIC_PARTITIONS).read(&[name]).is_none() {
        return ErrorBody::new(StatusCode::NOT_FOUND, "no such topic").into_response();
    }
    let of = |row| -> BTreeMap<i32, f64> {
        let series = below(registry, row, &[name]).into_iter();
        series.filter_map(|(labels, it)| Some((labels.first()?.parse().ok()?, it))).collect()
    };
    let families = [
        ("leader", of(&rows::KAFKA_TOPIC_PARTITION_LEADER)),
        ("replicas", of(&rows::KAFKA_TOPIC_PARTITION_REPLICAS)),
        ("in_sync", of(&rows::KAFKA_TOPIC_PARTITION_IN_SYNC_REPLICA)),
        ("oldest_offset", of(&rows::KAFKA_TOPIC_PARTITION_OLDEST_OFFSET)),
        ("high_watermark", of(&rows::KAFKA_TOPIC_PARTITION_CURRENT_OFFSET)),
        ("bytes_in_total", of(&rows::PHAROS_PARTITION_BYTES_IN_TOTAL)),
        ("bytes_out_total", of(&rows::PHAROS_PARTITION_BYTES_OUT_TOTAL)),
    ];
    let watch = shared.watch.read();
    let last = |record| -> BTreeMap<i32, f64> {
        let values = watch.last(record).filter(|(labels, _)| labels.get("topic") == name);
        values
            .filter_map(|(labels, it)| Some((labels.get("partition").parse().ok()?, it)))
            .collect()
    };
    let offsets = rows::KAFKA_TOPIC_PARTITION_CURRENT_OFFSET.name;
    let records: BTreeMap<i32, f64> = watch
        .slopes(offsets, RATE_MS, |labels| labels.get("topic") == name)
        .into_iter()
        .filter_map(|(labels, it)| Some((labels.get("partition").parse().ok()?, it)))
        .collect();
    let rates = [
        ("records_in", records),
        ("bytes_in", last(last::PARTITION_BYTES_IN)),
        ("bytes_out", last(last::PARTITION_BYTES_OUT)),
        ("share", last(last::PARTITION_SHARE)),
    ];
    drop(watch);
    let indexes: Vec<i32> =
        families.first().map(|(_, of)| of.keys().copied().collect()).unwrap_or_default();
    let left_out = indexes.len().saturating_sub(MAX_PARTITIONS);
    let partitions = indexes.into_iter().take(MAX_PARTITIONS).map(|index| {
        let figures = families.iter().chain(&rates).map(|(key, of)| {
            ((*key).to_owned(), of.get(&index).map_or(Value::Null, |it| number(*it)))
        });
        let own = [("partition".to_owned(), Value::from(index))];
        Value::Object(own.into_iter().chain(figures).collect())
    });
    let skew: BTreeMap<_, _> = below(registry, &rows::PHAROS_TOPIC_SKEW_RATIO, &[name])
        .into_iter()
        .filter_map(|(labels, it)| Some((labels.into_iter().next()?, it)))
        .collect();
    answer::json(&json!({
        "name": name,
        "skew": skew,
        "partitions": partitions.collect::<Vec<_>>(),
        "partitions_left_out": left_out,
    }))
}
