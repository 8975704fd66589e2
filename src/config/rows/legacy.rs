//! Keys of older Kafka versions and of its distributions that files still carry: accepted, without
//! any effect.

use super::reasons::{OLD, OTHER, ZOOKEEPER};

/// Prefixes of such keys and why they mean nothing.
const PREFIXES: &[(&str, &str)] =
    &[("confluent.", OTHER), ("zookeeper.", ZOOKEEPER), ("password.encoder.", ZOOKEEPER)];

/// Such keys and why they mean nothing.
const NAMES: &[(&str, &str)] = &[
    ("auto.include.jmx.reporter", OLD),
    ("broker.id.generation.enable", ZOOKEEPER),
    ("control.plane.listener.name", ZOOKEEPER),
    ("controlled.shutdown.max.retries", OLD),
    ("controlled.shutdown.retry.backoff.ms", OLD),
    ("group.coordinator.new.enable", OLD),
    ("inter.broker.protocol.version", OLD),
    ("leader.imbalance.per.broker.percentage", OLD),
    ("log.message.downconversion.enable", OLD),
    ("log.message.format.version", OLD),
    ("log.message.timestamp.difference.max.ms", OLD),
    ("offsets.commit.required.acks", OLD),
    ("quota.consumer.default", OLD),
    ("quota.producer.default", OLD),
    ("reserved.broker.max.id", ZOOKEEPER),
];

/// Why the key means nothing any more, when it is one of these.
pub fn reason(name: &str) -> Option<&'static str> {
    let named = NAMES.iter().find(|(key, _)| *key == name);
    named
        .or_else(|| PREFIXES.iter().find(|(prefix, _)| name.starts_with(prefix)))
        .map(|(_, why)| *why)
}
