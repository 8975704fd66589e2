//! The truth of the network's beans: bytes, connections, queues, limits and idle time, over
//! loopback sockets. The clock of the beans stands still, so that rates are exact.

use pharos_base::ClockHand;
use pharos_metrics::catalog::{network, sockets};
use pharos_metrics::truth;
use pharos_metrics::truth::{Claim, Claims, by, to};

use super::*;
use crate::budget::Lease;

const PROCESSOR: &[(&str, &str)] = &[("listener", "PLAINTEXT"), ("networkProcessor", "0")];
const LISTENER: &[(&str, &str)] = &[("listener", "PLAINTEXT")];

async fn open(limits: Limits, quotas: QuotaLimits, budget: usize) -> (Room, ClockHand) {
    let (clock, hand) = Clock::simulated(0);
    let registry = Registry::new(clock);
    let server = SocketServer::new(limits, quotas, Budget::new(budget), &registry);
    let bound = server.bind(ListenerConfig::plaintext("PLAINTEXT", "", 0)).await.unwrap();
    let port = bound.port();
    let script = Arc::new(Script::default());
    server.serve(bound, script.clone(), &Handle::current());
    (Room { registry, server, script, port }, hand)
}

/// Lets the server's tasks run until the claims have come true.
async fn come_true(claims: Claims<'_>) {
    while !claims.are_true() {
        tokio::task::yield_now().await;
    }
    claims.hold();
}

fn of_processor(attribute: &'static str, amount: f64) -> Claim {
    let row = &sockets::SOCKET_SERVER_METRICS_BY_LISTENER_NETWORK_PROCESSOR;
    by(row, PROCESSOR, attribute, amount)
}

fn software(amount: f64) -> Claim {
    let row = &sockets::SOCKET_SERVER_METRICS_BY_CLIENT_SOFTWARE_NAME_CLIENT_SOFTWARE_VERSION_LISTENER_NETWORK_PROCESSOR;
    let tags: &[(&str, &str)] = &[
        ("clientSoftwareName", "pharos"),
        ("clientSoftwareVersion", "1"),
        ("listener", "PLAINTEXT"),
        ("networkProcessor", "0"),
    ];
    by(row, tags, "connections", amount)
}

#[tokio::test]
async fn bytes_and_connections_are_counted() {
    let (room, _hand) = open(Limits::default(), QuotaLimits::default(), usize::MAX).await;
    let truth = truth!(&room.registry);
    // A frame of one byte takes five on the wire, both ways.
    let claims = truth.claims([
        of_processor("connection-creation-total", 1.0),
        of_processor("connection-count", 1.0),
        of_processor("incoming-byte-total", 5.0),
        of_processor("response-total", 1.0),
        of_processor("outgoing-byte-total", 5.0),
        of_processor("request-size-max", 5.0),
        of_processor("request-total", 1.0),
        of_processor("network-io-total", 2.0),
        // Kafka divides by one full window at least.
        to(&sockets::SOCKET_SERVER_METRICS, &[], "broker-connection-accept-rate", 1.0 / 30.0),
        to(
            &sockets::SOCKET_SERVER_METRICS_BY_LISTENER,
            LISTENER,
            "connection-accept-rate",
            1.0 / 30.0,
        ),
    ]);
    let mut client = room.connect().await;
    send(&mut client, b"e").await;
    receive(&mut client).await;
    come_true(claims).await;
    let named = truth.claims([software(1.0)]);
    room.server.connections()[0].set_client_software("pharos", "1");
    come_true(named).await;
    let left = truth.claims([
        of_processor("connection-close-total", 1.0),
        of_processor("connection-count", -1.0),
        software(-1.0),
    ]);
    drop(client);
    come_true(left).await;
}

#[tokio::test]
async fn queues_show_what_waits_in_them() {
    let (room, _hand) = open(Limits::default(), QuotaLimits::default(), usize::MAX).await;
    let truth = truth!(&room.registry);
    let mut client = room.connect().await;
    let own: &[(&str, &str)] = &[("processor", "0")];
    let claims = truth.claims([
        by(&network::REQUEST_CHANNEL_REQUEST_QUEUE_SIZE, &[], "Value", 3.0),
        by(&network::REQUEST_CHANNEL_RESPONSE_QUEUE_SIZE, &[], "Value", 2.0),
        by(&network::REQUEST_CHANNEL_RESPONSE_QUEUE_SIZE_BY_PROCESSOR, own, "Value", 2.0),
    ]);
    // A wait, two replies behind it, and three requests behind one that is being handled.
    client.write_all(&[frame(b"w"), frame(b"e"), frame(b"e")].concat()).await.unwrap();
    client.write_all(&[frame(b"b"), frame(b"s"), frame(b"s"), frame(b"s")].concat()).await.unwrap();
    come_true(claims).await;
}

