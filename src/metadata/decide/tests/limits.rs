//! What one request may make of the log, and what it must not: the log is read again at every
//! start, so nothing may be written that is refused there.

use super::*;

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
