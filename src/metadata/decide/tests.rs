//! Tables of requests and Kafka's answers to them.

mod limits;

use pharos_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use pharos_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use pharos_protocol::messages::delete_topics_request::DeleteTopicState;
use pharos_protocol::messages::elect_leaders_request::TopicPartitions;
use pharos_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use pharos_protocol::messages::update_features_request::FeatureUpdateKey;
use pharos_protocol::messages::{
    AllocateProducerIdsRequest, AlterClientQuotasRequest, AlterConfigsRequest,
    AlterPartitionRequest, AssignReplicasToDirsRequest, BrokerHeartbeatRequest,
    BrokerRegistrationChangeRecord, CreatePartitionsRequest, CreateTopicsRequest,
    DeleteTopicsRequest, ElectLeadersRequest, IncrementalAlterConfigsRequest, PartitionRecord,
    RegisterBrokerRecord, TopicRecord, UpdateFeaturesRequest, alter_client_quotas_request,
    alter_configs_request, alter_partition_request,
};

use super::*;
use crate::controller::tests::Permissive;
use crate::image::{MetadataDelta, config_record, feature_record};

/// A cluster of three active brokers and a fenced one, whose records can be added to.
struct Cluster {
    image: MetadataImage,
    settings: ControllerSettings,
}

impl Cluster {
    fn new() -> Self {
        let mut settings = ControllerSettings::new(BrokerId(1), "cluster");
        settings.default_num_partitions = 2;
        let mut cluster = Self { image: MetadataImage::empty(), settings };
        let brokers = (1..=4).map(|id| {
            MetadataRecord::RegisterBroker(RegisterBrokerRecord {
                broker_id: id,
                broker_epoch: i64::from(id) * 10,
                incarnation_id: TopicId::random(),
                fenced: id == 4,
                rack: None,
                log_dirs: vec![TopicId::random()],
                ..RegisterBrokerRecord::default()
            })
        });
        let features = [feature_record("metadata.version", 30), feature_record("group.version", 1)];
        cluster.apply(&features.into_iter().chain(brokers).collect::<Vec<_>>());
        cluster
    }

    fn apply(&mut self, records: &[MetadataRecord]) {
        for record in records {
            self.image.apply(record, &mut MetadataDelta::default()).unwrap();
        }
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            image: &self.image,
            settings: &self.settings,
            rules: &Permissive,
            next_offset: 100,
            chance: 0,
        }
    }

    /// Adds a topic with one partition.
    fn topic(&mut self, name: &str, replicas: &[i32], isr: &[i32], leader: i32) -> TopicId {
        let topic_id = TopicId::random();
        self.apply(&[
            MetadataRecord::Topic(TopicRecord { name: name.to_owned(), topic_id }),
            MetadataRecord::Partition(PartitionRecord {
                partition_id: 0,
                topic_id,
                replicas: replicas.to_vec(),
                isr: isr.to_vec(),
                leader,
                leader_epoch: 5,
                partition_epoch: 7,
                directories: vec![DIRECTORY_UNASSIGNED; replicas.len()],
                ..PartitionRecord::default()
            }),
        ]);
        topic_id
    }
}

fn new_topic(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic {
        name: name.to_owned(),
        num_partitions,
        replication_factor,
        ..CreatableTopic::default()
    }
}

fn assigned(name: &str, assignments: &[(i32, &[i32])]) -> CreatableTopic {
    let assignments =
        assignments.iter().map(|(partition_index, broker_ids)| CreatableReplicaAssignment {
            partition_index: *partition_index,
            broker_ids: broker_ids.to_vec(),
        });
    CreatableTopic { assignments: assignments.collect(), ..new_topic(name, -1, -1) }
}

fn configured(name: &str, key: &str, value: Option<&str>) -> CreatableTopic {
    let config = CreatableTopicConfig { name: key.to_owned(), value: value.map(str::to_owned) };
    CreatableTopic { configs: vec![config], ..new_topic(name, 1, 1) }
}

