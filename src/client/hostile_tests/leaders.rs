//! Leaders that are none, coordinators that are none, brokers that never answer or never read: a
//! bounded number of requests, a bounded time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pharos_base::{Offset, TopicPartition};
use pharos_protocol::messages::*;
use pharos_protocol::{ApiKey, ErrorCode};

use super::*;
use crate::admin::{Admin, OffsetSpec};
use crate::consumer::{Consumer, ConsumerConfig};
use crate::producer::{Producer, ProducerConfig, ProducerRecord};

/// Requests of one kind that a second of retries may take: the first waits are 100 ms.
const MAX_REQUESTS: usize = 30;

#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn is_bounded(&self) {
        let count = self.0.load(Ordering::Relaxed);
        assert!((1..=MAX_REQUESTS).contains(&count), "{count} requests");
    }
}

#[tokio::test]
async fn a_producer_gives_up_on_a_leader_that_is_none() {
    let count = Count::default();
    let seen = count.clone();
    let broker = leader(|script| {
        script.on(move |request: ProduceRequest| {
            seen.one();
            let code = ErrorCode::NotLeaderOrFollower.code();
            let topics =
                request.topic_data.iter().map(|topic| produce_response::TopicProduceResponse {
                    name: topic.name.clone(),
                    partition_responses: vec![produce_response::PartitionProduceResponse {
                        error_code: code,
                        ..Default::default()
                    }],
                    ..Default::default()
                });
            Some(ProduceResponse { responses: topics.collect(), ..Default::default() })
        })
    })
    .await;
    let more = "delivery.timeout.ms=1000\nlinger.ms=0\nenable.idempotence=false";
    let config = ProducerConfig::parse(&properties(&broker.address(), more)).unwrap();
    let producer = Producer::new(config);
    let delivery = in_time(producer.send(ProducerRecord::new("t", "value"))).await.unwrap();
    let error = in_time(delivery).await.unwrap_err();
    assert!(error.to_string().contains(ErrorCode::NotLeaderOrFollower.message()), "{error}");
    count.is_bounded();
}

#[tokio::test]
async fn a_consumer_does_not_run_in_circles() {
    let count = Count::default();
    let seen = count.clone();
    let broker = leader(|script| {
        script.on(move |_: FetchRequest| {
            seen.one();
            let data = fetch_response::PartitionData {
                error_code: ErrorCode::NotLeaderOrFollower.code(),
                ..Default::default()
            };
            Some(FetchResponse {
                responses: vec![fetch_response::FetchableTopicResponse {
                    topic: "t".to_owned(),
                    partitions: vec![data],
                    ..Default::default()
                }],
                ..Default::default()
            })
        })
    })
    .await;
    let config = ConsumerConfig::parse(&properties(&broker.address(), "")).unwrap();
    let mut consumer = Consumer::new(config);
    let of = TopicPartition::new("t", 0);
    consumer.assign([of.clone()]);
    consumer.seek(&of, Offset(0));
    let records = in_time(consumer.poll(Duration::from_secs(1))).await.unwrap();
    assert!(records.is_empty());
    count.is_bounded();
}

#[tokio::test]
async fn offsets_of_a_leader_that_is_none() {
    let count = Count::default();
    let seen = count.clone();
    let broker = leader(|script| {
        script.on(move |_: ListOffsetsRequest| {
            seen.one();
            let one = list_offsets_response::ListOffsetsPartitionResponse {
                error_code: ErrorCode::NotLeaderOrFollower.code(),
                ..Default::default()
            };
            let topic = list_offsets_response::ListOffsetsTopicResponse {
                name: "t".to_owned(),
                partitions: vec![one],
            };
            Some(ListOffsetsResponse { topics: vec![topic], ..Default::default() })
        })
    })
    .await;
    let admin = Admin::new(Cluster::new(hasty(&broker.address())));
    let of = TopicPartition::new("t", 0);
    let listed = in_time(admin.list_offsets(&[(of.clone(), OffsetSpec::Latest)], false)).await;
    let error = listed[&of].clone().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NotLeaderOrFollower));
    count.is_bounded();
}

/// What was not asked for is not taken in, what was left out is an error.
#[tokio::test]
async fn offsets_of_something_else() {
    let broker = leader(|script| {
        script.on(move |_: ListOffsetsRequest| {
            let one = |index| list_offsets_response::ListOffsetsPartitionResponse {
                partition_index: index,
                ..Default::default()
            };
            let topic = list_offsets_response::ListOffsetsTopicResponse {
                name: "t".to_owned(),
                partitions: (1..1000).map(one).collect(),
            };
            Some(ListOffsetsResponse { topics: vec![topic], ..Default::default() })
        })
    })
    .await;
    let admin = Admin::new(Cluster::new(config(&broker.address())));
    let of = TopicPartition::new("t", 0);
    let listed = in_time(admin.list_offsets(&[(of.clone(), OffsetSpec::Latest)], false)).await;
    assert_eq!(listed.len(), 1);
    let error = listed[&of].clone().unwrap_err().to_string();
    assert!(error.contains(&broker.address()) && error.contains("no answer for t-0"), "{error}");
}

