//! Which clients are asked for which metrics, how often (`ClientMetricsConfigs`, KIP-714).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use pharos_base::TopicId;
use pharos_config::ClientMetricsConfig;
use regex::{Regex, RegexBuilder};

/// How often a client asks again that no subscription matches, in ms.
const DEFAULT_INTERVAL_MS: i32 = 300_000;
/// Largest compiled pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 1 << 20;
/// The prefix that stands for all metrics.
const ALL: &str = "*";

/// What is known of the client behind a request.
#[derive(Clone, Copy, Debug)]
pub struct ClientFacts<'a> {
    /// `client.id` of the request's header; may be empty.
    pub client_id: &'a str,
    /// Name of the client library, as ApiVersions told it; may be empty.
    pub software_name: &'a str,
    /// Version of the client library; may be empty.
    pub software_version: &'a str,
    /// Address that the connection comes from.
    pub source_address: IpAddr,
    /// Port that the connection comes from.
    pub source_port: u16,
}

/// One subscription, ready to be matched.
#[derive(Debug)]
pub(crate) struct Subscription {
    metrics: Vec<String>,
    interval_ms: i32,
    matches: Vec<(String, Option<Regex>)>,
}

/// What all matching subscriptions together ask of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) metrics: Vec<String>,
    pub(crate) interval_ms: i32,
    pub(crate) id: i32,
}

impl Subscription {
    pub(crate) fn new(config: ClientMetricsConfig) -> Self {
        let compile = |(name, pattern): (String, String)| {
            // The whole text must match, as Java's `matches` has it.
            let built = RegexBuilder::new(&format!("^(?:{pattern})$"))
                .size_limit(MAX_PATTERN_BYTES)
                .build();
            let regex = built.map_err(|error| {
                tracing::warn!(%pattern, %error, "a client metrics subscription matches nobody");
            });
            (name, regex.ok())
        };
        Self {
            metrics: config.metrics,
            interval_ms: config.interval_ms,
            matches: config.matches.into_iter().map(compile).collect(),
        }
    }

    fn matches(&self, id: TopicId, client: &ClientFacts<'_>) -> bool {
        self.matches.iter().all(|(name, pattern)| {
            let Some(pattern) = pattern else { return false };
            match name.as_str() {
                "client_instance_id" => pattern.is_match(&id.to_string()),
                "client_id" => pattern.is_match(client.client_id),
                "client_software_name" => pattern.is_match(client.software_name),
                "client_software_version" => pattern.is_match(client.software_version),
                "client_source_address" => pattern.is_match(&client.source_address.to_string()),
                "client_source_port" => pattern.is_match(&client.source_port.to_string()),
                _ => false,
            }
        })
    }
}

/// What `subscriptions` ask of a client: the union of the metrics, the shortest interval.
pub(crate) fn wanted(
    subscriptions: &[Arc<Subscription>],
    id: TopicId,
    client: &ClientFacts<'_>,
) -> Wanted {
    let mut metrics = BTreeSet::new();
    let mut interval_ms = DEFAULT_INTERVAL_MS;
    for subscription in subscriptions.iter().filter(|of| of.matches(id, client)) {
        metrics.extend(subscription.metrics.iter().cloned());
        interval_ms = interval_ms.min(subscription.interval_ms);
    }
    if metrics.contains(ALL) {
        metrics = BTreeSet::from([ALL.to_owned()]);
    }
    let metrics: Vec<String> = metrics.into_iter().collect();
    let id = subscription_id(&metrics, interval_ms, id);
    Wanted { metrics, interval_ms, id }
}

/// CRC-32C of what is asked for, mixed with the client's id
/// (`ClientMetricsManager.computeSubscriptionId`).
fn subscription_id(metrics: &[String], interval_ms: i32, id: TopicId) -> i32 {
    let text = format!("[{}]{interval_ms}", metrics.join(", "));
    let (high, low) = id.0.as_u64_pair();
    let mixed = high ^ low;
    let hash = ((mixed >> 32) ^ mixed) as u32;
    (crc32c::crc32c(text.as_bytes()) ^ hash).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(
        metrics: &str,
        interval_ms: i32,
        matches: &[(&str, &str)],
    ) -> Arc<Subscription> {
        Arc::new(Subscription::new(ClientMetricsConfig {
            interval_ms,
            metrics: metrics.split(',').map(str::to_owned).collect(),
            matches: matches.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
        }))
    }

    #[test]
    fn subscriptions_match_whole_texts_and_add_up() {
        let id = TopicId::parse("AAAAAAAAAAEAAAAAAAAAAg").unwrap();
        let client = ClientFacts {
            client_id: "app-7",
            software_name: "librdkafka",
            software_version: "2.16.0",
            source_address: IpAddr::from([10, 0, 0, 7]),
            source_port: 40_000,
        };
        let cases: [(&[(&str, &str)], bool); 9] = [
            (&[], true),
            (&[("client_id", "app-.*")], true),
            (&[("client_id", "app")], false),
            (&[("client_id", "app-7|b"), ("client_software_name", "lib.*")], true),
            (&[("client_id", "app-7"), ("client_software_name", "apache.*")], false),
            (&[("client_software_version", "2\\.16\\..*")], true),
            (&[("client_source_address", "10\\..*"), ("client_source_port", "4.*")], true),
            (&[("client_instance_id", "AAAAAAAAAAEAAAAAAAAAAg")], true),
            (&[("client_id", "(")], false),
        ];
        for (matches, expected) in cases {
            let one = subscription("a", 1000, matches);
            assert_eq!(one.matches(id, &client), expected, "{matches:?}");
        }
        let of = |subscriptions: &[Arc<Subscription>]| wanted(subscriptions, id, &client);
        let none = of(&[]);
        assert_eq!((none.metrics.len(), none.interval_ms), (0, 300_000));
        let two = of(&[subscription("b,a", 5000, &[]), subscription("a,c", 1000, &[])]);
        assert_eq!((two.metrics.join(" "), two.interval_ms), ("a b c".to_owned(), 1000));
        let all = of(&[subscription("b,*", 5000, &[]), subscription("a", 7000, &[])]);
        assert_eq!((all.metrics.join(" "), all.interval_ms), ("*".to_owned(), 5000));
        assert_ne!(two.id, all.id);
        assert_eq!(all.id, of(&[subscription("*", 5000, &[])]).id);
        // `Uuid.hashCode` of two longs 1 and 2 is 3.
        let crc = crc32c::crc32c(b"[*]5000");
        assert_eq!(all.id, (crc ^ 3).cast_signed());
    }
}