#[test]
fn topics_are_made_or_refused_as_kafka_does() {
    use ErrorCode::*;
    let mut cluster = Cluster::new();
    cluster.topic("taken", &[1], &[1], 1);
    cluster.topic("with_underscore", &[1], &[1], 1);
    let manual = "The manual partition assignment includes";
    let cases: Vec<(CreatableTopic, ErrorCode, String)> = vec![
        (new_topic("ok", 3, 3), None, String::new()),
        (new_topic("defaults", -1, -1), None, String::new()),
        (new_topic("", 1, 1), InvalidTopicException, "Topic name is invalid: the empty string is not allowed".into()),
        (new_topic("taken", 1, 1), TopicAlreadyExists, "Topic 'taken' already exists.".into()),
        (new_topic("with.underscore", 1, 1), InvalidTopicException, "Topic 'with.underscore' collides with existing topic: with_underscore".into()),
        (new_topic("__cluster_metadata", 1, 1), InvalidRequest, "Creation of internal topic __cluster_metadata is prohibited.".into()),
        (new_topic("a", 0, 1), InvalidPartitions, "Number of partitions was set to an invalid non-positive value.".into()),
        (new_topic("a", -2, 1), InvalidPartitions, "Number of partitions was set to an invalid non-positive value.".into()),
        (new_topic("a", 1, 0), InvalidReplicationFactor, "Replication factor must be larger than 0, or -1 to use the default value.".into()),
        (new_topic("a", 1, 5), InvalidReplicationFactor, "Unable to replicate the partition 5 time(s): The target replication factor of 5 cannot be reached because only 4 broker(s) are registered or some brokers have all their log directories cordoned.".into()),
        (new_topic("a", i32::MAX, 1), PolicyViolation, "Excessively large number of partitions per request.".into()),
        (configured("a", "retention.ms", Option::None), InvalidConfig, "Null value not supported for topic configs: retention.ms".into()),
        (configured("a", "retention.ms", Some("bad")), InvalidConfig, "Invalid value bad for configuration retention.ms".into()),
        (configured("configured", "retention.ms", Some("5")), None, String::new()),
        (assigned("manual", &[(1, &[2, 3]), (0, &[1, 2])]), None, String::new()),
        (assigned("a", &[(0, &[])]), InvalidReplicaAssignment, format!("{manual} an empty replica list.")),
        (assigned("a", &[(0, &[9])]), InvalidReplicaAssignment, format!("{manual} broker 9, but no such broker is registered.")),
        (assigned("a", &[(0, &[1, 1])]), InvalidReplicaAssignment, format!("{manual} the broker 1 more than once.")),
        (assigned("a", &[(0, &[1]), (1, &[1, 2])]), InvalidReplicaAssignment, format!("{manual} a partition with 2 replica(s), but this is not consistent with previous partitions, which have 1 replica(s).")),
        (assigned("a", &[(0, &[1]), (0, &[2])]), InvalidReplicaAssignment, "Found multiple manual partition assignments for partition 0".into()),
        (assigned("a", &[(0, &[1]), (2, &[2])]), InvalidReplicaAssignment, "partitions should be a consecutive 0-based integer sequence".into()),
        (assigned("a", &[(0, &[4])]), InvalidReplicaAssignment, "All brokers specified in the manual partition assignment for partition 0 are fenced or in controlled shutdown.".into()),
        (CreatableTopic { num_partitions: 1, ..assigned("a", &[(0, &[1])]) }, InvalidRequest, "A manual partition assignment was specified, but numPartitions was not set to -1.".into()),
        (CreatableTopic { replication_factor: 1, ..assigned("a", &[(0, &[1])]) }, InvalidRequest, "A manual partition assignment was specified, but replication factor was not set to -1.".into()),
    ];
    for (topic, code, message) in cases {
        let name = topic.name.clone();
        let request = CreateTopicsRequest { topics: vec![topic], ..CreateTopicsRequest::default() };
        let decision =
            create_topics::decide(&cluster.facts(), &request, &PartitionQuota::unlimited());
        let result = &decision.response.topics[0];
        assert_eq!(result.error_code, code.code(), "{name}: {:?}", result.error_message);
        assert_eq!(result.error_message.clone().unwrap_or_default(), message);
        assert_eq!(decision.records.is_empty(), code != None);
        // What was decided fits the image.
        let before = cluster.image.clone();
        cluster.apply(&decision.records);
        let made = cluster.image.topic(&name).map_or(0, |topic| topic.partition_count());
        match name.as_str() {
            "ok" => assert_eq!((made, result.num_partitions, result.replication_factor), (3, 3, 3)),
            "defaults" => assert_eq!((made, result.replication_factor), (2, 1)),
            "manual" => {
                let second = cluster.image.partition("manual", PartitionId(1)).unwrap();
                assert_eq!(second.replicas, [BrokerId(2), BrokerId(3)]);
                assert_eq!(second.leader, BrokerId(2));
            }
            _ => {}
        }
        cluster.image = before;
    }
}

