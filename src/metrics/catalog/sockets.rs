//! Connections: per network processor, listener and client software.

use super::rows;
use crate::row::{AttributeRow, BeanRow, Origin, Shape, Stat};
use crate::value::ValueType;

rows! {
    SOCKET_SERVER_METRICS_BY_LISTENER_NETWORK_PROCESSOR = Shape::Attributes(SOCKET_SERVER_METRICS_BY_LISTENER_NETWORK_PROCESSOR_ATTRIBUTES), "kafka.server:type=socket-server-metrics,listener={listener},networkProcessor={networkProcessor}", "mixed: *-rate per s; *-total cumulative; *-ns-* nanoseconds; *-ratio 0..1; size bytes; reauthentication-latency ms", "Selector statistics of one network processor thread.", "Selector";
    SOCKET_SERVER_METRICS = Shape::Attributes(SOCKET_SERVER_METRICS_ATTRIBUTES), "kafka.server:type=socket-server-metrics", "per s; % ; ns", "Broker-wide connection accept rate and memory-pool depletion.", "SocketServer";
    SOCKET_SERVER_METRICS_BY_LISTENER = Shape::Attributes(SOCKET_SERVER_METRICS_BY_LISTENER_ATTRIBUTES), "kafka.server:type=socket-server-metrics,listener={listener}", "per s; ms", "Connection accept rate and throttle time of one listener.", "SocketServer";
    SOCKET_SERVER_METRICS_BY_IP = Shape::Attributes(SOCKET_SERVER_METRICS_BY_IP_ATTRIBUTES), "kafka.server:type=socket-server-metrics,ip={ip}", "per s", "Connection accept rate of one client IP; created only when IP connection quotas apply and dropped after an hour idle.", "SocketServer";
    SOCKET_SERVER_METRICS_BY_CLIENT_SOFTWARE_NAME_CLIENT_SOFTWARE_VERSION_LISTENER_NETWORK_PROCESSOR = Shape::Attributes(SOCKET_SERVER_METRICS_BY_CLIENT_SOFTWARE_NAME_CLIENT_SOFTWARE_VERSION_LISTENER_NETWORK_PROCESSOR_ATTRIBUTES), "kafka.server:type=socket-server-metrics,clientSoftwareName={clientSoftwareName},clientSoftwareVersion={clientSoftwareVersion},listener={listener},networkProcessor={networkProcessor}", "connections", "Open connections by client library and version.", "Selector";
    SOCKET_SERVER_METRICS_BY_CIPHER_PROTOCOL_LISTENER_NETWORK_PROCESSOR = Shape::Attributes(SOCKET_SERVER_METRICS_BY_CLIENT_SOFTWARE_NAME_CLIENT_SOFTWARE_VERSION_LISTENER_NETWORK_PROCESSOR_ATTRIBUTES), "kafka.server:type=socket-server-metrics,cipher={cipher},protocol={protocol},listener={listener},networkProcessor={networkProcessor}", "connections", "Open TLS connections by cipher and protocol.", "Selector";
    REPLICA_FETCHER_METRICS = Shape::Attributes(CHANNEL), "kafka.server:type=replica-fetcher-metrics,broker-id={broker-id},fetcher-id={fetcher-id}", "mixed: *-rate per s; *-total cumulative; *-ns-* nanoseconds; *-ratio 0..1; size bytes; reauthentication-latency ms", "Network statistics of one replica fetcher connection.", "Selector";
    RAFT_CHANNEL_METRICS = Shape::Attributes(CHANNEL), "kafka.server:type=raft-channel-metrics", "mixed: *-rate per s; *-total cumulative; *-ns-* nanoseconds; *-ratio 0..1; size bytes; reauthentication-latency ms", "Network statistics of the KRaft client.", "Selector";
    TXN_MARKER_CHANNEL_METRICS = Shape::Attributes(CHANNEL), "kafka.server:type=txn-marker-channel-metrics", "mixed: *-rate per s; *-total cumulative; *-ns-* nanoseconds; *-ratio 0..1; size bytes; reauthentication-latency ms", "Network statistics of the transaction-marker sender.", "Selector";
}

const fn row(name: &'static str, from: Origin, meaning: &'static str) -> AttributeRow {
    AttributeRow { name, from, meaning }
}

