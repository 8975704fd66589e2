//! The accumulator's decisions, and a producer against a scripted broker.

use std::sync::Arc;
use std::time::Duration;

use pharos_base::{BrokerId, TopicPartition};
use pharos_protocol::ErrorCode;
use pharos_protocol::Records;
use pharos_protocol::batch::batches;
use pharos_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use pharos_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use pharos_protocol::messages::{
    InitProducerIdRequest, InitProducerIdResponse, MetadataRequest, MetadataResponse,
    ProduceRequest, ProduceResponse,
};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;

use super::accumulator::{Accumulator, Batch, Identity, Limits, Outcome, Waiting};
use super::*;
use crate::backoff::Backoff;
use crate::config::Properties;
use crate::testing::Script;

pub(super) fn limits() -> Limits {
    Limits {
        batch_size: 1000,
        max_request_size: 10_000,
        linger: Duration::from_millis(5),
        delivery_timeout: Duration::from_secs(120),
        max_in_flight: 5,
        retries: 10,
        retry: Backoff { initial_ms: 100, max_ms: 1000 },
    }
}

type Outcomes = Vec<oneshot::Receiver<Result<RecordMetadata>>>;

/// A record that waits, and where its outcome is told.
pub(super) fn waiting(value: &str) -> (Waiting, oneshot::Receiver<Result<RecordMetadata>>) {
    let (done, outcome) = oneshot::channel();
    let memory = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let record = ProducerRecord::new("t", value.to_owned());
    (Waiting { record, timestamp_ms: 7, done, _memory: memory }, outcome)
}

fn add(accumulator: &mut Accumulator, outcomes: &mut Outcomes, value: &str, now: Instant) {
    let (waiting, outcome) = waiting(value);
    accumulator.append(&TopicPartition::new("t", 0), waiting, now);
    outcomes.push(outcome);
}

fn drain(accumulator: &mut Accumulator, now: Instant) -> Option<(TopicPartition, Batch)> {
    let drained = accumulator.drain(now, true, |_| Some(BrokerId(1)), |_| true);
    drained.requests.into_values().flatten().next()
}

fn failed(code: ErrorCode) -> Outcome {
    Outcome::Failed(ClientError::Broker { code, message: None })
}

#[tokio::test(start_paused = true)]
async fn a_batch_lingers_then_leaves_with_the_next_sequence() {
    let mut accumulator = Accumulator::new(limits());
    let mut outcomes = Outcomes::new();
    let start = Instant::now();
    add(&mut accumulator, &mut outcomes, "a", start);
    add(&mut accumulator, &mut outcomes, "b", start);
    let later = start + Duration::from_millis(5);
    assert!(drain(&mut accumulator, later).is_none(), "no identity yet");
    accumulator.set_identity(Identity { producer_id: 9, epoch: 0 });
    assert!(drain(&mut accumulator, start).is_none(), "it still lingers");
    assert_eq!(accumulator.next_deadline(), Some(later));
    let (partition, batch) = drain(&mut accumulator, later).unwrap();
    assert_eq!(batch.waiting.len(), 2);
    assert_eq!(batch.sequence.unwrap().1, 0);
    add(&mut accumulator, &mut outcomes, "c", later);
    let (_, next) = drain(&mut accumulator, later + Duration::from_millis(5)).unwrap();
    assert_eq!(next.sequence.unwrap().1, 2);
    let stored = Outcome::Stored { base_offset: 40, append_time_ms: -1 };
    accumulator.complete(&partition, batch, stored, later);
    assert_eq!(outcomes[1].try_recv().unwrap().unwrap().offset, 41);
}

#[tokio::test(start_paused = true)]
async fn a_failed_batch_goes_before_its_successors() {
    let mut accumulator = Accumulator::new(limits());
    let mut outcomes = Outcomes::new();
    accumulator.set_identity(Identity { producer_id: 9, epoch: 0 });
    accumulator.set_flushing(true);
    let now = Instant::now();
    add(&mut accumulator, &mut outcomes, "a", now);
    let (partition, first) = drain(&mut accumulator, now).unwrap();
    add(&mut accumulator, &mut outcomes, "b", now);
    let (_, second) = drain(&mut accumulator, now).unwrap();
    assert!(accumulator.complete(&partition, first, failed(ErrorCode::NotLeaderOrFollower), now));
    let later = now + Duration::from_secs(5);
    assert!(drain(&mut accumulator, later).is_none(), "the second is still under way");
    accumulator.complete(&partition, second, failed(ErrorCode::OutOfOrderSequenceNumber), later);
    let later = later + Duration::from_secs(5);
    let (_, again) = drain(&mut accumulator, later).unwrap();
    assert_eq!(again.sequence.unwrap(), (Identity { producer_id: 9, epoch: 0 }, 0));
    let (_, after) = drain(&mut accumulator, later).unwrap();
    assert_eq!(after.sequence.unwrap().1, 1);
}

#[tokio::test(start_paused = true)]
async fn a_gap_in_the_sequence_moves_the_epoch_on() {
    let mut accumulator = Accumulator::new(limits());
    let mut outcomes = Outcomes::new();
    accumulator.set_identity(Identity { producer_id: 9, epoch: 0 });
    accumulator.set_flushing(true);
    let now = Instant::now();
    add(&mut accumulator, &mut outcomes, "a", now);
    let (partition, first) = drain(&mut accumulator, now).unwrap();
    accumulator.complete(&partition, first, failed(ErrorCode::MessageTooLarge), now);
    assert!(outcomes[0].try_recv().unwrap().is_err());
    add(&mut accumulator, &mut outcomes, "b", now);
    let (_, next) = drain(&mut accumulator, now).unwrap();
    assert_eq!(next.sequence.unwrap(), (Identity { producer_id: 9, epoch: 1 }, 0));
}

