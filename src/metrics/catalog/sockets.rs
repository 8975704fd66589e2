//! Connections: per network processor, listener and client software.

use super::rows;
use crate::row::{AttributeRow, BeanRow, Origin, Shape, Stat};
use crate::value::ValueType;

rows! {
    SOCKET_SERVER_METRICS_BY_LISTENER_NETWORK_PROCESSOR = Shape::Attributes(SOCKET_SERVER_METRICS_BY_LISTENER_NETWORK_PROCESSOR_ATTRIBUTES), "kafka.server:type=socket-server-metrics,listener={listener},networkProcessor={networkProcessor}", "mixed: *-rate per s; *-total cumulative; *-ns-* nanoseconds; *-ratio 0..1; size bytes; reauthentication-latency ms", "Selector statistics of one network processor thread.", "Selector";
    SOCKET_SERVER_METRICS = Shape::Attributes(SOCKET_SERVER_METRICS_ATTRIBUTES), "kafka.server:type=socket-server-metrics", "per s; % ; ns", "Broker-wide connection accept rate and memory-pool depletion.", "SocketServer";
    SOCKET_SERVER_METRICS_BY_LISTENER = Shape::Attributes(SOCKET_SERVER_METRICS_BY_LISTENER_ATTRIBUTES), "kafka.server:type=socket-server-metrics,listener={listener}", "per s; ms", "Connection accept rate and throttle time of one listener.", "SocketServer";
    SOCKET_SERVER_METRICS_BY_CLIENT_SOFTWARE_NAME_CLIENT_SOFTWARE_VERSION_LISTENER_NETWORK_PROCESSOR = Shape::Attributes(SOCKET_SERVER_METRICS_BY_CLIENT_SOFTWARE_NAME_CLIENT_SOFTWARE_VERSION_LISTENER_NETWORK_PROCESSOR_ATTRIBUTES), "kafka.server:type=socket-server-metrics,clientSoftwareName={clientSoftwareName},clientSoftwareVersion={clientSoftwareVersion},listener={listener},networkProcessor={networkProcessor}", "connections", "Open connections by client library and version.", "Selector";
    SOCKET_SERVER_METRICS_BY_CIPHER_PROTOCOL_LISTENER_NETWORK_PROCESSOR = Shape::Attributes(SOCKET_SERVER_METRICS_BY_CLIENT_SOFTWARE_NAME_CLIENT_SOFTWARE_VERSION_LISTENER_NETWORK_PROCESSOR_ATTRIBUTES), "kafka.server:type=socket-server-metrics,cipher={cipher},protocol={protocol},listener={listener},networkProcessor={networkProcessor}", "connections", "Open TLS connections by cipher and protocol.", "Selector";
    REPLICA_FETCHER_METRICS = Shape::Attributes(CHANNEL), "kafka.server:type=replica-fetcher-metrics,broker-id={broker-id},fetcher-id={fetcher-id}", "mixed: *-rate per s; *-total cumulative; *-ns-* nanoseconds; *-ratio 0..1; size bytes; reauthentication-latency ms", "Network statistics of one replica fetcher connection.", "Selector";
    RAFT_CHANNEL_METRICS = Shape::Attributes(CHANNEL), "kafka.server:type=raft-channel-metrics", "mixed: *-rate per s; *-total cumulative; *-ns-* nanoseconds; *-ratio 0..1; size bytes; reauthentication-latency ms", "Network statistics of the KRaft client.", "Selector";
    TXN_MARKER_CHANNEL_METRICS = Shape::Attributes(CHANNEL), "kafka.server:type=txn-marker-channel-metrics", "mixed: *-rate per s; *-total cumulative; *-ns-* nanoseconds; *-ratio 0..1; size bytes; reauthentication-latency ms", "Network statistics of the transaction-marker sender.", "Selector";
}

