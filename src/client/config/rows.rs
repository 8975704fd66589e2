//! One row per client property that has an effect: name, kind, default and meaning. Defaults and
//! ranges are those of Kafka 4.3.1 (ProducerConfig, ConsumerConfig, AdminClientConfig).

use crate::error::{ClientError, Result};

/// What values a property takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any text.
    Text,
    /// A whole number of at least the given one.
    Number(i64),
    /// `true` or `false`.
    Flag,
    /// One of these words, whatever the case.
    Word(&'static [&'static str]),
    /// Accepted without effect here; the words say why.
    Ignored(&'static str),
    /// Only the default is accepted; the words say what is missing.
    Absent(&'static str),
}

/// One property.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Kafka's name.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// The default as text; empty for none.
    pub default: &'static str,
    /// What it does, in one sentence.
    pub doc: &'static str,
}

impl Row {
    /// Checks one value.
    ///
    /// # Errors
    /// When the row does not allow it.
    pub fn check(&self, value: &str) -> Result<()> {
        let value = value.trim();
        let fits = match self.kind {
            Kind::Text | Kind::Ignored(_) => true,
            Kind::Number(least) => value.parse::<i64>().is_ok_and(|number| number >= least),
            Kind::Flag => value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false"),
            Kind::Word(words) => words.iter().any(|word| word.eq_ignore_ascii_case(value)),
            Kind::Absent(_) => value.eq_ignore_ascii_case(self.default),
        };
        if fits { Ok(()) } else { Err(self.refuse(value)) }
    }

    pub(crate) fn refuse(&self, value: &str) -> ClientError {
        let expected = match self.kind {
            Kind::Text | Kind::Ignored(_) => "text".to_owned(),
            Kind::Number(least) => format!("a whole number of at least {least}"),
            Kind::Flag => "true or false".to_owned(),
            Kind::Word(words) => format!("one of {}", words.join(", ")),
            Kind::Absent(why) if self.default.is_empty() => format!("nothing, {why}"),
            Kind::Absent(why) => format!("{}, {why}", self.default),
        };
        ClientError::Config { key: self.name.to_owned(), value: value.to_owned(), expected }
    }
}

/// The row of a property.
pub(crate) fn find(name: &str) -> Option<&'static Row> {
    ROWS.iter().copied().find(|row| row.name == name)
}

macro_rules! rows {
    ($($id:ident $name:literal $kind:expr, $default:literal, $doc:literal;)*) => {
        $(pub(crate) const $id: &Row = &Row { name: $name, kind: $kind, default: $default, doc: $doc };)*
        /// Every row, in the order of the documentation.
        pub const ROWS: &[&Row] = &[$($id),*];
    };
}

const NO_TLS: &str = "TLS and SASL are not built yet";
const JVM: &str = "it configures a Java virtual machine";

