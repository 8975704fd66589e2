//! Rows of our own keys, unknown to Apache Kafka.

use crate::row::broker_rows;
use crate::value::{List, Password, Text};

broker_rows! {
    /// Names, besides the node's own, that requests may be sent to; .x.org is all names below x.org, * any.
    ADMIN_ALLOWED_HOSTS: List = key("admin.allowed.hosts").default("").non_empty();
    /// Who may read the admin listener: a line NAME=ALGORITHM:... for each user; not given means everybody.
    ADMIN_AUTHENTICATION_USERS: Option<Password> = key("admin.authentication.users").high();
    /// File of such lines, read anew when it changes.
    ADMIN_AUTHENTICATION_USERS_FILE: Option<Text> = key("admin.authentication.users.file").high();
    /// How often the console asks the alert rules; rarer where it would cost half a percent of a core.
    ADMIN_CONSOLE_INTERVAL_MS: i32 = key("admin.console.interval.ms").default("15000").at_least(100);
    /// Most bytes that the console's figures of the past take; with more, charts go first, then lists, then rules.
    ADMIN_CONSOLE_MEMORY_BYTES: i64 = key("admin.console.memory.bytes").default("67108864").at_least(1_048_576);
    /// Whether whoever reaches the admin listener may let rule files be read anew, by POST /-/reload.
    ADMIN_LIFECYCLE_ENABLE: bool = key("admin.lifecycle.enable").default("false");
    /// Addresses of the admin listener, as HTTP://host:port or HTTPS://host:port; empty means none.
    ADMIN_LISTENERS: List = key("admin.listeners").default("HTTP://:9404").high();
    /// TLS cipher suites of the admin listener, the preferred first; empty means all that are safe.
    ADMIN_SSL_CIPHER_SUITES: List = key("admin.ssl.cipher.suites").default("").non_empty();
    /// Whether those who read the admin listener must show a certificate of the trust store.
    ADMIN_SSL_CLIENT_AUTH: Text = key("admin.ssl.client.auth")
        .default("none").one_of(&["required", "requested", "none"]);
    /// TLS versions of the admin listener.
    ADMIN_SSL_ENABLED_PROTOCOLS: List = key("admin.ssl.enabled.protocols")
        .default("TLSv1.2,TLSv1.3").one_of(&["TLSv1.2", "TLSv1.3"]);
    /// Password of an encrypted private key.
    ADMIN_SSL_KEY_PASSWORD: Option<Password> = key("admin.ssl.key.password");
    /// Certificate chain of the admin listener in PEM, instead of a file.
    ADMIN_SSL_KEYSTORE_CERTIFICATE_CHAIN: Option<Password> =
        key("admin.ssl.keystore.certificate.chain");
    /// Private key of the admin listener in PEM, instead of a file.
    ADMIN_SSL_KEYSTORE_KEY: Option<Password> = key("admin.ssl.keystore.key");
    /// File with private key and certificate chain of the admin listener, read anew when it changes.
    ADMIN_SSL_KEYSTORE_LOCATION: Option<Text> = key("admin.ssl.keystore.location").high();
    /// Password of a key store in PKCS12.
    ADMIN_SSL_KEYSTORE_PASSWORD: Option<Password> = key("admin.ssl.keystore.password");
    /// Format of the key store.
    ADMIN_SSL_KEYSTORE_TYPE: Text = key("admin.ssl.keystore.type")
        .default("PEM").one_of(&["PEM", "PKCS12", "JKS"]);
    /// Certificates in PEM of those who sign certificates of readers, instead of a file.
    ADMIN_SSL_TRUSTSTORE_CERTIFICATES: Option<Password> = key("admin.ssl.truststore.certificates");
    /// File with these certificates, read anew when it changes.
    ADMIN_SSL_TRUSTSTORE_LOCATION: Option<Text> = key("admin.ssl.truststore.location");
    /// Password of a trust store in PKCS12.
    ADMIN_SSL_TRUSTSTORE_PASSWORD: Option<Password> = key("admin.ssl.truststore.password");
    /// Format of the trust store.
    ADMIN_SSL_TRUSTSTORE_TYPE: Text = key("admin.ssl.truststore.type")
        .default("PEM").one_of(&["PEM", "PKCS12", "JKS"]);
    /// How log lines are written: `text` for people, `json` for machines.
    LOGGING_FORMAT: Text = key("logging.format").default("text").one_of(&["text", "json"]);
    /// Topics whose hot keys are found and shown, or `*` for all; empty means none.
    METRICS_HOT_KEYS: List = key("metrics.hot.keys").default("").topics().cluster_wide();
    /// Secret by which keys are named in figures; the cluster makes one itself when it is first needed.
    METRICS_HOT_KEYS_SECRET: Option<Password> = key("metrics.hot.keys.secret").low().cluster_wide();
    /// Whether a scraper that asks for protobuf gets histograms in their native form too: docs/formats.md.
    METRICS_NATIVE_HISTOGRAMS: bool = key("metrics.native.histograms").default("false");
    /// Rule files of jmx_exporter: FILE for `/metrics`, name=FILE for `/metrics/name`; `/metrics` shows the one without a name, else the first.
    METRICS_RULES: List = key("metrics.rules").default("").non_empty().high();
    /// Whose names the rules make: those of jmx_exporter 0.x or 1.x.
    METRICS_RULES_EXPORTER: Text = key("metrics.rules.exporter")
        .default("1.x").one_of(&["0.x", "1.x"]);
    /// Spans that leave in one request at most.
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: i32 = key("otel.bsp.max.export.batch.size")
        .default("512").between(1, 10_000).low();
    /// Spans that wait to be exported at most; those beyond are dropped and counted.
    OTEL_BSP_MAX_QUEUE_SIZE: i32 = key("otel.bsp.max.queue.size")
        .default("2048").between(1, 100_000).low();
    /// Milliseconds that a span waits for others to be exported with.
    OTEL_BSP_SCHEDULE_DELAY: i32 = key("otel.bsp.schedule.delay")
        .default("5000").between(1, 3_600_000).low();
    /// Where spans are sent by OTLP over HTTP, as http://host:port; not given means nowhere.
    OTEL_EXPORTER_OTLP_ENDPOINT: Option<Text> = key("otel.exporter.otlp.endpoint");
    /// Milliseconds that the collector has for one request; then its spans are lost.
    OTEL_EXPORTER_OTLP_TIMEOUT: i32 = key("otel.exporter.otlp.timeout")
        .default("10000").between(1, 3_600_000).low();
    /// Name of the service in exported spans.
    OTEL_SERVICE_NAME: Text = key("otel.service.name").default("pharos").low();
    /// Share of requests that are traced, from 0 to 1.
    OTEL_TRACES_SAMPLER_ARG: f64 = key("otel.traces.sampler.arg")
        .default("1.0").within(0.0, 1.0).low();
}