/// What every selector of a network client shows.
pub(super) const CHANNEL: &[AttributeRow] = &[
    AttributeRow {
        name: "connection-creation-total",
        from: Origin::Sensor("connection-created", Stat::Total),
        meaning: "connections opened since start",
    },
    AttributeRow {
        name: "response-rate",
        from: Origin::Sensor("bytes-received", Stat::CountRate),
        meaning: "messages read per second",
    },
    AttributeRow {
        name: "select-rate",
        from: Origin::Sensor("select", Stat::CountRate),
        meaning: "polls for ready connections per second",
    },
    AttributeRow {
        name: "connection-close-total",
        from: Origin::Sensor("connection-closed", Stat::Total),
        meaning: "connections closed since start",
    },
    AttributeRow {
        name: "network-io-rate",
        from: Origin::Sensor("network-io", Stat::Rate),
        meaning: "reads and writes on all connections per second",
    },
    AttributeRow {
        name: "io-ratio",
        from: Origin::Sensor("io", Stat::Ratio),
        meaning: "share of time spent on input and output, 0 to 1",
    },
    AttributeRow {
        name: "io-time-ns-total",
        from: Origin::Sensor("io", Stat::Total),
        meaning: "time spent on input and output, in nanoseconds",
    },
    AttributeRow {
        name: "request-total",
        from: Origin::Sensor("bytes-sent", Stat::Count),
        meaning: "messages written since start",
    },
    AttributeRow {
        name: "successful-reauthentication-rate",
        from: Origin::Sensor("successful-reauthentication", Stat::Rate),
        meaning: "connections that authenticated again per second",
    },
    AttributeRow {
        name: "io-wait-ratio",
        from: Origin::Sensor("select", Stat::Ratio),
        meaning: "share of time spent waiting for ready connections, 0 to 1",
    },
    AttributeRow {
        name: "outgoing-byte-rate",
        from: Origin::Sensor("bytes-sent", Stat::Rate),
        meaning: "bytes written per second",
    },
    AttributeRow {
        name: "successful-authentication-rate",
        from: Origin::Sensor("successful-authentication", Stat::Rate),
        meaning: "connections that authenticated per second",
    },
    AttributeRow {
        name: "request-size-max",
        from: Origin::Sensor("bytes-sent", Stat::Max),
        meaning: "largest written message, in bytes",
    },
    AttributeRow {
        name: "failed-authentication-rate",
        from: Origin::Sensor("failed-authentication", Stat::Rate),
        meaning: "connections that failed to authenticate per second",
    },
    AttributeRow {
        name: "network-io-total",
        from: Origin::Sensor("network-io", Stat::Total),
        meaning: "reads and writes on all connections since start",
    },
    AttributeRow {
        name: "incoming-byte-total",
        from: Origin::Sensor("bytes-received", Stat::Total),
        meaning: "bytes read since start",
    },
    AttributeRow {
        name: "failed-reauthentication-rate",
        from: Origin::Sensor("failed-reauthentication", Stat::Rate),
        meaning: "connections that failed to authenticate again per second",
    },
    AttributeRow {
        name: "response-total",
        from: Origin::Sensor("bytes-received", Stat::Count),
        meaning: "messages read since start",
    },
    AttributeRow {
        name: "incoming-byte-rate",
        from: Origin::Sensor("bytes-received", Stat::Rate),
        meaning: "bytes read per second",
    },
    AttributeRow {
        name: "io-wait-time-ns-total",
        from: Origin::Sensor("select", Stat::Total),
        meaning: "time spent waiting for ready connections, in nanoseconds",
    },
    AttributeRow {
        name: "connection-close-rate",
        from: Origin::Sensor("connection-closed", Stat::Rate),
        meaning: "connections closed per second",
    },
    AttributeRow {
        name: "request-size-avg",
        from: Origin::Sensor("bytes-sent", Stat::Avg),
        meaning: "mean size of a written message, in bytes",
    },
    AttributeRow {
        name: "connection-creation-rate",
        from: Origin::Sensor("connection-created", Stat::Rate),
        meaning: "connections opened per second",
    },
    AttributeRow {
        name: "successful-authentication-total",
        from: Origin::Sensor("successful-authentication", Stat::Total),
        meaning: "connections that authenticated since start",
    },
    AttributeRow {
        name: "successful-authentication-no-reauth-total",
        from: Origin::Sensor("successful-authentication-no-reauth", Stat::Total),
        meaning: "authenticated connections whose client cannot authenticate again",
    },
    AttributeRow {
        name: "connection-count",
        from: Origin::Gauge(ValueType::Double),
        meaning: "connections open now",
    },
    AttributeRow {
        name: "io-wait-time-ns-avg",
        from: Origin::Sensor("select", Stat::Avg),
        meaning: "mean wait for a ready connection, in nanoseconds",
    },
    AttributeRow {
        name: "reauthentication-latency-max",
        from: Origin::Sensor("reauthentication-latency", Stat::Max),
        meaning: "longest time of authenticating again, in milliseconds",
    },
    AttributeRow {
        name: "failed-authentication-total",
        from: Origin::Sensor("failed-authentication", Stat::Total),
        meaning: "connections that failed to authenticate since start",
    },
    AttributeRow {
        name: "failed-reauthentication-total",
        from: Origin::Sensor("failed-reauthentication", Stat::Total),
        meaning: "connections that failed to authenticate again since start",
    },
    AttributeRow {
        name: "io-time-ns-avg",
        from: Origin::Sensor("io", Stat::Avg),
        meaning: "mean time of input and output per poll, in nanoseconds",
    },
    AttributeRow {
        name: "request-rate",
        from: Origin::Sensor("bytes-sent", Stat::CountRate),
        meaning: "messages written per second",
    },
    AttributeRow {
        name: "select-total",
        from: Origin::Sensor("select", Stat::Count),
        meaning: "polls for ready connections since start",
    },
    AttributeRow {
        name: "successful-reauthentication-total",
        from: Origin::Sensor("successful-reauthentication", Stat::Total),
        meaning: "connections that authenticated again since start",
    },
    AttributeRow {
        name: "reauthentication-latency-avg",
        from: Origin::Sensor("reauthentication-latency", Stat::Avg),
        meaning: "mean time of authenticating again, in milliseconds",
    },
    AttributeRow {
        name: "outgoing-byte-total",
        from: Origin::Sensor("bytes-sent", Stat::Total),
        meaning: "bytes written since start",
    },
];

