//! Records into images and back, and what Kafka itself wrote.

use pharos_protocol::batch::batches;
use pharos_protocol::messages::client_quota_record::EntityData;
use pharos_protocol::messages::{
    BrokerRegistrationChangeRecord, ClientQuotaRecord, ConfigRecord, NoOpRecord,
    PartitionChangeRecord, PartitionRecord, ProducerIdsRecord, RegisterBrokerRecord,
    RemoveTopicRecord, TopicRecord,
};

use super::*;
use crate::record::{MetadataRecord, decode_batch, encode_batch};

pub(crate) fn topic_record(name: &str, id: TopicId) -> MetadataRecord {
    MetadataRecord::Topic(TopicRecord { name: name.to_owned(), topic_id: id })
}

pub(crate) fn partition_record(id: TopicId, partition: i32, leader: i32) -> MetadataRecord {
    MetadataRecord::Partition(PartitionRecord {
        partition_id: partition,
        topic_id: id,
        replicas: vec![1, 2],
        isr: vec![1, 2],
        leader,
        leader_epoch: 0,
        partition_epoch: 0,
        directories: vec![TopicId::random(), TopicId::random()],
        ..PartitionRecord::default()
    })
}

fn change(id: TopicId, partition: i32, leader: i32) -> MetadataRecord {
    MetadataRecord::PartitionChange(PartitionChangeRecord {
        partition_id: partition,
        topic_id: id,
        leader,
        ..PartitionChangeRecord::default()
    })
}

fn config(kind: i8, name: &str, key: &str, value: Option<&str>) -> MetadataRecord {
    MetadataRecord::Config(ConfigRecord {
        resource_type: kind,
        resource_name: name.to_owned(),
        name: key.to_owned(),
        value: value.map(str::to_owned),
    })
}

fn quota(parts: &[(&str, Option<&str>)], key: &str, value: Option<f64>) -> MetadataRecord {
    quota_record(&QuotaEntity::from_parts(parts.iter().copied()).unwrap(), key, value)
}

fn broker(id: i32, epoch: i64) -> MetadataRecord {
    MetadataRecord::RegisterBroker(RegisterBrokerRecord {
        broker_id: id,
        broker_epoch: epoch,
        incarnation_id: TopicId::random(),
        rack: None,
        log_dirs: vec![TopicId::random()],
        ..RegisterBrokerRecord::default()
    })
}

fn apply_all(image: &mut MetadataImage, records: &[MetadataRecord]) -> MetadataDelta {
    let mut delta = MetadataDelta::default();
    for record in records {
        image.apply(record, &mut delta).unwrap();
    }
    delta
}

/// Records pass through their bytes on the way, so that the codec is tested with them.
fn through_bytes(records: &[MetadataRecord]) -> Vec<MetadataRecord> {
    let bytes = encode_batch(records, 1_700_000_000_000).unwrap();
    let mut all = batches(&bytes);
    decode_batch(&all.next().unwrap().unwrap()).unwrap()
}