#[tokio::test(start_paused = true)]
async fn what_waits_too_long_fails() {
    let mut accumulator = Accumulator::new(limits());
    let mut outcomes = Outcomes::new();
    let now = Instant::now();
    add(&mut accumulator, &mut outcomes, "a", now);
    accumulator.expire(now + Duration::from_secs(120));
    let error = outcomes[0].try_recv().unwrap().unwrap_err().to_string();
    assert_eq!(error, "timed out after 120000 ms while sending 1 record(s) to t-0");
    assert!(accumulator.is_empty());
}

pub(super) fn metadata(port: u16) -> MetadataResponse {
    MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: 1,
            host: "127.0.0.1".to_owned(),
            port: i32::from(port),
            rack: None,
        }],
        topics: vec![MetadataResponseTopic {
            name: Some("t".to_owned()),
            topic_id: pharos_base::TopicId::random(),
            partitions: vec![MetadataResponsePartition { leader_id: 1, ..Default::default() }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn values(request: &ProduceRequest) -> Vec<String> {
    let data = &request.topic_data[0].partition_data[0];
    let Some(Records::Bytes(bytes)) = &data.records else { return Vec::new() };
    let mut values = Vec::new();
    for batch in batches(bytes) {
        let open = batch.unwrap().open(u64::MAX).unwrap();
        for record in open.records() {
            values.push(String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap());
        }
    }
    values
}

#[tokio::test]
async fn records_reach_the_leader_and_a_refusal_is_retried() {
    let port = Arc::new(std::sync::atomic::AtomicU16::new(0));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (told, tries) = (port.clone(), seen.clone());
    let broker = Script::new()
        .on(move |_: MetadataRequest| {
            Some(metadata(told.load(std::sync::atomic::Ordering::Acquire)))
        })
        .on(|_: InitProducerIdRequest| {
            Some(InitProducerIdResponse { producer_id: 5, ..Default::default() })
        })
        .on_versions(3, 12, move |request: ProduceRequest, _| {
            let mut seen = tries.lock();
            seen.push(values(&request));
            let error_code =
                if seen.len() == 1 { ErrorCode::NotLeaderOrFollower.code() } else { 0 };
            Some(ProduceResponse {
                responses: vec![TopicProduceResponse {
                    name: "t".to_owned(),
                    partition_responses: vec![PartitionProduceResponse {
                        error_code,
                        base_offset: 100,
                        ..Default::default()
                    }],
                    ..Default::default()
                }],
                ..Default::default()
            })
        })
        .start()
        .await
        .unwrap();
    port.store(broker.port(), std::sync::atomic::Ordering::Release);
    let mut properties = Properties::new();
    properties.set("bootstrap.servers", broker.address());
    properties.set("compression.type", "gzip");
    let producer = Producer::new(ProducerConfig::parse(&properties).unwrap());
    let first = producer.send(ProducerRecord::new("t", "a")).await.unwrap();
    let second = producer.send(ProducerRecord::new("t", "b")).await.unwrap();
    producer.flush().await;
    assert_eq!(first.await.unwrap().offset, 100);
    assert_eq!(second.await.unwrap().offset, 101);
    assert_eq!(*seen.lock(), [["a", "b"], ["a", "b"]]);
    let missing =
        ProducerRecord { partition: Some(PartitionId(4)), ..ProducerRecord::new("t", "c") };
    let refused = producer.send(missing).await.err().unwrap();
    assert_eq!(refused.to_string(), "partition 4 of topic t does not exist: it has 1");
    producer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_leave_in_the_order_of_their_sequences_however_long_each_takes_to_encode() {
    let port = Arc::new(std::sync::atomic::AtomicU16::new(0));
    let sequences = Arc::new(Mutex::new(Vec::new()));
    let (told, seen) = (port.clone(), sequences.clone());
    let broker = Script::new()
        .on(move |_: MetadataRequest| {
            Some(metadata(told.load(std::sync::atomic::Ordering::Acquire)))
        })
        .on(|_: InitProducerIdRequest| {
            Some(InitProducerIdResponse { producer_id: 5, ..Default::default() })
        })
        .on_versions(3, 12, move |request: ProduceRequest, _| {
            let data = &request.topic_data[0].partition_data[0];
            let Some(Records::Bytes(bytes)) = &data.records else { return None };
            seen.lock().push(batches(bytes).next()?.ok()?.header().base_sequence);
            let partition = PartitionProduceResponse { base_offset: 0, ..Default::default() };
            let topic = TopicProduceResponse {
                name: "t".to_owned(),
                partition_responses: vec![partition],
                ..Default::default()
            };
            Some(ProduceResponse { responses: vec![topic], ..Default::default() })
        })
        .start()
        .await
        .unwrap();
    port.store(broker.port(), std::sync::atomic::Ordering::Release);
    let mut properties = Properties::new();
    properties.set("bootstrap.servers", broker.address());
    properties.set("compression.type", "gzip");
    properties.set("linger.ms", "0");
    properties.set("batch.size", "1");
    let producer = Producer::new(ProducerConfig::parse(&properties).unwrap());
    let large: String = (0..20_000).map(|number| number.to_string()).collect();
    let mut outcomes = Vec::new();
    for number in 0..200 {
        let value = if number % 2 == 0 { large.clone() } else { "small".to_owned() };
        outcomes.push(producer.send(ProducerRecord::new("t", value)).await.unwrap());
    }
    producer.flush().await;
    for outcome in outcomes {
        outcome.await.unwrap();
    }
    assert_eq!(*sequences.lock(), (0..200).collect::<Vec<i32>>());
    producer.close().await;
}