rows! {
    BOOTSTRAP_SERVERS "bootstrap.servers" Kind::Text, "", "Brokers to ask first, as host:port separated by commas.";
    BOOTSTRAP_CONTROLLERS "bootstrap.controllers" Kind::Text, "", "Controllers to ask instead of brokers.";
    CLIENT_ID "client.id" Kind::Text, "", "Name of this client in the broker's logs, quotas and metrics.";
    CLIENT_RACK "client.rack" Kind::Text, "", "Where this client stands, for fetching from the nearest replica.";
    SECURITY_PROTOCOL "security.protocol" Kind::Absent(NO_TLS), "PLAINTEXT", "Protocol spoken to brokers.";
    REQUEST_TIMEOUT_MS "request.timeout.ms" Kind::Number(0), "30000", "Longest wait for one answer.";
    DEFAULT_API_TIMEOUT_MS "default.api.timeout.ms" Kind::Number(0), "60000", "Longest time for a whole call with its retries.";
    RETRIES "retries" Kind::Number(0), "2147483647", "Most attempts after the first.";
    RETRY_BACKOFF_MS "retry.backoff.ms" Kind::Number(0), "100", "Wait before the first retry.";
    RETRY_BACKOFF_MAX_MS "retry.backoff.max.ms" Kind::Number(0), "1000", "Longest wait before a retry.";
    RECONNECT_BACKOFF_MS "reconnect.backoff.ms" Kind::Number(0), "50", "Wait before the first reconnect.";
    RECONNECT_BACKOFF_MAX_MS "reconnect.backoff.max.ms" Kind::Number(0), "1000", "Longest wait before a reconnect.";
    CONNECT_TIMEOUT_MS "socket.connection.setup.timeout.ms" Kind::Number(0), "10000", "Longest wait for a connection.";
    METADATA_MAX_AGE_MS "metadata.max.age.ms" Kind::Number(0), "300000", "Age at which metadata is asked again.";
    SEND_BUFFER_BYTES "send.buffer.bytes" Kind::Ignored("the system sizes its buffers"), "131072", "Size of the socket's send buffer.";
    RECEIVE_BUFFER_BYTES "receive.buffer.bytes" Kind::Ignored("the system sizes its buffers"), "65536", "Size of the socket's receive buffer.";
    CONNECTIONS_MAX_IDLE_MS "connections.max.idle.ms" Kind::Ignored("brokers close idle connections"), "540000", "Age at which idle connections close.";
    CLIENT_DNS_LOOKUP "client.dns.lookup" Kind::Ignored("every address is tried"), "use_all_dns_ips", "How names become addresses.";
    ENABLE_METRICS_PUSH "enable.metrics.push" Kind::Ignored("this client pushes no metrics"), "true", "Push client metrics to the cluster.";
    METRIC_REPORTERS "metric.reporters" Kind::Ignored(JVM), "", "Classes that report metrics.";
    METRICS_NUM_SAMPLES "metrics.num.samples" Kind::Ignored(JVM), "2", "Samples kept for metrics.";
    METRICS_RECORDING_LEVEL "metrics.recording.level" Kind::Ignored(JVM), "INFO", "Level of metrics.";
    METRICS_SAMPLE_WINDOW_MS "metrics.sample.window.ms" Kind::Ignored(JVM), "30000", "Window of a metric's sample.";
    METADATA_RECOVERY_STRATEGY "metadata.recovery.strategy" Kind::Ignored("the bootstrap list is always the last resort"), "rebootstrap", "What to do when no known broker answers.";
    INTERCEPTOR_CLASSES "interceptor.classes" Kind::Ignored(JVM), "", "Classes that see every record.";
    KEY_SERIALIZER "key.serializer" Kind::Ignored(JVM), "", "Class that writes keys.";
    VALUE_SERIALIZER "value.serializer" Kind::Ignored(JVM), "", "Class that writes values.";
    KEY_DESERIALIZER "key.deserializer" Kind::Ignored(JVM), "", "Class that reads keys.";
    VALUE_DESERIALIZER "value.deserializer" Kind::Ignored(JVM), "", "Class that reads values.";

    ACKS "acks" Kind::Word(&["all", "-1", "0", "1"]), "all", "How many replicas must have a record before it counts as sent.";
    BATCH_SIZE "batch.size" Kind::Number(0), "16384", "Size in bytes at which a batch is full.";
    BUFFER_MEMORY "buffer.memory" Kind::Number(0), "33554432", "Most bytes of records that wait to be sent.";
    COMPRESSION_TYPE "compression.type" Kind::Word(&["none", "gzip", "snappy", "lz4", "zstd"]), "none", "Codec of the batches.";
    COMPRESSION_GZIP_LEVEL "compression.gzip.level" Kind::Number(-1), "-1", "Level of gzip.";
    COMPRESSION_LZ4_LEVEL "compression.lz4.level" Kind::Number(1), "9", "Level of lz4.";
    COMPRESSION_ZSTD_LEVEL "compression.zstd.level" Kind::Number(-131072), "3", "Level of zstd.";
    DELIVERY_TIMEOUT_MS "delivery.timeout.ms" Kind::Number(0), "120000", "Longest time from send to its outcome.";
    ENABLE_IDEMPOTENCE "enable.idempotence" Kind::Flag, "true", "Give every batch a sequence, so that retries make no duplicate.";
    LINGER_MS "linger.ms" Kind::Number(0), "5", "How long a batch waits for more records.";
    MAX_BLOCK_MS "max.block.ms" Kind::Number(0), "60000", "Longest time that send waits for metadata or memory.";
    MAX_IN_FLIGHT "max.in.flight.requests.per.connection" Kind::Number(1), "5", "Most requests without answer per broker.";
    MAX_REQUEST_SIZE "max.request.size" Kind::Number(0), "1048576", "Largest request and record in bytes.";
    PARTITIONER_CLASS "partitioner.class" Kind::Text, "", "RoundRobinPartitioner, or nothing for hashing and sticking.";
    PARTITIONER_IGNORE_KEYS "partitioner.ignore.keys" Kind::Flag, "false", "Choose partitions without looking at keys.";
    PARTITIONER_ADAPTIVE "partitioner.adaptive.partitioning.enable" Kind::Ignored("partitions are chosen evenly"), "true", "Prefer fast brokers.";
    PARTITIONER_AVAILABILITY "partitioner.availability.timeout.ms" Kind::Ignored("partitions are chosen evenly"), "0", "Avoid slow brokers.";
    TRANSACTIONAL_ID "transactional.id" Kind::Absent("transactions are not built yet"), "", "Identity of a transactional producer.";
    TRANSACTION_TIMEOUT_MS "transaction.timeout.ms" Kind::Ignored("transactions are not built yet"), "60000", "Longest transaction.";

    ALLOW_AUTO_CREATE "allow.auto.create.topics" Kind::Flag, "true", "Let the broker create topics that are subscribed.";
    AUTO_COMMIT_INTERVAL_MS "auto.commit.interval.ms" Kind::Number(0), "5000", "Time between automatic commits.";
    AUTO_OFFSET_RESET "auto.offset.reset" Kind::Text, "latest", "Where to start without a committed offset: earliest, latest, none or by_duration:PT1H.";
    CHECK_CRCS "check.crcs" Kind::Flag, "true", "Check the checksum of every batch.";
    ENABLE_AUTO_COMMIT "enable.auto.commit" Kind::Flag, "true", "Commit what poll has handed out.";
    EXCLUDE_INTERNAL_TOPICS "exclude.internal.topics" Kind::Flag, "true", "Keep internal topics out of pattern subscriptions.";
    FETCH_MAX_BYTES "fetch.max.bytes" Kind::Number(0), "52428800", "Most bytes of one fetch.";
    FETCH_MAX_WAIT_MS "fetch.max.wait.ms" Kind::Number(0), "500", "How long the broker waits for fetch.min.bytes.";
    FETCH_MIN_BYTES "fetch.min.bytes" Kind::Number(0), "1", "Bytes that make a fetch answer at once.";
    GROUP_ID "group.id" Kind::Text, "", "The consumer group.";
    GROUP_INSTANCE_ID "group.instance.id" Kind::Text, "", "Name of a static member.";
    GROUP_PROTOCOL "group.protocol" Kind::Word(&["classic", "consumer"]), "classic", "Rebalance protocol.";
    GROUP_REMOTE_ASSIGNOR "group.remote.assignor" Kind::Text, "", "Assignor that the coordinator uses.";
    HEARTBEAT_INTERVAL_MS "heartbeat.interval.ms" Kind::Number(0), "3000", "Time between heartbeats.";
    ISOLATION_LEVEL "isolation.level" Kind::Word(&["read_uncommitted", "read_committed"]), "read_uncommitted", "Whether records of open transactions are seen.";
    MAX_PARTITION_FETCH_BYTES "max.partition.fetch.bytes" Kind::Number(0), "1048576", "Most bytes of one partition in a fetch.";
    MAX_POLL_INTERVAL_MS "max.poll.interval.ms" Kind::Number(1), "300000", "Longest time between polls.";
    MAX_POLL_RECORDS "max.poll.records" Kind::Number(1), "500", "Most records of one poll.";
    PARTITION_ASSIGNMENT_STRATEGY "partition.assignment.strategy" Kind::Text, "range,cooperative-sticky", "Assignors of the classic protocol, best first.";
    SESSION_TIMEOUT_MS "session.timeout.ms" Kind::Number(0), "45000", "Silence after which a member is thrown out.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_allowed_by_its_row() {
        for row in ROWS {
            if !row.default.is_empty() {
                row.check(row.default).unwrap();
            }
            assert!(row.doc.ends_with('.'), "{}", row.name);
            assert_eq!(ROWS.iter().filter(|other| other.name == row.name).count(), 1);
        }
    }
}
