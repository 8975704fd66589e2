//! Rows of listeners, connections and requests.

use super::reasons::{JVM, ONE_BROKER, QUEUES, SASL, START, THREADS};
use crate::row::broker_rows;
use crate::value::{List, Text};

broker_rows! {
    /// Addresses handed to clients, as NAME://host:port; empty means those of `listeners`.
    ADVERTISED_LISTENERS: Option<List> = key("advertised.listeners").high();
    /// Milliseconds that a failed login waits before its connection closes.
    CONNECTION_FAILED_AUTHENTICATION_DELAY_MS: i32 = key("connection.failed.authentication.delay.ms")
        .default("100").at_least(0).low().no_meaning(SASL);
    /// Milliseconds after which an idle connection is closed; negative means never.
    CONNECTIONS_MAX_IDLE_MS: i64 = key("connections.max.idle.ms").default("600000");
    /// Longest session of a SASL login before it must be renewed; 0 means no limit.
    CONNECTIONS_MAX_REAUTH_MS: i64 = key("connections.max.reauth.ms").default("0").no_meaning(SASL);
    /// Listeners that open before the authorizer is ready.
    EARLY_START_LISTENERS: Option<List> = key("early.start.listeners").high().no_meaning(START);
    /// Name of the listener that brokers use among themselves.
    INTER_BROKER_LISTENER_NAME: Option<Text> = key("inter.broker.listener.name");
    /// Security protocol of each listener, as NAME:PROTOCOL.
    LISTENER_SECURITY_PROTOCOL_MAP: Text = key("listener.security.protocol.map")

        .default("SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT")
        .low().per_broker();
    /// Addresses to bind, as NAME://host:port; an empty host binds every address, port 0 a free port.
    LISTENERS: List = key("listeners").default("PLAINTEXT://:9092").high().per_broker();
    /// Most new connections in a second.
    MAX_CONNECTION_CREATION_RATE: i32 = key("max.connection.creation.rate")
        .default("2147483647").at_least(0).cluster_wide();
    /// Most connections at a time.
    MAX_CONNECTIONS: i32 = key("max.connections").default("2147483647").at_least(0).cluster_wide();
    /// Most connections at a time from one address.
    MAX_CONNECTIONS_PER_IP: i32 = key("max.connections.per.ip")
        .default("2147483647").at_least(0).cluster_wide();
    /// Other limits for some addresses, as host:limit.
    MAX_CONNECTIONS_PER_IP_OVERRIDES: Text = key("max.connections.per.ip.overrides")
        .default("").cluster_wide();
    /// Threads that handle requests.
    NUM_IO_THREADS: i32 = key("num.io.threads")
        .default("8").at_least(1).high().cluster_wide().no_meaning(THREADS);
    /// Threads that serve connections.
    NUM_NETWORK_THREADS: i32 = key("num.network.threads")
        .default("3").at_least(1).high().cluster_wide().no_meaning(THREADS);
    /// Bytes of requests in memory beyond which nothing more is read; -1 means the built-in limit.
    QUEUED_MAX_REQUEST_BYTES: i64 = key("queued.max.request.bytes").default("-1");
    /// Requests in memory beyond which nothing more is read.
    QUEUED_MAX_REQUESTS: i32 = key("queued.max.requests").default("500").at_least(1).high()
        .no_meaning(QUEUES);
    /// Security protocol between brokers, unless a listener name is given.
    SECURITY_INTER_BROKER_PROTOCOL: Text = key("security.inter.broker.protocol")
        .default("PLAINTEXT").one_of(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"])
        .refused("TLS and SASL", &[]);
    /// Java security providers.
    SECURITY_PROVIDERS: Option<Text> = key("security.providers").low().no_meaning(JVM);
    /// Longest time to open a connection to another node.
    SOCKET_CONNECTION_SETUP_TIMEOUT_MAX_MS: i64 = key("socket.connection.setup.timeout.max.ms")
        .default("30000")
        .no_meaning(ONE_BROKER);
    /// Milliseconds to open a connection to another node, at first.
    SOCKET_CONNECTION_SETUP_TIMEOUT_MS: i64 = key("socket.connection.setup.timeout.ms")
        .default("10000")
        .no_meaning(ONE_BROKER);
    /// Connections that may wait to be accepted.
    SOCKET_LISTEN_BACKLOG_SIZE: i32 = key("socket.listen.backlog.size").default("50").at_least(1);
    /// Socket receive buffer; -1 leaves the system's default.
    SOCKET_RECEIVE_BUFFER_BYTES: i32 = key("socket.receive.buffer.bytes").default("102400").high();
    /// Largest request, in bytes.
    SOCKET_REQUEST_MAX_BYTES: i32 = key("socket.request.max.bytes")
        .default("104857600").at_least(1).high();
    /// Socket send buffer; -1 leaves the system's default.
    SOCKET_SEND_BUFFER_BYTES: i32 = key("socket.send.buffer.bytes").default("102400").high();
}