#[test]
fn a_snapshot_makes_the_same_image_again() {
    let (first, second) = (TopicId::random(), TopicId::random());
    let mut image = MetadataImage::empty();
    let records = [
        feature_record(GROUP_VERSION, 1),
        feature_record(METADATA_VERSION, 30),
        broker(1, 7),
        broker(2, 9),
        topic_record("b", first),
        partition_record(first, 0, 1),
        partition_record(first, 1, 2),
        topic_record("a", second),
        partition_record(second, 0, -1),
        change(first, 1, 1),
        config(2, "a", "retention.ms", Some("5")),
        config(4, "", "log.cleaner.threads", Some("2")),
        config(16, "metrics", "interval.ms", Some("1000")),
        config(32, "group", "consumer.session.timeout.ms", Some("45000")),
        quota(&[("user", Some("a")), ("client-id", None)], "producer_byte_rate", Some(5.0)),
        quota(&[("user", None)], "request_percentage", Some(12.5)),
        quota(&[("ip", Some("::1"))], "connection_creation_rate", Some(7.0)),
        MetadataRecord::ProducerIds(ProducerIdsRecord {
            broker_id: 1,
            broker_epoch: 7,
            next_producer_id: 2000,
        }),
        MetadataRecord::NoOp(NoOpRecord::default()),
    ];
    apply_all(&mut image, &through_bytes(&records));
    assert_eq!(
        image.partition_counts(),
        PartitionCounts { total: 3, offline: 1, without_preferred_leader: 1 }
    );
    let mut again = MetadataImage::empty();
    apply_all(&mut again, &through_bytes(&image.write_snapshot()));
    // Epochs of the changed partition are part of it.
    assert_eq!(again, image);
    assert!(MetadataDelta::between(&image, &again).is_empty());
    let names: Vec<_> = image.topics().map(|topic| topic.name.to_string()).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn a_change_bumps_the_epochs_and_is_noted() {
    let id = TopicId::random();
    let mut image = MetadataImage::empty();
    apply_all(&mut image, &[topic_record("t", id), partition_record(id, 0, 1)]);
    let before = image.clone();
    let delta = apply_all(&mut image, &[change(id, 0, 2)]);
    let partition = image.partition("t", PartitionId(0)).unwrap();
    assert_eq!((partition.leader, partition.leader_epoch), (BrokerId(2), LeaderEpoch(1)));
    assert_eq!(partition.partition_epoch, 1);
    assert_eq!(delta.partitions_changed.iter().collect::<Vec<_>>(), [&(id, PartitionId(0))]);
    assert_eq!(delta.unclean_elections, 0);
    // The earlier image is as it was.
    assert_eq!(before.partition("t", PartitionId(0)).unwrap().leader, BrokerId(1));
    let isr_only = MetadataRecord::PartitionChange(PartitionChangeRecord {
        partition_id: 0,
        topic_id: id,
        isr: Some(vec![2]),
        ..PartitionChangeRecord::default()
    });
    apply_all(&mut image, &[isr_only]);
    let partition = image.partition("t", PartitionId(0)).unwrap();
    assert_eq!((partition.leader_epoch, partition.partition_epoch), (LeaderEpoch(1), 2));
    let delta = apply_all(&mut image, &[change(id, 0, 1)]);
    assert_eq!(delta.unclean_elections, 1, "broker 1 was not in sync");
}

#[test]
fn quotas_come_change_and_go_with_their_last_limit() {
    let user = [("user", Some("a"))];
    let entity = QuotaEntity::from_parts(user.into_iter()).unwrap();
    let mut image = MetadataImage::empty();
    let set = [
        quota(&user, "producer_byte_rate", Some(1.0)),
        quota(&user, "consumer_byte_rate", Some(2.0)),
        quota(&user, "producer_byte_rate", Some(3.0)),
    ];
    let delta = apply_all(&mut image, &through_bytes(&set));
    assert_eq!(delta.quotas_changed.iter().collect::<Vec<_>>(), [&entity]);
    let limits: Vec<_> =
        image.quota(&entity).unwrap().iter().map(|(key, value)| (&**key, *value)).collect();
    assert_eq!(limits, [("consumer_byte_rate", 2.0), ("producer_byte_rate", 3.0)]);
    let before = image.clone();
    apply_all(&mut image, &[quota(&user, "consumer_byte_rate", None)]);
    assert!(image.quota(&entity).is_some());
    apply_all(&mut image, &[quota(&user, "producer_byte_rate", None)]);
    assert_eq!(image, MetadataImage::empty());
    assert_eq!(MetadataDelta::between(&before, &image).quotas_changed, delta.quotas_changed);
}

#[test]
fn deleting_a_topic_takes_its_configuration_and_counts_along() {
    let id = TopicId::random();
    let mut image = MetadataImage::empty();
    let created = apply_all(
        &mut image,
        &[topic_record("t", id), partition_record(id, 0, -1), config(2, "t", "k", Some("v"))],
    );
    let before = image.clone();
    let removed =
        apply_all(&mut image, &[MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: id })]);
    assert_eq!(image, MetadataImage::empty());
    assert_eq!(removed.topics_deleted.get(&id).map(|name| &**name), Some("t"));
    assert_eq!(MetadataDelta::between(&before, &image).topics_deleted, removed.topics_deleted);
    let mut both = created;
    both.merge(removed);
    assert!(both.is_empty(), "what came and went was never there: {both:?}");
}