#[test]
fn one_request_is_decided_topic_by_topic() {
    let cluster = Cluster::new();
    let topics = vec![
        new_topic("twice", 1, 1),
        new_topic("a.b", 1, 1),
        new_topic("a_b", 1, 1),
        new_topic("twice", 1, 1),
    ];
    let request =
        CreateTopicsRequest { topics, validate_only: true, ..CreateTopicsRequest::default() };
    let decision = create_topics::decide(&cluster.facts(), &request, &PartitionQuota::unlimited());
    let codes: Vec<_> =
        decision.response.topics.iter().map(|it| (it.name.as_str(), it.error_code)).collect();
    assert_eq!(codes, [("a.b", 0), ("a_b", 17), ("twice", 42)]);
    assert!(decision.records.is_empty(), "it was only to be validated");
    let empty = create_topics::decide(
        &cluster.facts(),
        &CreateTopicsRequest::default(),
        &PartitionQuota::unlimited(),
    );
    assert!(empty.response.topics.is_empty());
}

#[test]
fn topics_are_deleted_by_name_or_id() {
    let mut cluster = Cluster::new();
    let by_name = cluster.topic("by-name", &[1], &[1], 1);
    let by_id = cluster.topic("by-id", &[1], &[1], 1);
    let both = cluster.topic("both", &[1], &[1], 1);
    let nowhere = TopicId::random();
    let state =
        |name: Option<&str>, topic_id| DeleteTopicState { name: name.map(str::to_owned), topic_id };
    let request = DeleteTopicsRequest {
        topics: vec![
            state(Some("by-name"), TopicId::ZERO),
            state(None, by_id),
            state(Some("none"), TopicId::ZERO),
            state(None, nowhere),
            state(None, TopicId::ZERO),
            state(Some("x"), by_id),
            state(Some("both"), TopicId::ZERO),
            state(None, both),
        ],
        ..DeleteTopicsRequest::default()
    };
    let decision = delete_topics::decide(&cluster.facts(), &request, &PartitionQuota::unlimited());
    let mut answers: Vec<_> = decision
        .response
        .responses
        .iter()
        .map(|it| (it.name.clone().unwrap_or_default(), it.error_code))
        .collect();
    answers.sort();
    let expected =
        [("", 42), ("", 100), ("both", 42), ("by-id", 0), ("by-name", 0), ("none", 3), ("x", 42)];
    assert_eq!(answers, expected.map(|(name, code)| (name.to_owned(), code)));
    cluster.apply(&decision.records);
    assert!(cluster.image.topic_by_id(by_name).is_none());
    let names: Vec<_> = cluster.image.topics().map(|topic| topic.name.to_string()).collect();
    assert_eq!(names, ["both"]);
    cluster.settings.delete_topic_enable = false;
    let old = DeleteTopicsRequest {
        topic_names: vec!["both".to_owned()],
        ..DeleteTopicsRequest::default()
    };
    let decision = delete_topics::decide(&cluster.facts(), &old, &PartitionQuota::unlimited());
    assert_eq!(decision.response.responses[0].error_code, ErrorCode::TopicDeletionDisabled.code());
    assert!(decision.records.is_empty());
}

#[test]
fn partitions_are_only_added() {
    let mut cluster = Cluster::new();
    cluster.topic("t", &[1, 2], &[1, 2], 1);
    type Case<'a> = (i32, Option<Vec<Vec<i32>>>, i16, &'a str);
    let cases: Vec<Case<'_>> = vec![
        (3, None, 0, ""),
        (1, None, 37, "Topic already has 1 partition(s)."),
        (0, None, 37, "The topic t currently has 1 partition(s); 0 would not be an increase."),
        (-5, None, 37, "The topic t currently has 1 partition(s); -5 would not be an increase."),
        (2, Some(vec![vec![2, 3]]), 0, ""),
        (
            3,
            Some(vec![vec![2, 3]]),
            39,
            "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.",
        ),
        (
            2,
            Some(vec![vec![2]]),
            39,
            "The manual partition assignment includes a partition with 1 replica(s), but this is not consistent with previous partitions, which have 2 replica(s).",
        ),
        (
            i32::MAX,
            None,
            44,
            "Unable to perform excessively large batch operation of more than 10000 records.",
        ),
    ];
    for (count, assignments, code, message) in cases {
        let topic = CreatePartitionsTopic {
            name: "t".to_owned(),
            count,
            assignments: assignments.map(|all| {
                all.into_iter()
                    .map(|broker_ids| CreatePartitionsAssignment { broker_ids })
                    .collect()
            }),
        };
        let request =
            CreatePartitionsRequest { topics: vec![topic], ..CreatePartitionsRequest::default() };
        let decision =
            create_partitions::decide(&cluster.facts(), &request, &PartitionQuota::unlimited());
        let result = &decision.response.results[0];
        assert_eq!(result.error_code, code, "{count}: {:?}", result.error_message);
        assert_eq!(result.error_message.clone().unwrap_or_default(), message);
        let mut after = cluster.image.clone();
        for record in &decision.records {
            after.apply(record, &mut MetadataDelta::default()).unwrap();
        }
        let expected = if code == 0 { usize::try_from(count).unwrap() } else { 1 };
        assert_eq!(after.topic("t").unwrap().partition_count(), expected);
    }
}

