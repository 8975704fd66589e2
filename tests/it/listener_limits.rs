//! Limits of single listeners, and what is kept for the listener of the brokers, over the wire and as
//! Kafka has it (`ConnectionQuotas`).

use std::fs;
use std::io::{ErrorKind, Read};

use pharos_protocol::messages::*;

use crate::start_process::{Launch, Server, until};
use crate::start_wire::Wire;

/// A broker with the listener PLAINTEXT, which brokers use, and OTHER.
struct House {
    _home: tempfile::TempDir,
    server: Server,
}

const INVALID_REQUEST: i16 = 42;
const ACCEPTOR: &str = "kafka.network:type=Acceptor,name=AcceptorBlockedPercent,listener=";
const SOCKETS: &str = "kafka.server:type=socket-server-metrics,listener=";

impl House {
    fn new(settings: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let fixed = [
            "listeners=PLAINTEXT://127.0.0.1:0,OTHER://127.0.0.1:0",
            "listener.security.protocol.map=\
             PLAINTEXT:PLAINTEXT,OTHER:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name=PLAINTEXT",
            "node.id=1",
        ];
        let up = Launch::up(home.path());
        let launch = fixed.iter().chain(settings).fold(up, |launch, pair| launch.with(pair));
        Self { server: launch.start(), _home: home }
    }

    /// As many connections to a listener, each of which has asked and is not answered yet.
    fn asking(&self, listener: &str, count: usize) -> Vec<Wire> {
        let connect = || {
            let mut wire = Wire::connect(self.server.port_of(listener)).unwrap();
            wire.send(&ApiVersionsRequest::default(), 0).unwrap();
            wire
        };
        (0..count).map(|_| connect()).collect()
    }

    /// As many more as wait for a place; the broker has taken the first one from the system.
    fn waiting(&self, listener: &str, count: usize) -> Vec<Wire> {
        let mut wires = self.asking(listener, count);
        let port = self.server.port_of(listener);
        until("the first to be taken", || backlog(port) == count - 1);
        assert!(wires.iter_mut().all(|wire| state(wire) == "open"));
        wires
    }

    /// As many connections to a listener, all of which are served.
    fn served(&self, listener: &str, count: usize) -> Vec<Wire> {
        let mut wires = self.asking(listener, count);
        wires.iter_mut().for_each(is_answered);
        wires
    }

    /// An attribute of a bean; nothing was recorded yet where it is no number.
    fn read(&self, bean: &str, attribute: &str) -> Option<f64> {
        let page = self.server.page(&format!("/beans?name={bean}"));
        let page: serde_json::Value = serde_json::from_str(&page).unwrap();
        page["beans"][bean][attribute]["value"].as_f64()
    }

    /// Nanoseconds for which a listener took nobody in.
    fn blocked(&self, listener: &str) -> Option<f64> {
        self.read(&format!("{ACCEPTOR}{listener}"), "Count")
    }
}

/// Connections to a port of this machine that its owner has not taken from the system.
fn backlog(port: u16) -> usize {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let address = format!("0100007F:{port:04X}");
    let listening = table.lines().find_map(|line| {
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        let is_it = words.get(1) == Some(&address.as_str()) && words.get(3) == Some(&"0A");
        is_it.then(|| words[4].rsplit(':').next().unwrap().to_owned())
    });
    usize::from_str_radix(&listening.unwrap(), 16).unwrap()
}

fn is_answered(wire: &mut Wire) {
    let answer: ApiVersionsResponse = wire.receive(0).unwrap();
    assert_eq!(answer.error_code, 0);
}

/// Sets a key of a broker, or the one of all brokers.
fn alter(wire: &mut Wire, broker: &str, key: &str, value: &str) -> (i16, Option<String>) {
    let request = IncrementalAlterConfigsRequest {
        resources: vec![incremental_alter_configs_request::AlterConfigsResource {
            resource_type: 4,
            resource_name: broker.to_owned(),
            configs: vec![incremental_alter_configs_request::AlterableConfig {
                name: key.to_owned(),
                value: Some(value.to_owned()),
                ..Default::default()
            }],
        }],
        ..Default::default()
    };
    let answer: IncrementalAlterConfigsResponse = wire.call(&request, 1).unwrap();
    let answer = answer.responses.into_iter().next().unwrap();
    (answer.error_code, answer.error_message)
}

fn asks_again(wire: &mut Wire) {
    wire.send(&ApiVersionsRequest::default(), 0).unwrap();
    is_answered(wire);
}

/// What a read finds without waiting: nothing, or the end.
fn state(wire: &mut Wire) -> &'static str {
    wire.stream().set_nonblocking(true).unwrap();
    let read = wire.stream().read(&mut [0]).map_err(|error| error.kind());
    wire.stream().set_nonblocking(false).unwrap();
    match read {
        Ok(0) | Err(ErrorKind::ConnectionReset) => "closed",
        Err(ErrorKind::WouldBlock) => "open",
        other => panic!("{other:?}"),
    }
}

