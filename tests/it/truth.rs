//! The truth of every exposed number: the table of proofs names tests that exist, a running node
//! counts to the record and to the byte, and what nothing can move reads what the table says.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use pharos_base::Spawners;
use pharos_broker::{Node, NodeOptions};
use pharos_config::{BrokerConfig, Mode, Sources};
use pharos_metrics::catalog::{
    broker_topics as rows, network, node, rows_of_beans, rows_of_families,
};
use pharos_metrics::truth::{Claim, Standing, Table, by, tests_of_families, to};
use pharos_metrics::{BeanRow, Registry, Value, truth};
use pharos_protocol::batch::{BatchBuilder, BatchOptions, NewRecord};
use pharos_protocol::compression::Codec;
use pharos_protocol::messages::*;
use pharos_storage::fs::{Fs, RealFs};
use tokio::runtime::Runtime;

use crate::start_process::until;
use crate::start_wire::{Wire, batch, fetch};
use crate::tidy;

fn table() -> String {
    std::fs::read_to_string(Table::path(&tidy::root())).unwrap()
}

/// A node in this process, with a connection to it.
pub struct Inside {
    runtime: Runtime,
    node: Option<Node>,
    pub registry: Registry,
    pub wire: Wire,
    pub port: u16,
    _home: Arc<tempfile::TempDir>,
}

impl Inside {
    pub fn start(settings: &[&str]) -> Self {
        Self::start_on(Arc::new(RealFs), 2, settings)
    }

    /// A node on `fs`, all of it on as many threads.
    pub fn start_on(fs: Arc<dyn Fs>, threads: usize, settings: &[&str]) -> Self {
        Self::start_in(Arc::new(tempfile::tempdir().unwrap()), fs, threads, settings)
    }

    /// As [`Self::start_on`], with the data of a node that was there before.
    pub fn start_in(
        home: Arc<tempfile::TempDir>,
        fs: Arc<dyn Fs>,
        threads: usize,
        settings: &[&str],
    ) -> Self {
        let data = format!("log.dirs={}", home.path().join("data").display());
        let fixed = [
            "listeners=PLAINTEXT://127.0.0.1:0",
            "admin.listeners=HTTP://127.0.0.1:0",
            "auto.create.topics.enable=false",
            data.as_str(),
        ];
        let sources = Sources::new(Mode::Up).overrides(fixed.iter().chain(settings).copied());
        let (config, _) = BrokerConfig::load(sources.unwrap()).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .build()
            .unwrap();
        let spawners = Spawners::on(runtime.handle());
        let options = NodeOptions { fs, ..NodeOptions::new(config, spawners, "test".to_owned()) };
        let node = runtime.block_on(Node::start(options)).unwrap();
        let port = node.listeners().iter().find(|listener| !listener.controller).unwrap().port;
        let wire = Wire::connect(port).unwrap();
        let registry = node.registry().clone();
        // A connection counts once the broker has taken it from the system.
        let taken = "kafka.server:type=socket-server-metrics,clientSoftwareName=unknown,\
                     clientSoftwareVersion=unknown,listener=PLAINTEXT,networkProcessor=0";
        until("the connection", || registry.read(taken, "connections") == Some(Value::Long(1)));
        Self { runtime, node: Some(node), registry, wire, port, _home: home }
    }

    pub fn create(&mut self, topic: &str, configs: &[(&str, &str)]) {
        assert_eq!(self.wire.create_topic(topic, 1, configs).unwrap(), 0, "{topic}");
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        if let Some(node) = self.node.take() {
            self.runtime.block_on(node.stop());
        }
    }
}

/// The same in all and of one topic.
fn both(all: &'static BeanRow, one: &'static BeanRow, topic: &str, amount: f64) -> [Claim; 2] {
    [by(all, &[], "Count", amount), by(one, &[("topic", topic)], "Count", amount)]
}

fn plain(records: &[(&str, &str)]) -> Bytes {
    batch(BatchOptions::default(), records)
}