const SOCKET_SERVER_METRICS_BY_LISTENER_NETWORK_PROCESSOR_ATTRIBUTES: &[AttributeRow] = &[
    AttributeRow {
        name: "connection-creation-total",
        from: Origin::Sensor("connection-created", Stat::Total),
        meaning: "connections opened since start",
    },
    AttributeRow {
        name: "response-rate",
        from: Origin::Sensor("bytes-received", Stat::CountRate),
        meaning: "messages read per second",
    },
    AttributeRow {
        name: "select-rate",
        from: Origin::Sensor("select", Stat::CountRate),
        meaning: "polls for ready connections per second",
    },
    AttributeRow {
        name: "network-io-rate",
        from: Origin::Sensor("network-io", Stat::Rate),
        meaning: "reads and writes on all connections per second",
    },
    AttributeRow {
        name: "connection-close-total",
        from: Origin::Sensor("connection-closed", Stat::Total),
        meaning: "connections closed since start",
    },
    AttributeRow {
        name: "io-ratio",
        from: Origin::Sensor("io", Stat::Ratio),
        meaning: "share of time spent on input and output, 0 to 1",
    },
    AttributeRow {
        name: "io-time-ns-total",
        from: Origin::Sensor("io", Stat::Total),
        meaning: "time spent on input and output, in nanoseconds",
    },
    AttributeRow {
        name: "request-total",
        from: Origin::Sensor("bytes-sent", Stat::Count),
        meaning: "messages written since start",
    },
    AttributeRow {
        name: "successful-reauthentication-rate",
        from: Origin::Sensor("successful-reauthentication", Stat::Rate),
        meaning: "connections that authenticated again per second",
    },
    AttributeRow {
        name: "io-wait-ratio",
        from: Origin::Sensor("select", Stat::Ratio),
        meaning: "share of time spent waiting for ready connections, 0 to 1",
    },
    AttributeRow {
        name: "outgoing-byte-rate",
        from: Origin::Sensor("bytes-sent", Stat::Rate),
        meaning: "bytes written per second",
    },
    AttributeRow {
        name: "request-size-max",
        from: Origin::Sensor("bytes-sent", Stat::Max),
        meaning: "largest written message, in bytes",
    },
    AttributeRow {
        name: "successful-authentication-rate",
        from: Origin::Sensor("successful-authentication", Stat::Rate),
        meaning: "connections that authenticated per second",
    },
    AttributeRow {
        name: "failed-authentication-rate",
        from: Origin::Sensor("failed-authentication", Stat::Rate),
        meaning: "connections that failed to authenticate per second",
    },
    AttributeRow {
        name: "network-io-total",
        from: Origin::Sensor("network-io", Stat::Total),
        meaning: "reads and writes on all connections since start",
    },
    AttributeRow {
        name: "incoming-byte-total",
        from: Origin::Sensor("bytes-received", Stat::Total),
        meaning: "bytes read since start",
    },
    AttributeRow {
        name: "response-total",
        from: Origin::Sensor("bytes-received", Stat::Count),
        meaning: "messages read since start",
    },
    AttributeRow {
        name: "failed-reauthentication-rate",
        from: Origin::Sensor("failed-reauthentication", Stat::Rate),
        meaning: "connections that failed to authenticate again per second",
    },
    AttributeRow {
        name: "incoming-byte-rate",
        from: Origin::Sensor("bytes-received", Stat::Rate),
        meaning: "bytes read per second",
    },
    AttributeRow {
        name: "expired-connections-killed-count",
        from: Origin::Sensor("expired-connections-killed", Stat::Total),
        meaning: "connections closed because they did not authenticate again in time",
    },
    AttributeRow {
        name: "io-wait-time-ns-total",
        from: Origin::Sensor("select", Stat::Total),
        meaning: "time spent waiting for ready connections, in nanoseconds",
    },
    AttributeRow {
        name: "connection-close-rate",
        from: Origin::Sensor("connection-closed", Stat::Rate),
        meaning: "connections closed per second",
    },
    AttributeRow {
        name: "request-size-avg",
        from: Origin::Sensor("bytes-sent", Stat::Avg),
        meaning: "mean size of a written message, in bytes",
    },
    AttributeRow {
        name: "connection-creation-rate",
        from: Origin::Sensor("connection-created", Stat::Rate),
        meaning: "connections opened per second",
    },
    AttributeRow {
        name: "successful-authentication-total",
        from: Origin::Sensor("successful-authentication", Stat::Total),
        meaning: "connections that authenticated since start",
    },
    AttributeRow {
        name: "connection-count",
        from: Origin::Gauge(ValueType::Double),
        meaning: "connections open now",
    },
    AttributeRow {
        name: "successful-authentication-no-reauth-total",
        from: Origin::Sensor("successful-authentication-no-reauth", Stat::Total),
        meaning: "authenticated connections whose client cannot authenticate again",
    },
    AttributeRow {
        name: "io-wait-time-ns-avg",
        from: Origin::Sensor("select", Stat::Avg),
        meaning: "mean wait for a ready connection, in nanoseconds",
    },
    AttributeRow {
        name: "reauthentication-latency-max",
        from: Origin::Sensor("reauthentication-latency", Stat::Max),
        meaning: "longest time of authenticating again, in milliseconds",
    },
    AttributeRow {
        name: "failed-authentication-total",
        from: Origin::Sensor("failed-authentication", Stat::Total),
        meaning: "connections that failed to authenticate since start",
    },
    AttributeRow {
        name: "io-time-ns-avg",
        from: Origin::Sensor("io", Stat::Avg),
        meaning: "mean time of input and output per poll, in nanoseconds",
    },
    AttributeRow {
        name: "failed-reauthentication-total",
        from: Origin::Sensor("failed-reauthentication", Stat::Total),
        meaning: "connections that failed to authenticate again since start",
    },
    AttributeRow {
        name: "request-rate",
        from: Origin::Sensor("bytes-sent", Stat::CountRate),
        meaning: "messages written per second",
    },
    AttributeRow {
        name: "select-total",
        from: Origin::Sensor("select", Stat::Count),
        meaning: "polls for ready connections since start",
    },
    AttributeRow {
        name: "successful-reauthentication-total",
        from: Origin::Sensor("successful-reauthentication", Stat::Total),
        meaning: "connections that authenticated again since start",
    },
    AttributeRow {
        name: "reauthentication-latency-avg",
        from: Origin::Sensor("reauthentication-latency", Stat::Avg),
        meaning: "mean time of authenticating again, in milliseconds",
    },
    AttributeRow {
        name: "outgoing-byte-total",
        from: Origin::Sensor("bytes-sent", Stat::Total),
        meaning: "bytes written since start",
    },
];

