//! `/api/skew`: what is uneven: leaders and replicas between brokers, bytes between partitions, records
//! between keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use pharos_metrics::Registry;
use pharos_metrics::catalog::native as rows;
use serde_json::{Value, json};

use crate::answer::{self, number};
use crate::figures::by_label;
use crate::limits::{MAX_HOT_KEYS, MAX_SKEWED};
use crate::lines::last;
use crate::shared::Shared;

/// `/api/skew`.
pub(crate) async fn answer(State(shared): State<Arc<Shared>>) -> Response {
    shared.work(|shared| answer::json(&skew(shared))).await
}

/// What a partition takes, of its even part, before anybody calls it too much.
const EVEN_ENOUGH: f64 = 1.1;

/// A partition by its topic and number.
type Key = (Box<str>, Box<str>);

fn skew(shared: &Shared) -> Value {
    let cluster = by_label(&shared.registry, &rows::PHAROS_CLUSTER_SKEW_RATIO);
    let watch = shared.watch.read();
    let by_partition = |name| -> BTreeMap<Key, f64> {
        let values = watch.last(name);
        values
            .map(|(labels, it)| ((labels.get("topic").into(), labels.get("partition").into()), it))
            .collect()
    };
    let (bytes, shares) =
        (by_partition(last::PARTITION_BYTES_IN), by_partition(last::PARTITION_SHARE));
    drop(watch);
    let mut counts: BTreeMap<&str, f64> = BTreeMap::new();
    for (topic, _) in bytes.keys() {
        *counts.entry(topic).or_default() += 1.0;
    }
    // How much more than its even part a partition takes, in bytes a second.
    let mut partitions: Vec<_> = bytes
        .iter()
        .filter_map(|(key, rate)| {
            let (share, count) = (shares.get(key)?, counts.get(&*key.0)?);
            let too_much = rate * (1.0 - 1.0 / (share * count));
            (*count > 1.0 && share * count >= EVEN_ENOUGH).then_some((
                key,
                *rate,
                *share,
                share * count,
                too_much,
            ))
        })
        .collect();
    partitions.sort_by(|a, b| b.4.total_cmp(&a.4));
    let left_out = partitions.len().saturating_sub(MAX_SKEWED);
    let told = partitions.into_iter().take(MAX_SKEWED);
    let told = told.map(|((topic, partition), rate, share, times_even, too_much)| {
        json!({
            "topic": topic,
            "partition": partition.parse::<u32>().ok(),
            "bytes_in": number(rate),
            "share": number(share),
            "times_even": number(times_even),
            "too_much": number(too_much),
        })
    });
    let (keys, keys_left_out) = hot_keys(&shared.registry);
    json!({
        "cluster": cluster,
        "known": !counts.is_empty(),
        "partitions": told.collect::<Vec<_>>(),
        "left_out": left_out,
        "keys": keys,
        "keys_left_out": keys_left_out,
    })
}

/// The hottest keys by their names, and how many more there are.
fn hot_keys(registry: &Registry) -> (Vec<Value>, usize) {
    let mut errors: BTreeMap<Key, f64> = BTreeMap::new();
    registry.family(&rows::PHAROS_HOT_KEY_ERROR_RATIO).numbers(|labels, error| {
        if let [topic, partition] = labels {
            errors.insert((topic.clone(), partition.clone()), error);
        }
    });
    let mut keys = Vec::new();
    registry.family(&rows::PHAROS_HOT_KEY_RATIO).numbers(|labels, share| {
        if let [topic, partition, key] = labels {
            keys.push(((topic.clone(), partition.clone()), key.clone(), share));
        }
    });
    keys.sort_by(|a, b| b.2.total_cmp(&a.2));
    let left_out = keys.len().saturating_sub(MAX_HOT_KEYS);
    let told = keys.into_iter().take(MAX_HOT_KEYS).map(|(of, key, share)| {
        json!({
            "topic": of.0,
            "partition": of.1.parse::<u32>().ok(),
            "key": key,
            "share": number(share),
            "error": errors.get(&of).map(|error| number(*error)),
        })
    });
    (told.collect(), left_out)
}