#[test]
fn records_and_bytes_count_in_all_and_by_topic() {
    let mut inside = Inside::start(&[]);
    inside.create("t", &[]);
    let truth = truth!(&inside.registry);
    let sent = plain(&[("a", "1"), ("b", "2"), ("c", "3")]);
    let bytes = sent.len() as f64;
    let produced = truth.claims(
        [
            both(&rows::MESSAGES_IN_PER_SEC, &rows::MESSAGES_IN_PER_SEC_BY_TOPIC, "t", 3.0),
            both(&rows::BYTES_IN_PER_SEC, &rows::BYTES_IN_PER_SEC_BY_TOPIC, "t", bytes),
            both(
                &rows::TOTAL_PRODUCE_REQUESTS_PER_SEC,
                &rows::TOTAL_PRODUCE_REQUESTS_PER_SEC_BY_TOPIC,
                "t",
                1.0,
            ),
        ]
        .into_iter()
        .flatten(),
    );
    assert_eq!(inside.wire.produce("t", 0, &sent).unwrap(), (0, 0, None));
    produced.wait();
    let fetched = truth.claims(
        [
            both(&rows::BYTES_OUT_PER_SEC, &rows::BYTES_OUT_PER_SEC_BY_TOPIC, "t", bytes),
            both(
                &rows::TOTAL_FETCH_REQUESTS_PER_SEC,
                &rows::TOTAL_FETCH_REQUESTS_PER_SEC_BY_TOPIC,
                "t",
                1.0,
            ),
        ]
        .into_iter()
        .flatten(),
    );
    let _: FetchResponse = inside.wire.call(&fetch("t", 0, 0, 1 << 20), 12).unwrap();
    fetched.wait();
}

#[test]
fn records_that_are_compressed_anew_are_counted() {
    let mut inside = Inside::start(&[]);
    inside.create("as_sent", &[]);
    inside.create("zipped", &[("compression.type", "gzip")]);
    let truth = truth!(&inside.registry);
    let records = [("a", "1"), ("b", "2"), ("c", "3")];
    let (sent, zipped) = (
        plain(&records),
        batch(BatchOptions { codec: Codec::Gzip, ..Default::default() }, &records),
    );
    let memory = &network::REQUEST_METRICS_TEMPORARY_MEMORY_BYTES_BY_PRODUCE;
    let taken =
        truth.claims([by(memory, &[], "Count", 1.0), to(memory, &[], "Max", sent.len() as f64)]);
    assert_eq!(inside.wire.produce("as_sent", 0, &zipped).unwrap().0, 0);
    taken.wait();
    // Those that came, and those that were made of them.
    let mut claims = Vec::from(both(
        &rows::PRODUCE_MESSAGE_CONVERSIONS_PER_SEC,
        &rows::PRODUCE_MESSAGE_CONVERSIONS_PER_SEC_BY_TOPIC,
        "zipped",
        3.0,
    ));
    claims.push(to(memory, &[], "Max", 2.0 * sent.len() as f64));
    let made = truth.claims(claims);
    assert_eq!(inside.wire.produce("zipped", 0, &sent).unwrap().0, 0);
    made.wait();
    // What has the topic's codec stays as it came.
    let all = rows::PRODUCE_MESSAGE_CONVERSIONS_PER_SEC.template;
    let before = inside.registry.read(all, "Count");
    let kept = truth.claims([by(memory, &[], "Count", 1.0)]);
    assert_eq!(inside.wire.produce("zipped", 0, &zipped).unwrap().0, 0);
    kept.wait();
    assert_eq!(inside.registry.read(all, "Count"), before);
}

#[test]
fn clients_that_ask_what_to_push_are_counted() {
    let mut inside = Inside::start(&[]);
    let truth = truth!(&inside.registry);
    let claims = truth.claims([by(&node::CLIENT_METRICS, &[], "instance-count", 1.0)]);
    let request = GetTelemetrySubscriptionsRequest::default();
    let answer: GetTelemetrySubscriptionsResponse = inside.wire.call(&request, 0).unwrap();
    assert_eq!(answer.error_code, 0);
    claims.wait();
}

