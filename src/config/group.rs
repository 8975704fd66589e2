//! The configurations of a group and of a client metrics subscription, resolved.

use crate::broker::{BrokerConfig, Overrides};
use crate::rows::client_metrics;
use crate::rows::group as row;
use crate::topic::Resolver;

/// The keys of a consumer group. Those of share and streams groups have rows, and no reader yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// `consumer.assignment.interval.ms`.
    pub consumer_assignment_interval_ms: i32,
    /// `consumer.heartbeat.interval.ms`.
    pub consumer_heartbeat_interval_ms: i32,
    /// `consumer.session.timeout.ms`.
    pub consumer_session_timeout_ms: i32,
}

impl GroupConfig {
    /// Resolves the values of a group.
    pub fn resolve(overrides: &Overrides, broker: &BrokerConfig) -> Self {
        let of = Resolver { overrides, broker };
        Self {
            consumer_assignment_interval_ms: of.get::<i32>(&row::CONSUMER_ASSIGNMENT_INTERVAL_MS),
            consumer_heartbeat_interval_ms: of.get::<i32>(&row::CONSUMER_HEARTBEAT_INTERVAL_MS),
            consumer_session_timeout_ms: of.get::<i32>(&row::CONSUMER_SESSION_TIMEOUT_MS),
        }
    }
}

/// The keys of a client metrics subscription (KIP-714).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientMetricsConfig {
    /// `interval.ms`: 100 to 3,600,000.
    pub interval_ms: i32,
    /// `metrics`: prefixes; `*` stands for all.
    pub metrics: Vec<String>,
    /// `match`: pairs of a name of [`crate::CLIENT_MATCH_NAMES`] and a sound regular expression.
    pub matches: Vec<(String, String)>,
}

impl ClientMetricsConfig {
    /// Resolves the values of a subscription.
    pub fn resolve(overrides: &Overrides, broker: &BrokerConfig) -> Self {
        let of = Resolver { overrides, broker };
        let pair = |entry: String| {
            let (name, pattern) = entry.split_once('=')?;
            Some((name.trim().to_owned(), pattern.trim().to_owned()))
        };
        Self {
            interval_ms: of.get::<i32>(&client_metrics::INTERVAL_MS),
            metrics: of.list(&client_metrics::METRICS),
            matches: of.list(&client_metrics::MATCH).into_iter().filter_map(pair).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_subscriptions_resolve() {
        let broker = BrokerConfig::defaults(&[]).unwrap();
        let own = Overrides::from([("consumer.session.timeout.ms".into(), "50000".into())]);
        let group = GroupConfig::resolve(&own, &broker);
        assert_eq!(group.consumer_session_timeout_ms, 50_000);
        assert_eq!(group.consumer_heartbeat_interval_ms, 5_000);
        let own = Overrides::from([("match".into(), "client_id=a.*, client_source_port=9".into())]);
        let subscription = ClientMetricsConfig::resolve(&own, &broker);
        assert_eq!(subscription.interval_ms, 300_000);
        let pairs: Vec<_> =
            subscription.matches.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(pairs, [("client_id", "a.*"), ("client_source_port", "9")]);
    }
}
