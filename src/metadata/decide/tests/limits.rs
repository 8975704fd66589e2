//! What one request may make of the log, and what it must not: the log is read again at every
//! start, so nothing may be written that is refused there.

use super::*;

fn incremental(cluster: &Cluster, resource: AlterConfigsResource) -> (i16, Vec<MetadataRecord>) {
    let request = IncrementalAlterConfigsRequest {
        resources: vec![resource],
        ..IncrementalAlterConfigsRequest::default()
    };
    let decision = configs::decide_incremental(&cluster.facts(), &request);
    (decision.response.responses[0].error_code, decision.records)
}

#[test]
fn a_feature_that_is_named_often_is_one_record() {
    let mut cluster = Cluster::new();
    for id in 1..=4 {
        let mut registration = (**cluster.image.broker(BrokerId(id)).unwrap()).clone();
        registration.features = supported_features();
        cluster.apply(&[MetadataRecord::RegisterBroker(registration.to_record())]);
    }
    let update = |max_version_level| FeatureUpdateKey {
        feature: "group.version".to_owned(),
        max_version_level,
        upgrade_type: 1,
        ..FeatureUpdateKey::default()
    };
    // The last mention counts, also when one before it could not be.
    let mut feature_updates = vec![update(9)];
    feature_updates.resize(1_000, update(1));
    let request = UpdateFeaturesRequest { feature_updates, ..UpdateFeaturesRequest::default() };
    let decision = features::decide(&cluster.facts(), &request, 1);
    assert_eq!(decision.records, [feature_record("group.version", 1)]);
    assert_eq!((decision.response.error_code, decision.response.results.len()), (0, 1));
}

#[test]
fn configs_of_one_request_are_limited_in_number_and_bytes() {
    let mut cluster = Cluster::new();
    cluster.topic("t", &[1], &[1], 1);
    let value = "x".repeat(30_000);
    let set = |count: usize, value: &str| {
        let keys: Vec<String> = (0..count).map(|key| format!("key{key}")).collect();
        let changes: Vec<_> = keys.iter().map(|key| (key.as_str(), 0, Some(value))).collect();
        let (code, records) = incremental(&cluster, alter(2, "t", &changes));
        (code, records.len())
    };
    let refused = (ErrorCode::PolicyViolation.code(), 0);
    assert_eq!(set(MAX_RECORDS_PER_REQUEST, "v"), (0, MAX_RECORDS_PER_REQUEST));
    assert_eq!(set(MAX_RECORDS_PER_REQUEST + 1, "v"), refused);
    let fitting = MAX_BYTES_PER_REQUEST / 30_000 - 1;
    assert_eq!(set(fitting, &value), (0, fitting));
    assert_eq!(set(fitting + 2, &value), refused);
    // As many keys as a request may carry are looked at once each.
    assert_eq!(set(100_000, "v"), refused);
}

#[test]
fn a_list_does_not_grow_beyond_what_a_record_holds() {
    let mut cluster = Cluster::new();
    cluster.topic("t", &[1], &[1], 1);
    let long = ["a".repeat(20_000), "b".repeat(20_000)];
    let change = |operation, value: &str| {
        let resource = alter(2, "t", &[("cleanup.policy", operation, Some(value))]);
        incremental(&cluster, resource)
    };
    let (code, records) = change(0, &long[0]);
    assert_eq!((code, records.len()), (0, 1));
    cluster.apply(&records);
    let resource = alter(2, "t", &[("cleanup.policy", 2, Some(long[1].as_str()))]);
    let (code, records) = incremental(&cluster, resource);
    assert_eq!((code, records.len()), (ErrorCode::InvalidConfig.code(), 0));
}

#[test]
fn each_mention_takes_one_entry_off_a_list() {
    let mut cluster = Cluster::new();
    cluster.topic("t", &[1], &[1], 1);
    let steps = [
        (0, "a,b,a,c,a", "a,b,a,c,a"),
        (3, "a,c,none,a", "b,a"),
        (2, "c,a,c", "b,a,c"),
        (3, "a,b,c", ""),
    ];
    for (operation, value, expected) in steps {
        let resource = alter(2, "t", &[("cleanup.policy", operation, Some(value))]);
        let (_, records) = incremental(&cluster, resource);
        cluster.apply(&records);
        let found = cluster.image.config_value(&ConfigResource::topic("t"), "cleanup.policy");
        assert_eq!(found, Some(expected));
    }
}

#[test]
fn topics_of_one_request_share_its_room() {
    let cluster = Cluster::new();
    let half = i32::try_from(MAX_RECORDS_PER_REQUEST / 2).unwrap();
    let decide = |topics: &[(&str, i32)]| {
        let topics = topics.iter().map(|(name, count)| new_topic(name, *count, 1)).collect();
        let request = CreateTopicsRequest { topics, ..CreateTopicsRequest::default() };
        let decision =
            create_topics::decide(&cluster.facts(), &request, &PartitionQuota::unlimited());
        let codes: Vec<_> = decision.response.topics.iter().map(|topic| topic.error_code).collect();
        (codes, decision.records.len())
    };
    let refused = ErrorCode::PolicyViolation.code();
    let fitting = decide(&[("a", half - 1), ("b", half - 1)]);
    assert_eq!(fitting, (vec![0, 0], MAX_RECORDS_PER_REQUEST));
    // One record too many, and partitions too many: neither makes a part of what was asked.
    assert_eq!(decide(&[("a", half - 1), ("b", half)]), (vec![refused; 2], 0));
    assert_eq!(decide(&[("a", half), ("b", half), ("c", 1)]), (vec![refused; 3], 0));
}
