//! Where `pharos up` differs from Kafka's defaults: the one table that is printed at start.

/// A value that `pharos up` sets where nothing was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpDefault {
    /// The key.
    pub key: &'static str,
    /// Its value under `up`.
    pub value: &'static str,
    /// Why it differs.
    pub why: &'static str,
}

const fn row(key: &'static str, value: &'static str, why: &'static str) -> UpDefault {
    UpDefault { key, value, why }
}

const ONE_BROKER: &str = "one broker can hold one replica";

/// The deviations, besides the advertised host, which is localhost instead of the machine's name.
pub const UP_DEFAULTS: &[UpDefault] = &[
    row("log.dir", "./pharos-data", "data stays in the working directory"),
    row("group.initial.rebalance.delay.ms", "0", "the first consumer starts at once"),
    row("offsets.topic.replication.factor", "1", ONE_BROKER),
    row("transaction.state.log.replication.factor", "1", ONE_BROKER),
    row("transaction.state.log.min.isr", "1", ONE_BROKER),
    row("share.coordinator.state.topic.replication.factor", "1", ONE_BROKER),
    row("share.coordinator.state.topic.min.isr", "1", ONE_BROKER),
];