#[test]
fn refused_records_count_by_what_is_wrong_with_them() {
    let mut inside = Inside::start(&[]);
    inside.create("t", &[]);
    inside.create("small", &[("max.message.bytes", "100")]);
    inside.create("compacted", &[("cleanup.policy", "compact")]);
    let truth = truth!(&inside.registry);
    let mut refused = |claims: Vec<Claim>, topic: &str, sent: &[u8]| {
        let claims = truth.claims(claims);
        assert_ne!(inside.wire.produce(topic, 0, sent).unwrap().0, 0, "{topic}");
        claims.wait();
    };

    let large = plain(&[("key", &"v".repeat(200))]);
    let (all, one) = (&rows::BYTES_REJECTED_PER_SEC, &rows::BYTES_REJECTED_PER_SEC_BY_TOPIC);
    refused(both(all, one, "small", large.len() as f64).into(), "small", &large);

    let mut keyless = BatchBuilder::new(BatchOptions::default());
    for value in ["a", "b"] {
        let value = Some(value.as_bytes());
        keyless.push(&NewRecord { value, ..NewRecord::default() }).unwrap();
    }
    let all = &rows::FAILED_PRODUCE_REQUESTS_PER_SEC;
    let one = &rows::FAILED_PRODUCE_REQUESTS_PER_SEC_BY_TOPIC;
    let mut claims = Vec::from(both(all, one, "compacted", 1.0));
    claims.push(by(&rows::NO_KEY_COMPACTED_TOPIC_RECORDS_PER_SEC, &[], "Count", 1.0));
    refused(claims, "compacted", &keyless.build().unwrap());

    let mut damaged = plain(&[("key", "value")]).to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    let claim = by(&rows::INVALID_MESSAGE_CRC_RECORDS_PER_SEC, &[], "Count", 1.0);
    refused(vec![claim], "t", &damaged);

    let control = BatchOptions { control: true, ..BatchOptions::default() };
    let mut claims = Vec::from(both(all, one, "t", 1.0));
    claims.push(by(&rows::INVALID_OFFSET_OR_SEQUENCE_RECORDS_PER_SEC, &[], "Count", 1.0));
    refused(claims, "t", &batch(control, &[("k", "v")]));

    // A gap in the sequence is no wrong number: it only makes the request fail.
    let ahead = BatchOptions {
        producer_id: 5,
        producer_epoch: 0,
        base_sequence: 0,
        ..BatchOptions::default()
    };
    assert_eq!(inside.wire.produce("t", 0, &batch(ahead, &[("k", "v")])).unwrap().0, 0);
    let wrong = "kafka.server:type=BrokerTopicMetrics,name=InvalidOffsetOrSequenceRecordsPerSec";
    let before = inside.registry.read(wrong, "Count");
    let failed = truth.claims(both(all, one, "t", 1.0));
    let gap = BatchOptions { base_sequence: 9, ..ahead };
    assert_ne!(inside.wire.produce("t", 0, &batch(gap, &[("k", "v")])).unwrap().0, 0);
    failed.wait();
    assert_eq!(inside.registry.read(wrong, "Count"), before);
}

/// Name of each test that claims truths, as the compiler names it.
fn tests_of_truth() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (path, text) in tidy::all_sources() {
        let module = module_of(&path);
        let mut test = None;
        let mut inner: Vec<&str> = Vec::new();
        for line in text.lines() {
            if line.starts_with("mod ") && line.ends_with('{') {
                inner = vec![line.trim_start_matches("mod ").trim_end_matches(" {")];
            }
            let code = line.trim_start();
            if code.starts_with("#[test]") || code.starts_with("#[tokio::test") {
                test = Some(None);
            } else if let Some(name) = function(code) {
                test = test.and_then(|seen: Option<String>| match seen {
                    None => Some(Some(name.to_owned())),
                    Some(_) => None,
                });
            }
            if let (Some(Some(name)), true) = (&test, code.contains("truth!(")) {
                let modules = inner.iter().map(|module| format!("::{module}")).collect::<String>();
                found.insert(format!("{module}{modules}::{name}"));
            }
        }
    }
    found
}

fn function(code: &str) -> Option<&str> {
    let code = code.strip_prefix("pub(crate) ").or(code.strip_prefix("pub ")).unwrap_or(code);
    let code = code.strip_prefix("async ").unwrap_or(code);
    code.strip_prefix("fn ")?.split(['(', '<']).next()
}

/// `src/net/tests/truth.rs` is `pharos_net::tests::truth`.
fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(tidy::root()).unwrap().with_extension("");
    let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let mut names = match parts.as_slice() {
        [tests, it, rest @ ..] if tests == "tests" && it == "it" => {
            [&["it".to_owned()], rest].concat()
        }
        [src, room, rest @ ..] if src == "src" && !rest.is_empty() => {
            [&[format!("pharos_{room}")], rest].concat()
        }
        other => other.to_vec(),
    };
    names.retain(|name| name != "mod" && name != "lib");
    names.join("::")
}

#[test]
fn every_proof_is_a_test_that_claims_truths() {
    let tests = tests_of_truth();
    let text = table();
    let table = Table::parse(&text).unwrap();
    let named: BTreeSet<_> = table
        .lines()
        .filter_map(|line| match line.standing {
            Standing::Test(test) => Some(test.to_owned()),
            _ => None,
        })
        .collect();
    let missing: Vec<_> = named.difference(&tests).collect();
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
}

