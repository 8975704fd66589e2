//! Rows of the node as a whole.

use super::reasons::{ONE_BROKER, REPORTERS, SWEEPS, THREADS, TOKENS, WINDOWS};
use crate::row::broker_rows;
use crate::value::{Class, List, Password, Text};

broker_rows! {
    /// Java class that may refuse a change of configuration.
    ALTER_CONFIG_POLICY_CLASS_NAME: Option<Class> = key("alter.config.policy.class.name")
        .low().refused("Java policy classes", &[]);
    /// Java class that decides who may do what; empty means everyone may.
    AUTHORIZER_CLASS_NAME: Text = key("authorizer.class.name")
        .default("").low().refused("authorization", &[]);
    /// Whether a metadata request for a missing topic creates it.
    AUTO_CREATE_TOPICS_ENABLE: bool = key("auto.create.topics.enable").default("true").high();
    /// Threads for background work.
    BACKGROUND_THREADS: i32 = key("background.threads")
        .default("10").at_least(1).high().cluster_wide().no_meaning(THREADS);
    /// Milliseconds between a broker's heartbeats to the controller.
    BROKER_HEARTBEAT_INTERVAL_MS: i32 = key("broker.heartbeat.interval.ms").default("2000");
    /// Older name of `node.id`; -1 means not given.
    BROKER_ID: i32 = key("broker.id").default("-1").high();
    /// Rack of this broker, for placement and rack-aware clients.
    BROKER_RACK: Option<Text> = key("broker.rack");
    /// Milliseconds without a heartbeat after which a broker is fenced.
    BROKER_SESSION_TIMEOUT_MS: i32 = key("broker.session.timeout.ms").default("9000");
    /// Java class that computes client quotas.
    CLIENT_QUOTA_CALLBACK_CLASS: Option<Class> = key("client.quota.callback.class")
        .low().refused("Java quota callbacks", &[]);
    /// Java classes that look up values outside of this configuration.
    CONFIG_PROVIDERS: List = key("config.providers")
        .default("").low().cluster_wide().refused("configuration providers", &[]);
    /// Whether a stopping broker hands over its leaderships first.
    CONTROLLED_SHUTDOWN_ENABLE: bool = key("controlled.shutdown.enable").default("true");
    /// Java class that may refuse a new topic.
    CREATE_TOPIC_POLICY_CLASS_NAME: Option<Class> = key("create.topic.policy.class.name")
        .low().refused("Java policy classes", &[]);
    /// Milliseconds between two searches for expired delegation tokens.
    DELEGATION_TOKEN_EXPIRY_CHECK_INTERVAL_MS: i64 = key("delegation.token.expiry.check.interval.ms")
        .default("3600000").at_least(1).low().no_meaning(TOKENS);
    /// Milliseconds until a delegation token must be renewed.
    DELEGATION_TOKEN_EXPIRY_TIME_MS: i64 = key("delegation.token.expiry.time.ms")
        .default("86400000").at_least(1).no_meaning(TOKENS);
    /// Longest life of a delegation token, renewed or not.
    DELEGATION_TOKEN_MAX_LIFETIME_MS: i64 = key("delegation.token.max.lifetime.ms")
        .default("604800000").at_least(1).no_meaning(TOKENS);
    /// Secret with which delegation tokens are signed.
    DELEGATION_TOKEN_SECRET_KEY: Option<Password> = key("delegation.token.secret.key")
        .refused("delegation tokens", &[]);
    /// Completed waits for record deletion that may pile up before they are removed.
    DELETE_RECORDS_PURGATORY_PURGE_INTERVAL_REQUESTS: i32 = key("delete.records.purgatory.purge.interval.requests")
        .default("1")
        .no_meaning(SWEEPS);
    /// Whether topics may be deleted.
    DELETE_TOPIC_ENABLE: bool = key("delete.topic.enable").default("true").high();
    /// Most bytes in the answer to one fetch.
    FETCH_MAX_BYTES: i32 = key("fetch.max.bytes").default("57671680").at_least(1024);
    /// Completed fetch waits that may pile up before they are removed.
    FETCH_PURGATORY_PURGE_INTERVAL_REQUESTS: i32 = key("fetch.purgatory.purge.interval.requests")
        .default("1000")
        .no_meaning(SWEEPS);
    /// Milliseconds that a starting broker waits until the controller has registered it.
    INITIAL_BROKER_REGISTRATION_TIMEOUT_MS: i32 = key("initial.broker.registration.timeout.ms")
        .default("60000");
    /// Seconds between two rounds of the Yammer metric reporters.
    KAFKA_METRICS_POLLING_INTERVAL_SECS: i32 = key("kafka.metrics.polling.interval.secs")
        .default("10").at_least(1).low().no_meaning(REPORTERS);
    /// Java classes that read Yammer metrics.
    KAFKA_METRICS_REPORTERS: List = key("kafka.metrics.reporters")
        .default("").low().no_meaning(REPORTERS);
    /// Most fetch sessions at a time.
    MAX_INCREMENTAL_FETCH_SESSION_CACHE_SLOTS: i32 = key("max.incremental.fetch.session.cache.slots")
        .default("1000").at_least(0);
    /// Most partitions that one DescribeTopicPartitions request is answered with.
    MAX_REQUEST_PARTITION_SIZE_LIMIT: i32 = key("max.request.partition.size.limit")
        .default("2000").at_least(1);
    /// Java classes that receive metrics; here `/metrics` and client telemetry do.
    METRIC_REPORTERS: List = key("metric.reporters")
        .default("org.apache.kafka.common.metrics.JmxReporter").low().cluster_wide()
        .no_meaning(REPORTERS);
    /// Samples over which rates are computed.
    METRICS_NUM_SAMPLES: i32 = key("metrics.num.samples").default("2").at_least(1).low()
        .no_meaning(WINDOWS);
    /// Finest level of the sensors that are kept.
    METRICS_RECORDING_LEVEL: Text = key("metrics.recording.level").default("INFO").low()
        .no_meaning(WINDOWS);
    /// Milliseconds that one sample of a rate spans.
    METRICS_SAMPLE_WINDOW_MS: i64 = key("metrics.sample.window.ms")
        .default("30000").at_least(1).low()
        .no_meaning(WINDOWS);
    /// Number of this node in the cluster.
    NODE_ID: i32 = key("node.id").at_least(0).high();
    /// Partitions of a topic that is created without a number of them.
    NUM_PARTITIONS: i32 = key("num.partitions").default("1").at_least(1);
    /// Java class that names the user behind a connection.
    PRINCIPAL_BUILDER_CLASS: Class = key("principal.builder.class")

        .default("org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder")
        .per_broker().refused("Java principal builders", &[]);
    /// What this process is: `broker`, `controller` or both.
    PROCESS_ROLES: List = key("process.roles").one_of(&["broker", "controller"]).high();
    /// Completed produce waits that may pile up before they are removed.
    PRODUCER_PURGATORY_PURGE_INTERVAL_REQUESTS: i32 = key("producer.purgatory.purge.interval.requests")
        .default("1000")
        .no_meaning(SWEEPS);
    /// Samples kept for client quotas.
    QUOTA_WINDOW_NUM: i32 = key("quota.window.num")
        .default("11").at_least(1).low();
    /// Seconds that one sample of a client quota spans.
    QUOTA_WINDOW_SIZE_SECONDS: i32 = key("quota.window.size.seconds")
        .default("1").at_least(1).low();
    /// Milliseconds that a request of this broker waits for its answer.
    REQUEST_TIMEOUT_MS: i32 = key("request.timeout.ms").default("30000").high()
        .no_meaning(ONE_BROKER);
    /// Milliseconds that a start may take.
    SERVER_MAX_STARTUP_TIME_MS: i64 = key("server.max.startup.time.ms")
        .default("9223372036854775807").at_least(0).internal();
    /// Largest push of client telemetry, in bytes.
    TELEMETRY_MAX_BYTES: i32 = key("telemetry.max.bytes").default("1048576").at_least(1).low();
    /// Whether API versions under development are offered.
    UNSTABLE_API_VERSIONS_ENABLE: bool = key("unstable.api.versions.enable")
        .default("false").high().internal().refused("unstable API versions", &[]);
    /// Whether feature versions under development are offered.
    UNSTABLE_FEATURE_VERSIONS_ENABLE: bool = key("unstable.feature.versions.enable")
        .default("false").high().internal().refused("unstable feature versions", &[]);
}