fn closed(wires: &mut [Wire]) -> usize {
    wires.iter_mut().filter_map(|wire| (state(wire) == "closed").then_some(())).count()
}

#[test]
fn newcomers_wait_at_a_full_listener_and_at_no_other() {
    let mut house = House::new(&["listener.name.other.max.connections=2"]);
    let mut held = house.served("OTHER", 2);
    let mut late = house.waiting("OTHER", 2);
    let mut elsewhere = house.served("PLAINTEXT", 5);
    held.iter_mut().chain(&mut elsewhere).for_each(asks_again);
    assert!(late.iter_mut().all(|wire| state(wire) == "open"));
    held.pop();
    is_answered(&mut late[0]);
    assert_eq!(state(&mut late[1]), "open");

    // The limit is changed where the one who waits cannot see it.
    let key = "listener.name.other.max.connections";
    assert_eq!(alter(&mut elsewhere[0], "1", key, "3"), (0, None));
    is_answered(&mut late[1]);
    assert!(house.blocked("OTHER") > Some(0.0), "{:?}", house.blocked("OTHER"));
    assert_eq!(house.blocked("PLAINTEXT"), Some(0.0));
    drop((held, late, elsewhere));
    house.server.is_unharmed();
}

#[test]
fn brokers_get_in_where_clients_have_all_places() {
    let mut house = House::new(&["max.connections=3"]);
    let mut clients = house.served("OTHER", 3);
    let mut late = house.waiting("OTHER", 1);
    asks_again(&mut clients[0]);
    asks_again(&mut clients[2]);
    // The one that was quiet for longest makes room.
    let mut brokers = house.served("PLAINTEXT", 1);
    until("one client to go", || closed(&mut clients) == 1);
    assert_eq!(state(&mut clients[1]), "closed");
    assert_eq!(state(&mut late[0]), "open");
    brokers.extend(house.served("PLAINTEXT", 2));
    until("all clients to go", || closed(&mut clients) == 3);
    assert_eq!(house.server.closed("evicted"), 3.0);
    assert_eq!(state(&mut late[0]), "open");
    brokers.pop();
    is_answered(&mut late[0]);
    drop(late);

    // What is left of the limit holds for the brokers' listener, too.
    brokers.extend(house.served("PLAINTEXT", 1));
    let mut fourth = house.waiting("PLAINTEXT", 1);
    brokers.iter_mut().for_each(asks_again);
    assert_eq!(state(&mut fourth[0]), "open");
    brokers.pop();
    is_answered(&mut fourth[0]);
    drop((brokers, fourth));
    for listener in ["PLAINTEXT", "OTHER"] {
        assert!(house.blocked(listener) > Some(0.0), "{listener}");
    }
    house.server.is_unharmed();
}

#[test]
fn a_limit_that_is_lowered_closes_what_is_above_it() {
    let mut house = House::new(&[]);
    let mut clients = house.served("OTHER", 6);
    clients.iter_mut().for_each(asks_again);
    asks_again(&mut clients[0]);
    // One place is that of the connection that asks for it.
    let mut asking = house.served("PLAINTEXT", 1);
    assert_eq!(alter(&mut asking[0], "", "max.connections", "3"), (0, None));
    until("the quiet ones to go", || closed(&mut clients[1..5]) == 4);
    asks_again(&mut clients[0]);
    asks_again(&mut clients[5]);
    asks_again(&mut asking[0]);
    drop((clients, asking));
    house.server.is_unharmed();
}

#[test]
fn nobody_is_kept_out_for_good() {
    let mut house = House::new(&[]);
    let mut wires = house.served("PLAINTEXT", 1);
    for key in ["max.connections", "max.connection.creation.rate"] {
        for (broker, prefix) in [("", ""), ("1", "listener.name.other.")] {
            let refused = alter(&mut wires[0], broker, &format!("{prefix}{key}"), "0");
            let words = format!(
                "Invalid value org.apache.kafka.common.config.ConfigException: Invalid {key} 0 for \
                 configuration Invalid dynamic configuration"
            );
            assert_eq!(refused, (INVALID_REQUEST, Some(words)));
        }
    }
    wires.extend(house.served("OTHER", 1));
    drop(wires);
    house.server.is_unharmed();
}

#[test]
fn new_connections_come_at_the_rate_of_their_listener() {
    let mut house = House::new(&["listener.name.other.max.connection.creation.rate=5"]);
    let throttled = |listener: &str| {
        house.read(&format!("{SOCKETS}{listener}"), "connection-accept-throttle-time")
    };
    // Ten seconds' worth come at once.
    let mut clients = house.served("OTHER", 50);
    assert_eq!(throttled("OTHER"), None);
    until("a newcomer that is held up", || {
        clients.extend(house.served("OTHER", 10));
        throttled("OTHER") > Some(0.0)
    });
    let brokers = house.served("PLAINTEXT", clients.len());
    assert_eq!(throttled("PLAINTEXT"), None);
    drop((clients, brokers));
    house.server.is_unharmed();
}