#[tokio::test]
async fn a_coordinator_that_is_none() {
    let count = Count::default();
    let seen = count.clone();
    let broker = leader(|script| {
        script
            .on(|request: FindCoordinatorRequest| {
                let keys = request.coordinator_keys.into_iter();
                let found = keys.map(|key| find_coordinator_response::Coordinator {
                    key,
                    node_id: 1,
                    ..Default::default()
                });
                Some(FindCoordinatorResponse {
                    coordinators: found.collect(),
                    ..Default::default()
                })
            })
            .on(move |_: ConsumerGroupDescribeRequest| {
                seen.one();
                let group = consumer_group_describe_response::DescribedGroup {
                    error_code: ErrorCode::NotCoordinator.code(),
                    ..Default::default()
                };
                Some(ConsumerGroupDescribeResponse { groups: vec![group], ..Default::default() })
            })
    })
    .await;
    let admin = Admin::new(Cluster::new(hasty(&broker.address())));
    let error = in_time(admin.describe_group("g")).await.unwrap_err();
    assert!(matches!(error, ClientError::Timeout { timeout_ms: 1000, .. }), "{error}");
    count.is_bounded();
}

/// A thousand brokers that do not answer take no longer than one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_that_names_a_thousand_silent_brokers() {
    let silent = peer(|socket| while request_of(&socket).is_some() {});
    let broker = Script::new()
        .on(move |_: MetadataRequest| Some(metadata(silent, 1000)))
        .start()
        .await
        .unwrap();
    let admin = Admin::new(Cluster::new(hasty(&broker.address())));
    let all: Vec<_> =
        (0..1000).map(|index| (TopicPartition::new("t", index), OffsetSpec::Latest)).collect();
    let listed = in_time(admin.list_offsets(&all, false)).await;
    assert!(listed.values().all(Result::is_err));
    let error = in_time(admin.list_groups(&[], &[])).await.unwrap_err().to_string();
    assert!(error.contains("timed out after 1000 ms while listing groups"), "{error}");
    let before: Vec<_> = all.into_iter().map(|(of, _)| (of, Offset(-1))).collect();
    let deleted = in_time(admin.delete_records(&before)).await.err().unwrap().to_string();
    assert!(deleted.contains("timed out after 1000 ms while deleting records"), "{deleted}");
}

/// Without an answer to wait for, a request is done when it has left, and that takes its time too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_never_reads_does_not_stop_a_producer_without_acks() {
    let deaf = peer(|mut socket| {
        let id = request_of(&socket).unwrap();
        let body = versions(&[ApiKey::Produce]);
        socket.write_all(&frame(i32::try_from(4 + body.len()).unwrap(), id, &body)).unwrap();
        std::thread::park();
    });
    let broker =
        Script::new().on(move |_: MetadataRequest| Some(metadata(deaf, 1))).start().await.unwrap();
    let more =
        format!("{HASTY}delivery.timeout.ms=1500\nlinger.ms=0\nacks=0\nenable.idempotence=false");
    let config = ProducerConfig::parse(&properties(&broker.address(), &more)).unwrap();
    let producer = Producer::new(config);
    let mut deliveries = Vec::new();
    for _ in 0..30 {
        let record = ProducerRecord::new("t", "v".repeat(1_000_000));
        deliveries.push(in_time(producer.send(record)).await.unwrap());
    }
    in_time(producer.flush()).await;
    let mut failed = 0;
    for delivery in deliveries {
        failed += usize::from(in_time(delivery).await.is_err());
    }
    assert!(failed > 0, "sockets take no 30 MB");
}

/// A cursor that stands still, or pages of what nobody asked for.
#[tokio::test]
async fn a_description_without_end() {
    let count = Count::default();
    let seen = count.clone();
    let broker = leader(|script| {
        script.on(move |_: DescribeTopicPartitionsRequest| {
            seen.one();
            let of = |name: &str| {
                describe_topic_partitions_response::DescribeTopicPartitionsResponseTopic {
                    name: Some(name.to_owned()),
                    ..Default::default()
                }
            };
            Some(DescribeTopicPartitionsResponse {
                topics: vec![of("t"), of("nobody asked")],
                next_cursor: Some(describe_topic_partitions_response::Cursor {
                    topic_name: "t".to_owned(),
                    partition_index: 7,
                }),
                ..Default::default()
            })
        })
    })
    .await;
    let admin = Admin::new(Cluster::new(config(&broker.address())));
    let error = in_time(admin.describe_topics(&["t".to_owned()], 2000)).await.err().unwrap();
    assert!(error.to_string().contains("does not end"), "{error}");
    count.is_bounded();
}