const MEMORYPOOLAVGDEPLETEDPERCENT: AttributeRow = row(
    "MemoryPoolAvgDepletedPercent",
    Origin::Sensor("memory-pool-depleted-ns", Stat::Ratio),
    "share of time without free request memory, 0 to 1",
);
const MEMORYPOOLDEPLETEDTIMETOTAL: AttributeRow = row(
    "MemoryPoolDepletedTimeTotal",
    Origin::Sensor("memory-pool-depleted", Stat::Total),
    "time without free request memory, in milliseconds",
);
const BROKER_CONNECTION_ACCEPT_RATE: AttributeRow = row(
    "broker-connection-accept-rate",
    Origin::Sensor("broker-accept", Stat::Rate),
    "connections accepted per second, all listeners",
);
const CONNECTION_ACCEPT_RATE: AttributeRow = row(
    "connection-accept-rate",
    Origin::Sensor("accept", Stat::Rate),
    "connections accepted per second on this listener",
);
const CONNECTION_ACCEPT_THROTTLE_TIME: AttributeRow = row(
    "connection-accept-throttle-time",
    Origin::Sensor("accept-throttle", Stat::Avg),
    "mean delay of accepting under the listener's connection rate limit, in milliseconds",
);
const CONNECTION_CLOSE_RATE: AttributeRow = row(
    "connection-close-rate",
    Origin::Sensor("connection-closed", Stat::Rate),
    "connections closed per second",
);
const CONNECTION_CLOSE_TOTAL: AttributeRow = row(
    "connection-close-total",
    Origin::Sensor("connection-closed", Stat::Total),
    "connections closed since start",
);
const CONNECTION_COUNT: AttributeRow =
    row("connection-count", Origin::Gauge(ValueType::Double), "connections open now");
const CONNECTION_CREATION_RATE: AttributeRow = row(
    "connection-creation-rate",
    Origin::Sensor("connection-created", Stat::Rate),
    "connections opened per second",
);
const CONNECTION_CREATION_TOTAL: AttributeRow = row(
    "connection-creation-total",
    Origin::Sensor("connection-created", Stat::Total),
    "connections opened since start",
);
const EXPIRED_CONNECTIONS_KILLED_COUNT: AttributeRow = row(
    "expired-connections-killed-count",
    Origin::Sensor("expired-connections-killed", Stat::Total),
    "connections closed because they did not authenticate again in time",
);
const FAILED_AUTHENTICATION_RATE: AttributeRow = row(
    "failed-authentication-rate",
    Origin::Sensor("failed-authentication", Stat::Rate),
    "connections that failed to authenticate per second",
);
const FAILED_AUTHENTICATION_TOTAL: AttributeRow = row(
    "failed-authentication-total",
    Origin::Sensor("failed-authentication", Stat::Total),
    "connections that failed to authenticate since start",
);
const FAILED_REAUTHENTICATION_RATE: AttributeRow = row(
    "failed-reauthentication-rate",
    Origin::Sensor("failed-reauthentication", Stat::Rate),
    "connections that failed to authenticate again per second",
);
const FAILED_REAUTHENTICATION_TOTAL: AttributeRow = row(
    "failed-reauthentication-total",
    Origin::Sensor("failed-reauthentication", Stat::Total),
    "connections that failed to authenticate again since start",
);
const INCOMING_BYTE_RATE: AttributeRow = row(
    "incoming-byte-rate",
    Origin::Sensor("bytes-received", Stat::Rate),
    "bytes read per second",
);
const INCOMING_BYTE_TOTAL: AttributeRow = row(
    "incoming-byte-total",
    Origin::Sensor("bytes-received", Stat::Total),
    "bytes read since start",
);
const IO_RATIO: AttributeRow = row(
    "io-ratio",
    Origin::Sensor("io", Stat::Ratio),
    "share of time spent on input and output, 0 to 1",
);
const IO_TIME_NS_AVG: AttributeRow = row(
    "io-time-ns-avg",
    Origin::Sensor("io", Stat::Avg),
    "mean time of input and output per poll, in nanoseconds",
);
const IO_TIME_NS_TOTAL: AttributeRow = row(
    "io-time-ns-total",
    Origin::Sensor("io", Stat::Total),
    "time spent on input and output, in nanoseconds",
);
const IO_WAIT_RATIO: AttributeRow = row(
    "io-wait-ratio",
    Origin::Sensor("select", Stat::Ratio),
    "share of time spent waiting for ready connections, 0 to 1",
);
const IO_WAIT_TIME_NS_AVG: AttributeRow = row(
    "io-wait-time-ns-avg",
    Origin::Sensor("select", Stat::Avg),
    "mean wait for a ready connection, in nanoseconds",
);
const IO_WAIT_TIME_NS_TOTAL: AttributeRow = row(
    "io-wait-time-ns-total",
    Origin::Sensor("select", Stat::Total),
    "time spent waiting for ready connections, in nanoseconds",
);
const IP_CONNECTION_ACCEPT_THROTTLE_TIME: AttributeRow = row(
    "ip-connection-accept-throttle-time",
    Origin::Sensor("ip-accept-throttle", Stat::Avg),
    "mean delay of accepting under a limit per address, in milliseconds",
);
const NETWORK_IO_RATE: AttributeRow = row(
    "network-io-rate",
    Origin::Sensor("network-io", Stat::Rate),
    "reads and writes on all connections per second",
);
const NETWORK_IO_TOTAL: AttributeRow = row(
    "network-io-total",
    Origin::Sensor("network-io", Stat::Total),
    "reads and writes on all connections since start",
);
const OUTGOING_BYTE_RATE: AttributeRow =
    row("outgoing-byte-rate", Origin::Sensor("bytes-sent", Stat::Rate), "bytes written per second");
