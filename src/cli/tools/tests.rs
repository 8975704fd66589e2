//! Tools against a scripted broker: flags in, Kafka's text out.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use pharos_base::TopicId;
use pharos_client::testing::{FakeBroker, Script};
use pharos_protocol::ErrorCode;
use pharos_protocol::Records;
use pharos_protocol::batch::batches;
use pharos_protocol::messages::create_topics_response::CreatableTopicResult;
use pharos_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult,
};
use pharos_protocol::messages::describe_topic_partitions_response::{
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use pharos_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use pharos_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use pharos_protocol::messages::{
    CreateTopicsRequest, CreateTopicsResponse, DescribeConfigsRequest, DescribeConfigsResponse,
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, InitProducerIdRequest,
    InitProducerIdResponse, MetadataRequest, MetadataResponse, ProduceRequest, ProduceResponse,
};

use crate::testing::{Ran, run};

/// A broker with one topic, `quickstart-events`.
async fn broker() -> FakeBroker {
    let port = Arc::new(AtomicU16::new(0));
    let told = port.clone();
    let broker = Script::new()
        .on(move |_: MetadataRequest| {
            Some(MetadataResponse {
                brokers: vec![MetadataResponseBroker {
                    node_id: 1,
                    host: "127.0.0.1".to_owned(),
                    port: i32::from(told.load(Ordering::Acquire)),
                    rack: None,
                }],
                topics: vec![MetadataResponseTopic {
                    name: Some("quickstart-events".to_owned()),
                    ..Default::default()
                }],
                ..Default::default()
            })
        })
        .on(|request: CreateTopicsRequest| {
            let topics = request.topics.iter().map(|topic| {
                let taken = topic.name == "taken";
                CreatableTopicResult {
                    name: topic.name.clone(),
                    error_code: if taken { ErrorCode::TopicAlreadyExists.code() } else { 0 },
                    error_message: taken.then(|| format!("Topic '{}' already exists.", topic.name)),
                    ..Default::default()
                }
            });
            Some(CreateTopicsResponse { topics: topics.collect(), ..Default::default() })
        })
        .on(|_: DescribeTopicPartitionsRequest| {
            let partition = DescribeTopicPartitionsResponsePartition {
                leader_id: 1,
                replica_nodes: vec![1],
                isr_nodes: vec![1],
                ..Default::default()
            };
            Some(DescribeTopicPartitionsResponse {
                topics: vec![DescribeTopicPartitionsResponseTopic {
                    name: Some("quickstart-events".to_owned()),
                    topic_id: TopicId::parse("OEHkD_-oSaKbooe1Rqigdg").unwrap(),
                    partitions: vec![partition],
                    ..Default::default()
                }],
                ..Default::default()
            })
        })
        .on(|_: DescribeConfigsRequest| {
            let config = DescribeConfigsResourceResult {
                name: "segment.bytes".to_owned(),
                value: Some("1073741824".to_owned()),
                config_source: 4,
                ..Default::default()
            };
            Some(DescribeConfigsResponse {
                results: vec![DescribeConfigsResult {
                    resource_type: 2,
                    resource_name: "quickstart-events".to_owned(),
                    configs: vec![config],
                    ..Default::default()
                }],
                ..Default::default()
            })
        })
        .start()
        .await
        .unwrap();
    port.store(broker.port(), Ordering::Release);
    broker
}

async fn check(line: &str, code: i32, out: &str, err: &str) {
    let broker = broker().await;
    let line = line.replace("$B", &format!("--bootstrap-server {}", broker.address()));
    let ran = tokio::task::spawn_blocking(move || run(&line, "")).await.unwrap();
    assert_eq!(ran, Ran { code, out: out.to_owned(), err: err.to_owned() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_of_the_quick_start() {
    check(
        "kafka-topics.sh --create --topic a.b --partitions 1 $B",
        0,
        "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore \
         ('_') could collide. To avoid issues it is best to use either, but not both.\n\
         Created topic a.b.\n",
        "",
    )
    .await;
    check("topics --list $B", 0, "quickstart-events\n", "").await;
    check(
        "kafka-topics --describe --topic quickstart-events $B",
        0,
        "Topic: quickstart-events\tTopicId: OEHkD_-oSaKbooe1Rqigdg\tPartitionCount: 1\t\
         ReplicationFactor: 1\tConfigs: segment.bytes=1073741824\n\
         \tTopic: quickstart-events\tPartition: 0\tLeader: 1\tReplicas: 1\tIsr: 1\tElr: \t\
         LastKnownElr: \n",
        "",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_are_one_sentence() {
    let prefix = "Error while executing topic command : ";
    check(
        "topics --create --topic taken $B",
        1,
        "",
        &format!("{prefix}Topic 'taken' already exists.\n"),
    )
    .await;
    check("topics --create --topic taken --if-not-exists $B", 0, "", "").await;
    check(
        "topics --describe --topic nope $B",
        1,
        "",
        &format!("{prefix}Topic 'nope' does not exist as expected\n"),
    )
    .await;
    check(
        "topics --create --topic x --partitions 0 $B",
        1,
        "",
        &format!("{prefix}The partitions must be greater than 0\n"),
    )
    .await;
}

#[test]
fn wrong_flags_are_one_sentence() {
    for (line, expected) in [
        ("topics --nonsense", "nonsense is not a recognized option"),
        ("topics --list", "--bootstrap-server must be specified"),
        (
            "topics --list --create --topic x --bootstrap-server h:1",
            "Command must include exactly one action: --list, --describe, --create, --alter or --delete",
        ),
        ("topics --create --bootstrap-server h:1", "Missing required argument \"[topic]\""),
        (
            "topics --list --bootstrap-server h",
            "invalid value h for configuration bootstrap.servers: expected host:port,host:port,...",
        ),
        (
            "cluster frobnicate --bootstrap-server h:1",
            "invalid choice: 'frobnicate' (choose from 'cluster-id', 'unregister', 'list-endpoints')",
        ),
        ("console-consumer --topic t", "Missing required argument \"[bootstrap-server]\""),
        (
            "console-consumer --topic t --offset 1 --bootstrap-server h:1",
            "The partition is required when offset is specified.",
        ),
        ("console-producer --topic t", "Missing required argument \"[bootstrap-server]\""),
        ("configs --describe --bootstrap-server h:1", "At least one entity type must be specified"),
        (
            "configs --alter --entity-type users --add-config x=1 --bootstrap-server h:1",
            "An entity-name or default entity must be specified with --alter of users, clients, \
             brokers or ips",
        ),
        ("acls --list", "kafka-acls is not here yet: access control lists come later"),
        ("nonsense", "nonsense is no tool of Kafka's"),
        (
            "get-offsets --time xx --bootstrap-server h:1",
            "Error occurred: Malformed time argument xx. Please use -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or earliest-local / -5 or latest-tiered / -6 or earliest-pending-upload, or a specified long format timestamp",
        ),
    ] {
        let ran = run(line, "");
        assert_eq!((ran.code, ran.err.as_str()), (1, format!("{expected}\n").as_str()), "{line}");
    }
}

#[test]
fn help_and_version_are_no_failures() {
    let help = run("topics --help", "");
    assert_eq!(help.code, 0);
    assert!(
        help.out.starts_with("This tool helps to create, delete, describe, or change a topic.\n")
    );
    assert_eq!(run("topics --version", "").out, "4.3.1\n");
    assert_eq!(run("topics", "").code, 1);
}

/// A broker that keeps the values of what is produced to the only partition of `t`.
async fn keeper(kept: Arc<Mutex<Vec<String>>>) -> FakeBroker {
    let port = Arc::new(AtomicU16::new(0));
    let told = port.clone();
    let broker = Script::new()
        .on(move |_: MetadataRequest| {
            let partition = MetadataResponsePartition { leader_id: 1, ..Default::default() };
            let port = i32::from(told.load(Ordering::Acquire));
            Some(MetadataResponse {
                brokers: vec![MetadataResponseBroker {
                    node_id: 1,
                    host: "127.0.0.1".to_owned(),
                    port,
                    rack: None,
                }],
                topics: vec![MetadataResponseTopic {
                    name: Some("t".to_owned()),
                    partitions: vec![partition],
                    ..Default::default()
                }],
                ..Default::default()
            })
        })
        .on(|_: InitProducerIdRequest| {
            Some(InitProducerIdResponse { producer_id: 1, ..Default::default() })
        })
        .on_versions(3, 12, move |request: ProduceRequest, _| {
            let data = &request.topic_data[0].partition_data[0];
            let records = data.records.as_ref().and_then(Records::as_bytes).unwrap();
            for batch in batches(records) {
                let open = batch.unwrap().open(1 << 20).unwrap();
                let value = |record: pharos_protocol::batch::Record<'_>| {
                    String::from_utf8(record.value.unwrap().to_vec()).unwrap()
                };
                kept.lock().unwrap().extend(open.records().map(|record| value(record.unwrap())));
            }
            Some(ProduceResponse {
                responses: vec![TopicProduceResponse {
                    name: "t".to_owned(),
                    partition_responses: vec![PartitionProduceResponse::default()],
                    ..Default::default()
                }],
                ..Default::default()
            })
        })
        .start()
        .await
        .unwrap();
    port.store(broker.port(), Ordering::Release);
    broker
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_before_one_that_cannot_be_sent_are_sent() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let broker = keeper(kept.clone()).await;
    let line = format!(
        "console-producer --topic t --bootstrap-server {} --reader-property parse.key=true",
        broker.address()
    );
    let run = move || run(&line, "k\tone\nk\ttwo\nno key\nk\tlate\n");
    let ran = tokio::task::spawn_blocking(run).await.unwrap();
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("no key"), "{}", ran.err);
    assert_eq!(*kept.lock().unwrap(), ["one", "two"]);
}