/// The words of a text: names of items, families and labels.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
}

/// Whether a word of a test stands for the family: its row, its name, or a part of its histogram.
fn is_of_family(word: &str, family: &str) -> bool {
    let parts = ["", "_count", "_sum", "_bucket"];
    word == family.to_uppercase()
        || word.strip_prefix(family).is_some_and(|rest| parts.contains(&rest))
}

#[test]
fn tests_of_families_read_them() {
    let rows: Vec<_> = rows_of_families().collect();
    let sources = tidy::all_sources();
    let mut wrong = Vec::new();
    for (family, test) in tests_of_families() {
        let (module, name) = test.rsplit_once("::").unwrap();
        let outer = module.strip_suffix("::tests").unwrap_or(module);
        let reads = sources.iter().any(|(path, text)| {
            let here = module_of(path);
            let Some((_, after)) = text.split_once(&format!("fn {name}(")) else { return false };
            let end = after.find("#[test]").unwrap_or(after.len());
            (here == module || here == outer)
                && words(&after[..end]).any(|word| is_of_family(word, family))
        });
        if !reads || !rows.iter().any(|row| row.name == family) {
            wrong.push(format!("{family} {test}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_family_that_is_made_names_a_test() {
    let sources = tidy::all_sources();
    let code = sources.iter().filter(|(path, _)| {
        let module = module_of(path);
        module.starts_with("pharos_") && !module.contains("::catalog") && !module.contains("test")
    });
    let used: HashSet<&str> = code.flat_map(|(_, text)| words(tidy::code(text))).collect();
    let tested: HashSet<&str> = tests_of_families().map(|(family, _)| family).collect();
    let made = rows_of_families().filter(|row| used.contains(row.name.to_uppercase().as_str()));
    let untested: Vec<_> = made.map(|row| row.name).filter(|name| !tested.contains(name)).collect();
    assert!(untested.is_empty(), "{untested:#?}");
}

#[test]
fn absent_beans_are_registered_nowhere() {
    let text = table();
    let table = Table::parse(&text).unwrap();
    let sources = tidy::all_sources();
    let (catalogue, code): (Vec<_>, Vec<_>) =
        sources.iter().partition(|(path, _)| path.to_string_lossy().contains("metrics/catalog"));
    let used: HashSet<&str> = code.iter().flat_map(|(_, text)| words(text)).collect();
    for line in table.lines().filter(|line| matches!(line.standing, Standing::Absent { .. })) {
        let quoted = format!("\"{}\"", line.subject);
        let mut rows = catalogue.iter().flat_map(|(_, text)| text.lines());
        let row = rows.find(|row| row.contains(&quoted)).unwrap();
        let name = row.trim().split(' ').next().unwrap();
        assert!(!used.contains(name), "{name} is used: it is not absent");
    }
}

#[test]
fn what_nothing_moves_reads_what_the_table_says() {
    let mut inside = Inside::start(&[]);
    inside.create("t", &[]);
    inside.wire.produce("t", 0, &plain(&[("a", "1")])).unwrap();
    // A fetch that waits in vain brings the last lazy beans.
    let _: FetchResponse = inside.wire.call(&fetch("t", 0, 1, 1 << 20), 12).unwrap();
    let text = table();
    let table = Table::parse(&text).unwrap();
    let mut wrong = Vec::new();
    for line in table.lines() {
        let Standing::Still { value, .. } = line.standing else { continue };
        let row = rows_of_beans().find(|row| row.template == line.subject).unwrap();
        let beans = inside.registry.beans("");
        let beans: Vec<_> = beans.iter().filter(|bean| std::ptr::eq(bean.row(), row)).collect();
        if beans.is_empty() {
            wrong.push(format!("{} is not shown", line.subject));
        }
        for bean in beans {
            let have = inside.registry.read(bean.name().as_str(), line.attribute);
            if !reads(have.as_ref(), value) {
                wrong.push(format!("{} {} reads {have:?}", bean.name(), line.attribute));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn reads(have: Option<&Value>, value: &str) -> bool {
    match have {
        Some(Value::Text(text)) => **text == *value,
        Some(number) => number.as_f64().is_some_and(|number| {
            value
                .parse::<f64>()
                .is_ok_and(|value| value == number || (value.is_nan() && number.is_nan()))
        }),
        None => false,
    }
}