const OUTGOING_BYTE_TOTAL: AttributeRow = row(
    "outgoing-byte-total",
    Origin::Sensor("bytes-sent", Stat::Total),
    "bytes written since start",
);
const REAUTHENTICATION_LATENCY_AVG: AttributeRow = row(
    "reauthentication-latency-avg",
    Origin::Sensor("reauthentication-latency", Stat::Avg),
    "mean time of authenticating again, in milliseconds",
);
const REAUTHENTICATION_LATENCY_MAX: AttributeRow = row(
    "reauthentication-latency-max",
    Origin::Sensor("reauthentication-latency", Stat::Max),
    "longest time of authenticating again, in milliseconds",
);
const REQUEST_RATE: AttributeRow = row(
    "request-rate",
    Origin::Sensor("bytes-sent", Stat::CountRate),
    "messages written per second",
);
const REQUEST_SIZE_AVG: AttributeRow = row(
    "request-size-avg",
    Origin::Sensor("bytes-sent", Stat::Avg),
    "mean size of a written message, in bytes",
);
const REQUEST_SIZE_MAX: AttributeRow = row(
    "request-size-max",
    Origin::Sensor("bytes-sent", Stat::Max),
    "largest written message, in bytes",
);
const REQUEST_TOTAL: AttributeRow =
    row("request-total", Origin::Sensor("bytes-sent", Stat::Count), "messages written since start");
const RESPONSE_RATE: AttributeRow = row(
    "response-rate",
    Origin::Sensor("bytes-received", Stat::CountRate),
    "messages read per second",
);
const RESPONSE_TOTAL: AttributeRow = row(
    "response-total",
    Origin::Sensor("bytes-received", Stat::Count),
    "messages read since start",
);
const SELECT_RATE: AttributeRow = row(
    "select-rate",
    Origin::Sensor("select", Stat::CountRate),
    "polls for ready connections per second",
);
const SELECT_TOTAL: AttributeRow = row(
    "select-total",
    Origin::Sensor("select", Stat::Count),
    "polls for ready connections since start",
);
const SUCCESSFUL_AUTHENTICATION_NO_REAUTH_TOTAL: AttributeRow = row(
    "successful-authentication-no-reauth-total",
    Origin::Sensor("successful-authentication-no-reauth", Stat::Total),
    "authenticated connections whose client cannot authenticate again",
);
const SUCCESSFUL_AUTHENTICATION_RATE: AttributeRow = row(
    "successful-authentication-rate",
    Origin::Sensor("successful-authentication", Stat::Rate),
    "connections that authenticated per second",
);
const SUCCESSFUL_AUTHENTICATION_TOTAL: AttributeRow = row(
    "successful-authentication-total",
    Origin::Sensor("successful-authentication", Stat::Total),
    "connections that authenticated since start",
);
const SUCCESSFUL_REAUTHENTICATION_RATE: AttributeRow = row(
    "successful-reauthentication-rate",
    Origin::Sensor("successful-reauthentication", Stat::Rate),
    "connections that authenticated again per second",
);
const SUCCESSFUL_REAUTHENTICATION_TOTAL: AttributeRow = row(
    "successful-reauthentication-total",
    Origin::Sensor("successful-reauthentication", Stat::Total),
    "connections that authenticated again since start",
);

// The order of attributes is that of Kafka's beans: rules see them in it.