fn alter(kind: i8, name: &str, changes: &[(&str, i8, Option<&str>)]) -> AlterConfigsResource {
    let configs = changes.iter().map(|(key, operation, value)| AlterableConfig {
        name: (*key).to_owned(),
        config_operation: *operation,
        value: value.map(str::to_owned),
    });
    AlterConfigsResource {
        resource_type: kind,
        resource_name: name.to_owned(),
        configs: configs.collect(),
    }
}

#[test]
fn configs_are_altered_step_by_step() {
    let mut cluster = Cluster::new();
    cluster.topic("t", &[1], &[1], 1);
    let cases: Vec<(AlterConfigsResource, i16, &str, Option<&str>)> = vec![
        (alter(2, "t", &[("k", 0, Some("v"))]), 0, "", Some("v")),
        (alter(2, "t", &[("k", 1, None)]), 0, "", None),
        (
            alter(2, "t", &[("k", 0, Some("bad"))]),
            40,
            "Invalid value bad for configuration k",
            None,
        ),
        (
            alter(2, "t", &[("k", 2, Some("v"))]),
            40,
            "Can't APPEND to key k because its type is not LIST.",
            None,
        ),
        (alter(2, "t", &[("k", 0, None)]), 42, "Null value not supported for : k", None),
        (alter(2, "t", &[("k", 9, Some("v"))]), 42, "Unknown operation type 9.", None),
        (
            alter(2, "t", &[("k", 0, Some("1")), ("k", 0, Some("2"))]),
            42,
            "Error due to duplicate config keys: k",
            None,
        ),
        (
            alter(2, "nowhere", &[("k", 0, Some("v"))]),
            3,
            "The topic 'nowhere' does not exist.",
            None,
        ),
        (alter(2, "", &[]), 42, "Default topic resources are not allowed.", None),
        (alter(4, "", &[("k", 0, Some("v"))]), 0, "", Some("v")),
        (alter(4, "1", &[("k", 0, Some("v"))]), 0, "", Some("v")),
        (alter(4, "77", &[("k", 0, Some("v"))]), 102, "No node with id 77 found.", None),
        (alter(4, "x", &[]), 42, "Unable to parse broker name as a base 10 number.", None),
        (alter(4, "-1", &[]), 42, "Invalid negative broker ID.", None),
        (alter(8, "1", &[]), 42, "Unknown resource type BROKER_LOGGER", None),
        (alter(3, "x", &[]), 35, "Unknown resource type 3.", None),
        (alter(16, "sub", &[("k", 0, Some("v"))]), 0, "", Some("v")),
        (alter(32, "group", &[("k", 0, Some("v"))]), 0, "", Some("v")),
        (alter(32, "", &[]), 42, "Default group resources are not allowed.", None),
    ];
    for (resource, code, message, value) in cases {
        let kind = ConfigResourceType::from_code(resource.resource_type);
        let name = resource.resource_name.clone();
        let request = IncrementalAlterConfigsRequest {
            resources: vec![resource],
            ..IncrementalAlterConfigsRequest::default()
        };
        let decision = configs::decide_incremental(&cluster.facts(), &request);
        let result = &decision.response.responses[0];
        assert_eq!(result.error_code, code, "{name}: {:?}", result.error_message);
        assert_eq!(result.error_message.clone().unwrap_or_default(), message);
        let mut after = cluster.image.clone();
        for record in &decision.records {
            after.apply(record, &mut MetadataDelta::default()).unwrap();
        }
        if let Some(kind) = kind {
            assert_eq!(after.config_value(&ConfigResource::new(kind, name), "k"), value);
        }
    }
}