const SOCKET_SERVER_METRICS_ATTRIBUTES: &[AttributeRow] = &[
    AttributeRow {
        name: "MemoryPoolDepletedTimeTotal",
        from: Origin::Sensor("memory-pool-depleted", Stat::Total),
        meaning: "time without free request memory, in nanoseconds",
    },
    AttributeRow {
        name: "MemoryPoolAvgDepletedPercent",
        from: Origin::Sensor("memory-pool-depleted", Stat::Ratio),
        meaning: "share of time without free request memory, 0 to 1",
    },
    AttributeRow {
        name: "broker-connection-accept-rate",
        from: Origin::Sensor("broker-accept", Stat::Rate),
        meaning: "connections accepted per second, all listeners",
    },
];

const SOCKET_SERVER_METRICS_BY_LISTENER_ATTRIBUTES: &[AttributeRow] = &[
    AttributeRow {
        name: "ip-connection-accept-throttle-time",
        from: Origin::Sensor("ip-accept-throttle", Stat::Avg),
        meaning: "mean delay of accepting under a limit per address, in milliseconds",
    },
    AttributeRow {
        name: "connection-accept-throttle-time",
        from: Origin::Sensor("accept-throttle", Stat::Avg),
        meaning: "mean delay of accepting under the listener's connection rate limit, in milliseconds",
    },
    AttributeRow {
        name: "connection-accept-rate",
        from: Origin::Sensor("accept", Stat::Rate),
        meaning: "connections accepted per second on this listener",
    },
];

const SOCKET_SERVER_METRICS_BY_CLIENT_SOFTWARE_NAME_CLIENT_SOFTWARE_VERSION_LISTENER_NETWORK_PROCESSOR_ATTRIBUTES: &[AttributeRow] = &[
    AttributeRow { name: "connections", from: Origin::Gauge(ValueType::Int), meaning: "connections open now" },
];