/// What every selector of a network client shows.
pub(super) const CHANNEL: &[AttributeRow] = &[
    CONNECTION_CREATION_TOTAL,
    RESPONSE_RATE,
    SELECT_RATE,
    CONNECTION_CLOSE_TOTAL,
    NETWORK_IO_RATE,
    IO_RATIO,
    IO_TIME_NS_TOTAL,
    REQUEST_TOTAL,
    SUCCESSFUL_REAUTHENTICATION_RATE,
    IO_WAIT_RATIO,
    OUTGOING_BYTE_RATE,
    SUCCESSFUL_AUTHENTICATION_RATE,
    REQUEST_SIZE_MAX,
    FAILED_AUTHENTICATION_RATE,
    NETWORK_IO_TOTAL,
    INCOMING_BYTE_TOTAL,
    FAILED_REAUTHENTICATION_RATE,
    RESPONSE_TOTAL,
    INCOMING_BYTE_RATE,
    IO_WAIT_TIME_NS_TOTAL,
    CONNECTION_CLOSE_RATE,
    REQUEST_SIZE_AVG,
    CONNECTION_CREATION_RATE,
    SUCCESSFUL_AUTHENTICATION_TOTAL,
    SUCCESSFUL_AUTHENTICATION_NO_REAUTH_TOTAL,
    CONNECTION_COUNT,
    IO_WAIT_TIME_NS_AVG,
    REAUTHENTICATION_LATENCY_MAX,
    FAILED_AUTHENTICATION_TOTAL,
    FAILED_REAUTHENTICATION_TOTAL,
    IO_TIME_NS_AVG,
    REQUEST_RATE,
    SELECT_TOTAL,
    SUCCESSFUL_REAUTHENTICATION_TOTAL,
    REAUTHENTICATION_LATENCY_AVG,
    OUTGOING_BYTE_TOTAL,
];

const SOCKET_SERVER_METRICS_BY_LISTENER_NETWORK_PROCESSOR_ATTRIBUTES: &[AttributeRow] = &[
    CONNECTION_CREATION_TOTAL,
    RESPONSE_RATE,
    SELECT_RATE,
    NETWORK_IO_RATE,
    CONNECTION_CLOSE_TOTAL,
    IO_RATIO,
    IO_TIME_NS_TOTAL,
    REQUEST_TOTAL,
    SUCCESSFUL_REAUTHENTICATION_RATE,
    IO_WAIT_RATIO,
    OUTGOING_BYTE_RATE,
    REQUEST_SIZE_MAX,
    SUCCESSFUL_AUTHENTICATION_RATE,
    FAILED_AUTHENTICATION_RATE,
    NETWORK_IO_TOTAL,
    INCOMING_BYTE_TOTAL,
    RESPONSE_TOTAL,
    FAILED_REAUTHENTICATION_RATE,
    INCOMING_BYTE_RATE,
    EXPIRED_CONNECTIONS_KILLED_COUNT,
    IO_WAIT_TIME_NS_TOTAL,
    CONNECTION_CLOSE_RATE,
    REQUEST_SIZE_AVG,
    CONNECTION_CREATION_RATE,
    SUCCESSFUL_AUTHENTICATION_TOTAL,
    CONNECTION_COUNT,
    SUCCESSFUL_AUTHENTICATION_NO_REAUTH_TOTAL,
    IO_WAIT_TIME_NS_AVG,
    REAUTHENTICATION_LATENCY_MAX,
    FAILED_AUTHENTICATION_TOTAL,
    IO_TIME_NS_AVG,
    FAILED_REAUTHENTICATION_TOTAL,
    REQUEST_RATE,
    SELECT_TOTAL,
    SUCCESSFUL_REAUTHENTICATION_TOTAL,
    REAUTHENTICATION_LATENCY_AVG,
    OUTGOING_BYTE_TOTAL,
];

const SOCKET_SERVER_METRICS_ATTRIBUTES: &[AttributeRow] =
    &[MEMORYPOOLDEPLETEDTIMETOTAL, MEMORYPOOLAVGDEPLETEDPERCENT, BROKER_CONNECTION_ACCEPT_RATE];

const SOCKET_SERVER_METRICS_BY_LISTENER_ATTRIBUTES: &[AttributeRow] =
    &[IP_CONNECTION_ACCEPT_THROTTLE_TIME, CONNECTION_ACCEPT_THROTTLE_TIME, CONNECTION_ACCEPT_RATE];

const SOCKET_SERVER_METRICS_BY_IP_ATTRIBUTES: &[AttributeRow] = &[row(
    "connection-accept-rate",
    Origin::Gauge(ValueType::Double),
    "connections accepted per second from this address",
)];

const SOCKET_SERVER_METRICS_BY_CLIENT_SOFTWARE_NAME_CLIENT_SOFTWARE_VERSION_LISTENER_NETWORK_PROCESSOR_ATTRIBUTES: &[AttributeRow] = &[
    AttributeRow { name: "connections", from: Origin::Gauge(ValueType::Int), meaning: "connections open now" },
];