#[test]
fn lists_grow_and_shrink_from_their_default() {
    let mut cluster = Cluster::new();
    cluster.topic("t", &[1], &[1], 1);
    let steps = [
        (2, "compact", "delete,compact"),
        (2, "delete", "delete,compact"),
        (3, "delete", "compact"),
    ];
    for (operation, value, expected) in steps {
        let request = IncrementalAlterConfigsRequest {
            resources: vec![alter(2, "t", &[("cleanup.policy", operation, Some(value))])],
            ..IncrementalAlterConfigsRequest::default()
        };
        let decision = configs::decide_incremental(&cluster.facts(), &request);
        cluster.apply(&decision.records);
        let resource = ConfigResource::topic("t");
        assert_eq!(cluster.image.config_value(&resource, "cleanup.policy"), Some(expected));
    }
    // The old request replaces all that was set.
    let request = AlterConfigsRequest {
        resources: vec![alter_configs_request::AlterConfigsResource {
            resource_type: 2,
            resource_name: "t".to_owned(),
            configs: vec![alter_configs_request::AlterableConfig {
                name: "k".to_owned(),
                value: Some("v".to_owned()),
            }],
        }],
        ..AlterConfigsRequest::default()
    };
    let decision = configs::decide_replacing(&cluster.facts(), &request);
    cluster.apply(&decision.records);
    let left = cluster.image.config(&ConfigResource::topic("t")).unwrap();
    assert_eq!(left.iter().collect::<Vec<_>>(), [(&"k".to_owned(), &"v".to_owned())]);
}

#[test]
fn what_the_cluster_makes_for_itself_is_made_once_and_stays() {
    let mut cluster = Cluster::new();
    let all = ConfigResource::cluster_default();
    for value in ["first", "second"] {
        let decision = configs::decide_once(&cluster.facts(), &all, "own.secret", value);
        cluster.apply(&decision.records);
        assert_eq!(cluster.image.config_value(&all, "own.secret"), Some("first"));
    }
    // The old request replaces what was set, but for what whoever sent it cannot have read.
    let replace = |name: &str| AlterConfigsRequest {
        resources: vec![alter_configs_request::AlterConfigsResource {
            resource_type: 4,
            configs: vec![alter_configs_request::AlterableConfig {
                name: name.to_owned(),
                value: Some("v".to_owned()),
            }],
            ..Default::default()
        }],
        ..AlterConfigsRequest::default()
    };
    for (name, expected) in [("k", "first"), ("own.secret", "v")] {
        let decision = configs::decide_replacing(&cluster.facts(), &replace(name));
        assert_eq!(decision.response.responses[0].error_code, 0);
        cluster.apply(&decision.records);
        assert_eq!(cluster.image.config_value(&all, "own.secret"), Some(expected));
    }
    assert_eq!(cluster.image.config_value(&all, "k"), None);
    // Whoever wants new names takes it away.
    let request = IncrementalAlterConfigsRequest {
        resources: vec![alter(4, "", &[("own.secret", 1, None)])],
        ..IncrementalAlterConfigsRequest::default()
    };
    let decision = configs::decide_incremental(&cluster.facts(), &request);
    cluster.apply(&decision.records);
    assert_eq!(cluster.image.config_value(&all, "own.secret"), None);
}

#[test]
fn a_leader_alters_its_in_sync_set() {
    let mut cluster = Cluster::new();
    let id = cluster.topic("t", &[1, 2, 4], &[1, 2], 1);
    // broker, its epoch, leader epoch, partition epoch, set with epochs; code.
    type Case<'a> = (i32, i64, i32, i32, &'a [(i32, i64)], ErrorCode);
    let cases: [Case<'_>; 11] = [
        (1, 10, 5, 7, &[(1, 10)], ErrorCode::None),
        (1, 10, 5, 7, &[(1, 10), (2, -1)], ErrorCode::None),
        (1, 11, 5, 7, &[(1, 10)], ErrorCode::StaleBrokerEpoch),
        (1, 10, 6, 7, &[(1, 10)], ErrorCode::NotController),
        (1, 10, 4, 7, &[(1, 10)], ErrorCode::FencedLeaderEpoch),
        (1, 10, 5, 8, &[(1, 10)], ErrorCode::NotController),
        (1, 10, 5, 6, &[(1, 10)], ErrorCode::InvalidUpdateVersion),
        (2, 20, 5, 7, &[(2, 20)], ErrorCode::InvalidRequest),
        (1, 10, 5, 7, &[(1, 10), (3, 30)], ErrorCode::InvalidRequest),
        (1, 10, 5, 7, &[(1, 10), (4, 40)], ErrorCode::IneligibleReplica),
        (1, 10, 5, 7, &[(1, 10), (2, 19)], ErrorCode::IneligibleReplica),
    ];
    for (broker_id, broker_epoch, leader_epoch, partition_epoch, isr, code) in cases {
        let states =
            isr.iter().map(|(broker_id, broker_epoch)| alter_partition_request::BrokerState {
                broker_id: *broker_id,
                broker_epoch: *broker_epoch,
            });
        let partition = alter_partition_request::PartitionData {
            partition_index: 0,
            leader_epoch,
            partition_epoch,
            new_isr_with_epochs: states.collect(),
            ..alter_partition_request::PartitionData::default()
        };
        let request = AlterPartitionRequest {
            broker_id,
            broker_epoch,
            topics: vec![alter_partition_request::TopicData {
                topic_id: id,
                partitions: vec![partition],
            }],
        };
        let decision = alter_partition::decide(&cluster.facts(), &request, 3);
        let response = &decision.response;
        let found = match response.topics.first() {
            Some(topic) => topic.partitions[0].error_code,
            None => response.error_code,
        };
        assert_eq!(found, code.code(), "{isr:?}");
        if code == ErrorCode::None {
            let told = &response.topics[0].partitions[0];
            let expected: Vec<i32> = isr.iter().map(|(id, _)| *id).collect();
            assert_eq!((&told.isr, told.leader_epoch), (&expected, 5));
            let changed = i32::from(!decision.records.is_empty());
            assert_eq!(told.partition_epoch, 7 + changed);
        }
    }
}