/// Keeps the runtime from being idle, so that paused time moves only when it is told to.
fn stay_busy() {
    tokio::spawn(async {
        loop {
            tokio::task::yield_now().await;
        }
    });
}

/// As many connections as a rate of one lets in at once.
async fn at_once(room: &Room) -> Vec<TcpStream> {
    let mut first = Vec::new();
    for _ in 0..10 {
        first.push(room.connect().await);
    }
    first
}

#[tokio::test(start_paused = true)]
async fn a_limited_listener_lets_connections_wait_for_a_known_time() {
    stay_busy();
    let quotas = QuotaLimits { creation_rate: Some(1), ..QuotaLimits::default() };
    let (room, _hand) = open(Limits::default(), quotas, usize::MAX).await;
    let truth = truth!(&room.registry);
    let row = &sockets::SOCKET_SERVER_METRICS_BY_LISTENER;
    let throttled = truth.claims([to(row, LISTENER, "connection-accept-throttle-time", 1000.0)]);
    let blocked = &network::ACCEPTOR_ACCEPTOR_BLOCKED_PERCENT;
    let blocked = truth.claims([by(blocked, LISTENER, "Count", 1.001e9)]);
    let _first = at_once(&room).await;
    let mut late = room.connect().await;
    come_true(throttled).await;
    tokio::time::advance(Duration::from_millis(1001)).await;
    send(&mut late, b"e").await;
    receive(&mut late).await;
    come_true(blocked).await;
}

#[tokio::test(start_paused = true)]
async fn a_limited_address_is_held_back_for_a_known_time() {
    stay_busy();
    let addresses = AddressLimits { default: Some(1), ..AddressLimits::default() };
    let quotas = QuotaLimits { addresses, ..QuotaLimits::default() };
    let (room, _hand) = open(Limits::default(), quotas, usize::MAX).await;
    let truth = truth!(&room.registry);
    let row = &sockets::SOCKET_SERVER_METRICS_BY_LISTENER;
    let address = &sockets::SOCKET_SERVER_METRICS_BY_IP;
    let claims = truth.claims([
        to(row, LISTENER, "ip-connection-accept-throttle-time", 1000.0),
        to(address, &[("ip", "127.0.0.1")], "connection-accept-rate", 1.0),
    ]);
    // Ten seconds are assumed to have passed; the eleventh comes a second too early.
    let _first = at_once(&room).await;
    let mut early = room.connect().await;
    come_true(claims).await;
    tokio::time::advance(Duration::from_millis(1001)).await;
    at_end(&mut early).await;
}

#[tokio::test(start_paused = true)]
async fn request_memory_is_counted_and_so_is_its_lack() {
    let registry = Registry::new(Clock::simulated(0).0);
    let truth = truth!(&registry);
    let budget = Budget::new(100_000);
    let _metrics = crate::metrics::ServerMetrics::new(&registry, Some(budget.clone()));
    // A frame that was begun may finish above the limit.
    let taken = truth.claims([
        by(&network::SOCKET_SERVER_MEMORY_POOL_USED, &[], "Value", 150_000.0),
        by(&network::SOCKET_SERVER_MEMORY_POOL_AVAILABLE, &[], "Value", -100_000.0),
    ]);
    let (mut holder, mut waiter) = (Lease::new(budget.clone()), Lease::new(budget.clone()));
    holder.set(150_000);
    taken.hold();
    let row = &sockets::SOCKET_SERVER_METRICS;
    let dry = truth.claims([
        by(row, &[], "MemoryPoolDepletedTimeTotal", 3000.0),
        to(row, &[], "MemoryPoolAvgDepletedPercent", 0.1),
    ]);
    assert!(!waiter.may_grow());
    tokio::time::advance(Duration::from_secs(3)).await;
    assert!(!waiter.may_grow());
    drop(holder);
    dry.hold();
    assert!(waiter.may_grow());
}

#[tokio::test]
async fn idle_time_is_a_share_of_all_time() {
    let registry = Registry::new(Clock::simulated(0).0);
    let truth = truth!(&registry);
    let budget = Budget::new(usize::MAX);
    let server = SocketServer::new(Limits::default(), QuotaLimits::default(), budget, &registry);
    let bound = server.bind(ListenerConfig::plaintext("PLAINTEXT", "", 0)).await.unwrap();
    let own: &[(&str, &str)] = &[("networkProcessor", "0")];
    // Twelve of thirty seconds: the window that Kafka divides by at least.
    let claims = truth.claims([
        of_processor("io-wait-time-ns-total", 12e9),
        of_processor("io-time-ns-total", 3e9),
        by(&network::PROCESSOR_IDLE_PERCENT, own, "Value", 0.4),
        by(&network::SOCKET_SERVER_NETWORK_PROCESSOR_AVG_IDLE_PERCENT, &[], "Value", 0.4 / 3.0),
    ]);
    bound.metrics.processors[0].spent(Duration::from_secs(3), Duration::from_secs(12));
    claims.hold();
}
