//! What Apache Kafka 4.3.1 answered to the inputs of a suite, one line per input, and the
//! comparison of this broker's answers with it.
//!
//! The facts stand in `tests/golden/hostile/`. To record them again, start a fresh Apache Kafka
//! with [`SETTINGS`] on PORT and run the suites one at a time: `KAFKA_PORT=PORT cargo test --test it
//! SUITE` writes them instead of comparing.

use std::fmt::Write as _;
use std::fs;

use pharos_protocol::Message;
use pharos_protocol::messages::{
    FindCoordinatorRequest, FindCoordinatorResponse, HeartbeatRequest, HeartbeatResponse,
};

use crate::start_process::{Launch, Server, until};
use crate::start_wire::Wire;
use crate::tables::Tables;
use crate::tidy::root;

/// What a broker under comparison is told, beside its listeners and directories.
pub const SETTINGS: &[&str] = &[
    "node.id=1",
    "num.partitions=1",
    "auto.create.topics.enable=false",
    "group.initial.rebalance.delay.ms=0",
    "offsets.topic.num.partitions=1",
];

/// The broker that a suite asks.
pub struct Asked {
    port: u16,
    pub server: Option<Server>,
}

impl Asked {
    /// A server of this test's own.
    pub fn of(server: Server) -> Self {
        Self { port: server.port(), server: Some(server) }
    }

    pub fn connect(&self) -> Wire {
        Wire::connect(self.port).unwrap()
    }

    /// Waits until groups can be asked.
    pub fn wait_for_groups(&self) {
        let request = FindCoordinatorRequest { key: "x".to_owned(), ..Default::default() };
        let mut wire = self.connect();
        until("the coordinator", || {
            let found: FindCoordinatorResponse = wire.call(&request, 3).unwrap();
            found.error_code == 0
        });
        let request = HeartbeatRequest { group_id: "x".to_owned(), ..Default::default() };
        until("the group's log", || {
            let answer: HeartbeatResponse = wire.call(&request, 4).unwrap();
            // COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR
            ![14, 15, 16].contains(&answer.error_code)
        });
    }
}

/// An input by its name, and what was answered.
pub type Fact = (String, String);

/// Lets `suite` ask this broker, and compares what it found with what Kafka answered. `differs`
/// names inputs (`*` stands for any text) to which this broker answers otherwise, what it answers,
/// and why. Where Kafka fails inside or says nothing, any plain answer will do.
pub fn compare(
    name: &str,
    differs: &[(&str, &str, &str)],
    suite: impl FnOnce(&mut Asked) -> Vec<Fact>,
) {
    let path = root().join("tests/golden/hostile").join(format!("{name}.tsv"));
    if let Ok(port) = std::env::var("KAFKA_PORT") {
        let mut asked = Asked { port: port.parse().unwrap(), server: None };
        let mut text = String::new();
        for (input, answer) in suite(&mut asked) {
            writeln!(text, "{input}\t{answer}").unwrap();
        }
        fs::write(path, text).unwrap();
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let launch = SETTINGS.iter().fold(Launch::up(home.path()), |launch, pair| launch.with(pair));
    let mut asked = Asked::of(launch.start());
    let found = suite(&mut asked);
    asked.server.as_mut().unwrap().is_unharmed();
    let golden = fs::read_to_string(&path).unwrap();
    let golden: Vec<_> = golden.lines().map(|line| line.split_once('\t').unwrap()).collect();
    let mut wrong = String::new();
    for (at, (input, answer)) in found.iter().enumerate() {
        let kafka = golden.get(at).copied().unwrap_or_default();
        assert_eq!(kafka.0, input, "{} is not of this suite", path.display());
        let failed = kafka.1.split(' ').any(|word| word == "-1" || word.starts_with("-1*"));
        if failed || kafka.1 == "no answer" {
            if answer.contains("-1") || answer == "closed" || answer == "no answer" {
                writeln!(wrong, "{input}: {answer}").unwrap();
            }
            continue;
        }
        match differs.iter().find(|(other, ..)| means(other, input)) {
            Some((_, expected, why)) => {
                assert_ne!(*expected, kafka.1, "{input}: no difference, though {why}");
                if expected != answer {
                    writeln!(wrong, "{input}: {answer}, not {expected}, though {why}").unwrap();
                }
            }
            None if kafka.1 != answer => {
                writeln!(wrong, "{input}: {answer}, Kafka {}", kafka.1).unwrap();
            }
            None => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert_eq!(found.len(), golden.len(), "inputs of {}", path.display());
    for (pattern, ..) in differs {
        assert!(found.iter().any(|(input, _)| means(pattern, input)), "{pattern} is no input");
    }
}

fn means(pattern: &str, input: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == input,
        Some((begin, end)) => input.starts_with(begin) && input.ends_with(end),
    }
}

/// `0*2 35`: how often which error stands in an answer.
pub fn told(errors: &[i16]) -> String {
    let mut counts = std::collections::BTreeMap::new();
    for code in errors {
        *counts.entry(*code).or_insert(0) += 1;
    }
    let words = counts.iter().map(|(code, count)| match count {
        1 => code.to_string(),
        count => format!("{code}*{count}"),
    });
    let words: Vec<String> = words.collect();
    if words.is_empty() { "no error field".to_owned() } else { words.join(" ") }
}

/// Sends a request: the errors of its answer, or that the connection was closed.
pub fn ask<Q: Message>(wire: &mut Wire, tables: &Tables, request: &Q, version: i16) -> String {
    let answer = wire.send(request, version).and_then(|()| wire.receive_frame());
    let Ok(answer) = answer else { return "closed".to_owned() };
    told(&tables.errors(Q::API_KEY.unwrap(), version, &answer).unwrap())
}