#[test]
fn elections_are_held_where_they_are_needed() {
    let mut cluster = Cluster::new();
    cluster.topic("moved", &[1, 2], &[1, 2], 2);
    cluster.topic("fine", &[1, 2], &[1, 2], 1);
    cluster.topic("lost", &[2, 4], &[4], -1);
    cluster.topic("out", &[4, 1], &[1], 1);
    let elect = |election_type, topics: Option<&[(&str, i32)]>| {
        let topics = topics.map(|topics| {
            let topics = topics.iter().map(|(topic, partition)| TopicPartitions {
                topic: (*topic).to_owned(),
                partitions: vec![*partition],
            });
            topics.collect()
        });
        let request = ElectLeadersRequest {
            election_type,
            topic_partitions: topics,
            ..ElectLeadersRequest::default()
        };
        let decision = elect_leaders::decide(&cluster.facts(), &request);
        let mut answers = Vec::new();
        for topic in &decision.response.replica_election_results {
            for partition in &topic.partition_result {
                answers.push((topic.topic.clone(), partition.error_code));
            }
        }
        (decision.response.error_code, answers, decision.records.len())
    };
    let named = |names: &[(&str, i16)]| -> Vec<(String, i16)> {
        names.iter().map(|(name, code)| ((*name).to_owned(), *code)).collect()
    };
    let asked: &[(&str, i32)] =
        &[("moved", 0), ("fine", 0), ("lost", 0), ("out", 0), ("none", 0), ("fine", 9)];
    assert_eq!(
        elect(0, Some(asked)),
        (
            0,
            named(&[
                ("moved", 0),
                ("fine", 84),
                ("lost", 80),
                ("out", 80),
                ("none", 3),
                ("fine", 3)
            ]),
            1
        )
    );
    assert_eq!(
        elect(1, Some(&[("lost", 0), ("fine", 0)])),
        (0, named(&[("lost", 0), ("fine", 84)]), 1)
    );
    assert_eq!(elect(0, None), (0, named(&[("lost", 80), ("moved", 0), ("out", 80)]), 1));
    assert_eq!(elect(7, None), (42, Vec::new(), 0));
}

#[test]
fn whether_a_replica_out_of_sync_may_lead_is_asked_at_each_election() {
    let mut cluster = Cluster::new();
    cluster.topic("t", &[1, 2], &[1], -1);
    let leader = |cluster: &Cluster| {
        let mut records = Vec::new();
        cluster.facts().rebalance_for(None, Some(BrokerId(2)), &mut records);
        match &records[..] {
            [MetadataRecord::PartitionChange(change)] => Some(change.leader),
            _ => None,
        }
    };
    // Broker 1, the only one in sync, is gone.
    let fence = MetadataRecord::BrokerRegistrationChange(BrokerRegistrationChangeRecord {
        broker_id: 1,
        broker_epoch: 10,
        fenced: 1,
        ..Default::default()
    });
    cluster.apply(&[fence]);
    assert_eq!(leader(&cluster), None);
    let key = "unclean.leader.election.enable";
    let set = |cluster: &mut Cluster, resource: &ConfigResource, value| {
        cluster.apply(&[config_record(resource, key, value)]);
    };
    let (all, topic) = (ConfigResource::cluster_default(), ConfigResource::topic("t"));
    set(&mut cluster, &all, Some("true"));
    assert_eq!(leader(&cluster), Some(2));
    set(&mut cluster, &topic, Some("false"));
    assert_eq!(leader(&cluster), None, "the topic's own value comes first");
    set(&mut cluster, &topic, None);
    set(&mut cluster, &all, None);
    assert_eq!(leader(&cluster), None);
}