#[test]
fn a_record_that_does_not_fit_is_refused() {
    let (id, other) = (TopicId::random(), TopicId::random());
    let mut image = MetadataImage::empty();
    apply_all(&mut image, &[topic_record("t", id), partition_record(id, 0, 1), broker(1, 5)]);
    let stale = MetadataRecord::BrokerRegistrationChange(BrokerRegistrationChangeRecord {
        broker_id: 1,
        broker_epoch: 4,
        fenced: -1,
        ..BrokerRegistrationChangeRecord::default()
    });
    let cases = [
        (topic_record("t", other), "topic t exists already".to_owned()),
        (topic_record("u", id), "topic u exists already".to_owned()),
        (partition_record(other, 0, 1), format!("no topic has the id {other}")),
        (change(id, 7, 1), "topic t has no partition 7".to_owned()),
        (partition_record(id, -1, 1), "partition -1 has no meaning".to_owned()),
        (stale, "broker 1 is not registered with epoch 4".to_owned()),
        (
            MetadataRecord::ClientQuota(ClientQuotaRecord {
                entity: vec![EntityData { entity_type: "group".to_owned(), entity_name: None }],
                ..ClientQuotaRecord::default()
            }),
            "a quota is for an unknown type of entity, \"group\"".to_owned(),
        ),
        (config(3, "x", "k", None), "config resource type 3 has no meaning".to_owned()),
    ];
    for (record, expected) in cases {
        let before = image.clone();
        let error = image.apply(&record, &mut MetadataDelta::default()).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(image, before);
    }
}

#[test]
fn producer_ids_never_go_back() {
    let mut image = MetadataImage::empty();
    for (next, expected) in [(1000, 1000), (3000, 3000), (2000, 3000)] {
        let record = ProducerIdsRecord { next_producer_id: next, ..ProducerIdsRecord::default() };
        apply_all(&mut image, &[MetadataRecord::ProducerIds(record)]);
        assert_eq!(image.next_producer_id(), expected);
    }
}

fn golden(name: &str) -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/metadata/");
    std::fs::read(format!("{path}{name}")).unwrap()
}

/// The metadata log of a session of Apache Kafka 4.3.1: topics made and deleted, two lives of the
/// broker, a controlled shutdown between them.
#[test]
fn the_log_that_kafka_wrote_decodes_into_an_image() {
    let bytes = golden("cluster_metadata.log");
    let mut image = MetadataImage::empty();
    let mut next = 0;
    for batch in batches(&bytes) {
        let batch = batch.unwrap();
        batch.check_crc().unwrap();
        assert_eq!(batch.header().base_offset, next);
        next = batch.header().next_offset();
        if !batch.header().is_control() {
            apply_all(&mut image, &decode_batch(&batch).unwrap());
        }
    }
    assert_eq!(image.metadata_version(), 30);
    assert_eq!(image.feature(GROUP_VERSION), 1);
    assert_eq!(image.next_producer_id(), 2000);
    let names: Vec<_> =
        image.topics().map(|topic| (&*topic.name, topic.partition_count())).collect();
    assert_eq!(
        names,
        [
            ("__consumer_offsets", 4),
            ("__transaction_state", 4),
            ("golden", 1),
            ("golden-append-time", 1),
            ("golden-compacted", 1)
        ]
    );
    let golden = image.topic("golden").unwrap();
    assert_eq!(golden.id.to_string(), "HSGoboVhTMOM6AYz9fbOjw");
    // 0 at first, 1 without a leader during the restart, 2 since.
    assert_eq!(golden.partition(PartitionId(0)).unwrap().leader_epoch, LeaderEpoch(3));
    let broker = image.broker(BrokerId(1)).unwrap();
    assert_eq!(
        (broker.epoch, broker.incarnation_id.to_string().as_str()),
        (185, "mHNJ7CGSQmuZvIGbce7VRQ")
    );
    assert!(broker.fenced, "the session ends with a controlled shutdown");
    let cleanup = image.config_value(&ConfigResource::topic("golden-compacted"), "cleanup.policy");
    assert_eq!(cleanup, Some("compact"));
    let mut again = MetadataImage::empty();
    apply_all(&mut again, &image.write_snapshot());
    assert_eq!(again, image);
}

#[test]
fn the_bootstrap_snapshot_that_kafka_wrote_reads_as_features() {
    let bytes = golden("bootstrap.checkpoint");
    let mut image = MetadataImage::empty();
    for batch in batches(&bytes).map(Result::unwrap).filter(|it| !it.header().is_control()) {
        apply_all(&mut image, &decode_batch(&batch).unwrap());
    }
    let features: Vec<_> = image.features().collect();
    assert_eq!(features.len(), 6);
    assert_eq!(image.feature("transaction.version"), 2);
}
