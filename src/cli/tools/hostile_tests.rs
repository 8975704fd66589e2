//! Every tool against brokers that mean harm: one sentence that names the broker, exit code 1.

use std::io::Write;

use bytes::Bytes;
use pharos_client::testing::{FakeBroker, Script};

use crate::testing::run;

/// Longest time for a tool, whose own limits are less: a guard against hanging, not a measure.
const HANG_GUARD: std::time::Duration = std::time::Duration::from_secs(60);
/// Milliseconds that a request may take, and a tool: those of a broker that answers are far from
/// what its answers take.
const SILENT: [&str; 2] = ["100", "300"];
const ANSWERING: [&str; 2] = ["20000", "30000"];

/// Each tool that asks a broker: `A` stands for its address, `F` for a file of properties, `O` for
/// one of offsets and `T` for milliseconds.
const TOOLS: [&str; 19] = [
    "kafka-topics --bootstrap-server A --command-config F --list",
    "kafka-topics --bootstrap-server A --command-config F --describe --topic t",
    "kafka-topics --bootstrap-server A --command-config F --create --topic t",
    "kafka-configs --bootstrap-server A --command-config F --describe --entity-type topics --entity-name t",
    "kafka-console-consumer --bootstrap-server A --command-config F --topic t --timeout-ms T",
    "kafka-consumer-groups --bootstrap-server A --command-config F --list",
    "kafka-consumer-groups --bootstrap-server A --command-config F --describe --group g",
    "kafka-groups --bootstrap-server A --command-config F --list",
    "kafka-get-offsets --bootstrap-server A --command-config F --topic t",
    "kafka-log-dirs --bootstrap-server A --command-config F --describe",
    "kafka-broker-api-versions --bootstrap-server A --command-config F",
    "kafka-delete-records --bootstrap-server A --command-config F --offset-json-file O",
    "kafka-cluster cluster-id --bootstrap-server A --command-config F",
    "kafka-features --bootstrap-server A --command-config F describe",
    "kafka-metadata-quorum --bootstrap-server A --command-config F describe --status",
    "kafka-client-metrics --bootstrap-server A --command-config F --list",
    "kafka-producer-perf-test --bootstrap-server A --command-config F --topic t --num-records 1 --record-size 10 --throughput -1",
    "kafka-consumer-perf-test --bootstrap-server A --command-config F --topic t --num-records 1 --timeout T",
    "kafka-console-producer --bootstrap-server A --command-config F --topic t",
];

/// The console producer goes on after a record that was lost, and ends well: so does Kafka's.
const GOES_ON: &str = "kafka-console-producer";
const CONSUMERS: [&str; 2] = ["kafka-console-consumer", "kafka-consumer-perf-test"];
const SILENCE: &str = "silence";
/// What the console consumer says of its work, as Kafka's does.
const SUMMARY: &str = "Processed a total of 0 messages";

fn framed(size: i32, correlation: i32, body: &[u8]) -> Option<Bytes> {
    Some([&size.to_be_bytes()[..], &correlation.to_be_bytes(), body].concat().into())
}

/// Runs every tool against a broker that answers each frame by `answer`.
async fn refuse_all(what: &str, answer: fn(&[u8]) -> Option<Bytes>) {
    let broker: FakeBroker = Script::new().raw(answer).start().await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let [request, all] = if what == SILENCE { SILENT } else { ANSWERING };
    let properties = write(
        "client.properties",
        &format!(
            "request.timeout.ms={request}\ndefault.api.timeout.ms={all}\n\
             delivery.timeout.ms={all}\nlinger.ms=0\nmax.block.ms={all}\n"
        ),
    );
    let offsets =
        write("offsets.json", r#"{"partitions":[{"topic":"t","partition":0,"offset":1}]}"#);
    let mut wrong = Vec::new();
    for line in TOOLS {
        let words = line.split(' ').map(|word| match word {
            "A" => broker.address(),
            "F" => properties.clone(),
            "O" => offsets.clone(),
            "T" => all.to_owned(),
            word => word.to_owned(),
        });
        let words = words.collect::<Vec<_>>().join(" ");
        // Not on the runtime: it would wait for a tool that has no end.
        let (done, tool) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || done.send(run(&words, "a record\n")));
        let ran = tokio::time::timeout(HANG_GUARD, tool).await;
        let ran = ran.unwrap_or_else(|_| panic!("{what}: {line} has no end")).unwrap();
        let sentences = ran.err.lines().filter(|line| *line != SUMMARY);
        let one_sentence = sentences.count() == 1;
        let named = ran.err.contains(&broker.address());
        let quiet = !ran.err.chars().any(|of| of.is_control() && of != '\n');
        let is_consumer = CONSUMERS.iter().any(|name| line.starts_with(name));
        if what == SILENCE && is_consumer {
            // Consumers wait for records as long as they are told to, and then end well.
            if !quiet {
                wrong.push(format!("{line}: {ran:?}"));
            }
        } else if line.starts_with(GOES_ON) {
            if !named || !quiet {
                wrong.push(format!("{line}: {ran:?}"));
            }
        } else if ran.code != 1 || !one_sentence || !named || !quiet {
            wrong.push(format!("{line}: {ran:?}"));
        }
    }
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_length_that_lies() {
    refuse_all("2^31-1 bytes", |_| framed(i32::MAX, 0, &[])).await;
    refuse_all("-1 bytes", |_| framed(-1, 0, &[])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_to_something_else() {
    refuse_all("an unknown correlation id", |_| framed(6, 77, &[0, 0])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_none() {
    refuse_all("HTTP", |_| Some(Bytes::from_static(b"HTTP/1.1 400 Bad Request\r\n\r\n"))).await;
    refuse_all("2^31 entries", |_| framed(11, 0, &[0, 0, 0xff, 0xff, 0xff, 0xff, 7])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer() {
    refuse_all(SILENCE, |_| None).await;
}