#[test]
fn producer_ids_come_in_blocks_and_only_to_registered_brokers() {
    let mut cluster = Cluster::new();
    for first in [0, 1000, 2000] {
        let request = AllocateProducerIdsRequest { broker_id: 1, broker_epoch: 10 };
        let decision = producer_ids::decide(&cluster.facts(), &request);
        let response = &decision.response;
        assert_eq!((response.producer_id_start, response.producer_id_len), (first, 1000));
        cluster.apply(&decision.records);
    }
    for (broker_id, broker_epoch) in [(1, 11), (9, 10)] {
        let request = AllocateProducerIdsRequest { broker_id, broker_epoch };
        let decision = producer_ids::decide(&cluster.facts(), &request);
        assert_eq!(decision.response.error_code, ErrorCode::StaleBrokerEpoch.code());
        assert!(decision.records.is_empty());
    }
}

#[test]
fn features_move_only_where_every_node_can_follow() {
    let cluster = {
        let mut cluster = Cluster::new();
        // The brokers of this cluster named no features.
        let mut brokers: Vec<_> = cluster.image.brokers().cloned().collect();
        for broker in &mut brokers {
            let mut registration = (**broker).clone();
            registration.features = supported_features();
            cluster.apply(&[MetadataRecord::RegisterBroker(registration.to_record())]);
        }
        cluster
    };
    let prefix = |feature: &str, level: i16| {
        format!("Invalid update version {level} for feature {feature}. ")
    };
    let cases = [
        ("group.version", 0, 2, String::new()),
        ("group.version", 0, 1, prefix("group.version", 0) + "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade."),
        ("group.version", 1, 1, String::new()),
        ("group.version", 2, 1, prefix("group.version", 2) + "Local controller 1 only supports versions 0-1"),
        ("group.version", -1, 1, prefix("group.version", -1) + "A feature version cannot be less than 0."),
        ("group.version", 1, 9, prefix("group.version", 1) + "The controller does not support the given upgrade type."),
        ("transaction.version", 2, 1, prefix("transaction.version", 2) + "Local controller 1 does not support this feature."),
        ("metadata.version", 31, 1, prefix("metadata.version", 31) + "Local controller 1 only supports versions 7-30"),
        ("metadata.version", 29, 2, "Invalid metadata.version 29. Refusing to perform the requested downgrade because it might delete metadata information.".to_owned()),
    ];
    for (feature, level, upgrade_type, expected) in cases {
        let update = FeatureUpdateKey {
            feature: feature.to_owned(),
            max_version_level: level,
            upgrade_type,
            ..FeatureUpdateKey::default()
        };
        let request = UpdateFeaturesRequest {
            feature_updates: vec![update],
            ..UpdateFeaturesRequest::default()
        };
        let decision = features::decide(&cluster.facts(), &request, 2);
        let message = decision.response.error_message.unwrap_or_default();
        let prefix =
            "The update failed for all features since the following feature had an error: ";
        assert_eq!(message.strip_prefix(prefix).unwrap_or_default(), expected);
        assert_eq!(decision.records.is_empty(), !expected.is_empty());
    }
}

#[test]
fn replicas_are_assigned_to_directories_and_leave_with_them() {
    use pharos_protocol::messages::assign_replicas_to_dirs_request as request;
    let mut cluster = Cluster::new();
    let id = cluster.topic("t", &[1, 2], &[1, 2], 1);
    let online = cluster.image.broker(BrokerId(1)).unwrap().log_dirs[0];
    let assign = |cluster: &Cluster, broker_id, directory, topic_id, partition_index| {
        let partitions = vec![request::PartitionData { partition_index }];
        let directories = vec![request::DirectoryData {
            id: directory,
            topics: vec![request::TopicData { topic_id, partitions }],
        }];
        let request = AssignReplicasToDirsRequest {
            broker_id,
            broker_epoch: i64::from(broker_id) * 10,
            directories,
        };
        let decision = assign_directories::decide(&cluster.facts(), &request);
        let code = decision.response.directories[0].topics[0].partitions[0].error_code;
        (code, decision.records)
    };
    assert_eq!(assign(&cluster, 1, online, TopicId::random(), 0).0, 100);
    assert_eq!(assign(&cluster, 1, online, id, 1).0, 3);
    assert_eq!(assign(&cluster, 3, online, id, 0).0, 6);
    let (code, records) = assign(&cluster, 1, online, id, 0);
    assert_eq!(code, 0);
    cluster.apply(&records);
    let partition = cluster.image.partition("t", PartitionId(0)).unwrap();
    assert_eq!(
        (partition.directory_of(BrokerId(1)), partition.leader),
        (Some(online), BrokerId(1))
    );
    assert!(assign(&cluster, 1, online, id, 0).1.is_empty(), "nothing changes a second time");
    let (_, records) = assign(&cluster, 1, TopicId::random(), id, 0);
    cluster.apply(&records);
    let partition = cluster.image.partition("t", PartitionId(0)).unwrap();
    assert_eq!((partition.leader, &partition.isr), (BrokerId(2), &vec![BrokerId(2)]));
}

fn limit(user: &str, key: &str, value: f64) -> alter_client_quotas_request::EntryData {
    alter_client_quotas_request::EntryData {
        entity: vec![alter_client_quotas_request::EntityData {
            entity_type: "user".to_owned(),
            entity_name: Some(user.to_owned()),
        }],
        ops: vec![alter_client_quotas_request::OpData {
            key: key.to_owned(),
            value,
            remove: false,
        }],
    }
}

#[test]
fn a_quota_is_recorded_once_and_only_when_it_changes() {
    let mut cluster = Cluster::new();
    let nobody = std::collections::HashSet::new();
    let entries =
        vec![limit("a", "producer_byte_rate", 5.0), limit("a", "producer_byte_rate", 6.0)];
    let mut request = AlterClientQuotasRequest { entries, validate_only: false };
    let decided = client_quotas::decide(&cluster.facts(), &request, &nobody);
    // The second entry is told of and the first one stands.
    assert_eq!(decided.response.entries.len(), 1);
    let message = decided.response.entries[0].error_message.as_deref();
    assert_eq!(message, Some("Ignoring duplicate entity ClientQuotaEntity(entries={user=a})"));
    assert_eq!(decided.records.len(), 1);
    cluster.apply(&decided.records);
    request.entries.pop();
    let again = client_quotas::decide(&cluster.facts(), &request, &nobody);
    assert_eq!((again.records.len(), again.response.entries[0].error_code), (0, 0));
}

#[test]
fn a_request_for_too_many_quotas_is_refused_whole() {
    let entries = (0..=MAX_RECORDS_PER_REQUEST)
        .map(|at| limit(&at.to_string(), "producer_byte_rate", 5.0))
        .collect();
    let request = AlterClientQuotasRequest { entries, validate_only: false };
    let nobody = std::collections::HashSet::new();
    let decided = client_quotas::decide(&Cluster::new().facts(), &request, &nobody);
    assert!(decided.records.is_empty());
    assert_eq!(decided.response.entries.len(), MAX_RECORDS_PER_REQUEST + 1);
    let refused = ErrorCode::PolicyViolation.code();
    assert!(decided.response.entries.iter().all(|entry| entry.error_code == refused));
}

#[test]
fn a_broker_says_which_directories_take_no_replicas() {
    let mut cluster = Cluster::new();
    let dir = cluster.image.broker(BrokerId(2)).unwrap().log_dirs[0];
    let usable = |cluster: &Cluster| -> Vec<i32> {
        cluster.facts().usable_brokers().iter().map(|broker| broker.id.0).collect()
    };
    let lease = brokers::HeartbeatFacts { lowest_active_offset: 0, controlled_shutdown_offset: -1 };
    let tell = |cluster: &Cluster, cordoned: Option<Vec<TopicId>>| {
        let request = BrokerHeartbeatRequest {
            broker_id: 2,
            broker_epoch: 20,
            current_metadata_offset: 30,
            cordoned_log_dirs: cordoned,
            ..BrokerHeartbeatRequest::default()
        };
        brokers::heartbeat(&cluster.facts(), &request, lease).0.records
    };
    let told = |cordoned: Vec<TopicId>| {
        vec![MetadataRecord::BrokerRegistrationChange(BrokerRegistrationChangeRecord {
            broker_id: 2,
            broker_epoch: 20,
            cordoned_log_dirs: Some(cordoned),
            ..BrokerRegistrationChangeRecord::default()
        })]
    };
    assert_eq!(tell(&cluster, None), []);
    // The first word is news even if it is about none, as in Kafka.
    for cordoned in [vec![], vec![dir], vec![]] {
        let records = tell(&cluster, Some(cordoned.clone()));
        assert_eq!(records, told(cordoned.clone()));
        cluster.apply(&records);
        assert_eq!(tell(&cluster, Some(cordoned.clone())), []);
        assert_eq!(tell(&cluster, None), []);
        let expected: &[i32] = if cordoned.is_empty() { &[1, 2, 3, 4] } else { &[1, 3, 4] };
        assert_eq!(usable(&cluster), expected);
    }
    // Before Kafka 4.3 nothing knew of it.
    cluster.apply(&[feature_record("metadata.version", 29)]);
    assert_eq!(tell(&cluster, Some(vec![dir])), []);
}
