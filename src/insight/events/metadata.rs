//! The events in a step of the metadata.

use pharos_base::BrokerId;
use pharos_metadata::image::{
    ConfigResource, ConfigResourceType, MetadataDelta, MetadataImage, TopicImage,
};

use super::{EventKind, Happened};

/// What happened between `before` and `after`. A first step, from the empty image, tells what has
/// been so for long: nothing happened.
pub fn of_metadata(
    before: &MetadataImage,
    after: &MetadataImage,
    delta: &MetadataDelta,
) -> Vec<Happened> {
    if before.last_offset().0 < 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    topics(before, after, delta, &mut found);
    elections(before, after, delta, &mut found);
    for id in &delta.brokers_changed {
        found.extend(fencing(before, after, *id));
    }
    for resource in &delta.configs_changed {
        let subject = name_of(resource);
        let text = "its configuration changed".to_owned();
        found.push(Happened { kind: EventKind::ConfigChange, subject, text });
    }
    found
}

fn topics(
    before: &MetadataImage,
    after: &MetadataImage,
    delta: &MetadataDelta,
    found: &mut Vec<Happened>,
) {
    let mut push = |subject: &str, text: String| {
        found.push(Happened { kind: EventKind::Topic, subject: subject.to_owned(), text });
    };
    for name in delta.topics_deleted.values() {
        push(name, "was deleted".to_owned());
    }
    let created = delta.topics_created.iter().filter_map(|id| after.topic_by_id(*id));
    for topic in created {
        push(&topic.name, format!("was created with {} partitions", topic.partition_count()));
    }
    for (topic, old) in changed_topics(before, after, delta) {
        if topic.partition_count() > old.partition_count() {
            push(&topic.name, format!("has {} partitions now", topic.partition_count()));
        }
    }
}

/// One event a topic: a broker that goes takes thousands of leaderships with it.
fn elections(
    before: &MetadataImage,
    after: &MetadataImage,
    delta: &MetadataDelta,
    found: &mut Vec<Happened>,
) {
    for (topic, old) in changed_topics(before, after, delta) {
        let moved: Vec<_> = delta
            .partitions_of(topic.id)
            .filter_map(|index| {
                let (was, is) = (old.partition(index)?, topic.partition(index)?);
                (was.leader != is.leader).then_some((index, was.leader, is.leader))
            })
            .collect();
        let subject = topic.name.to_string();
        let text = match moved.as_slice() {
            [] => continue,
            [(index, was, is)] => {
                let [was, is] = [was, is].map(|id| leader_name(*id));
                format!("partition {index} is led by {is}, was by {was}")
            }
            several => format!("{} partitions have another leader", several.len()),
        };
        found.push(Happened { kind: EventKind::Election, subject, text });
    }
    if delta.unclean_elections > 0 {
        let text = format!(
            "{} leaders were elected outside the in-sync replicas",
            delta.unclean_elections
        );
        let subject = "cluster".to_owned();
        found.push(Happened { kind: EventKind::UncleanElection, subject, text });
    }
}

/// Topics that were there before, with partitions that changed: as they are and as they were.
fn changed_topics<'a>(
    before: &'a MetadataImage,
    after: &'a MetadataImage,
    delta: &'a MetadataDelta,
) -> impl Iterator<Item = (&'a TopicImage, &'a TopicImage)> {
    let mut last = None;
    let ids = delta.partitions_changed.iter().map(|(id, _)| *id);
    let ids = ids.filter(move |id| last.replace(*id) != Some(*id));
    ids.filter_map(|id| Some((&**after.topic_by_id(id)?, &**before.topic_by_id(id)?)))
}

fn leader_name(id: BrokerId) -> String {
    if id == BrokerId::NONE { "nobody".to_owned() } else { format!("broker {id}") }
}

fn fencing(before: &MetadataImage, after: &MetadataImage, id: BrokerId) -> Option<Happened> {
    let (was, is) = (before.broker(id), after.broker(id));
    let text = match (was.map(|broker| broker.fenced), is.map(|broker| broker.fenced)) {
        (Some(true) | None, Some(false)) => "is in service",
        (Some(false), Some(true)) => "was fenced",
        (Some(_), None) => "was unregistered",
        _ => return None,
    };
    let subject = format!("broker {id}");
    Some(Happened { kind: EventKind::Fencing, subject, text: text.to_owned() })
}

fn name_of(resource: &ConfigResource) -> String {
    let kind = match resource.kind {
        ConfigResourceType::Topic => "topic",
        ConfigResourceType::Broker if resource.name.is_empty() => return "all brokers".to_owned(),
        ConfigResourceType::Broker => "broker",
        ConfigResourceType::BrokerLogger => "loggers of broker",
        ConfigResourceType::ClientMetrics => "client metrics",
        ConfigResourceType::Group => "group",
    };
    format!("{kind} {}", resource.name)
}

#[cfg(test)]
mod tests {
    use pharos_base::{LeaderEpoch, Offset, TopicId};
    use pharos_metadata::image::Provenance;
    use pharos_metadata::record::MetadataRecord;
    use pharos_protocol::messages::{
        BrokerRegistrationChangeRecord, ConfigRecord, PartitionChangeRecord, PartitionRecord,
        RegisterBrokerRecord, RemoveTopicRecord, TopicRecord,
    };

    use super::*;

    fn id() -> TopicId {
        TopicId::parse("tjfmyZCZSV-VQ8T1Kx9FCg").unwrap()
    }

    fn topic() -> Vec<MetadataRecord> {
        vec![
            MetadataRecord::Topic(TopicRecord { name: "t".to_owned(), topic_id: id() }),
            partition(0),
            partition(1),
        ]
    }

    fn partition(partition_id: i32) -> MetadataRecord {
        MetadataRecord::Partition(PartitionRecord {
            partition_id,
            topic_id: id(),
            replicas: vec![1, 2],
            isr: vec![1, 2],
            leader: 1,
            ..PartitionRecord::default()
        })
    }

    fn elected(partition_id: i32, leader: i32) -> MetadataRecord {
        MetadataRecord::PartitionChange(PartitionChangeRecord {
            partition_id,
            topic_id: id(),
            leader,
            ..PartitionChangeRecord::default()
        })
    }

    fn fenced(fenced: i8) -> MetadataRecord {
        MetadataRecord::BrokerRegistrationChange(BrokerRegistrationChangeRecord {
            broker_id: 1,
            broker_epoch: 5,
            fenced,
            ..BrokerRegistrationChangeRecord::default()
        })
    }

    /// What `records` after `before` tell, as `kind subject: text`.
    fn check(before: &[MetadataRecord], records: &[MetadataRecord], expected: &[&str]) {
        let mut image = MetadataImage::empty();
        for record in before {
            image.apply(record, &mut MetadataDelta::default()).unwrap();
        }
        image.set_provenance(Provenance {
            last_offset: Offset(10),
            last_epoch: LeaderEpoch(1),
            last_timestamp_ms: 0,
        });
        let (mut after, mut delta) = (image.clone(), MetadataDelta::default());
        for record in records {
            after.apply(record, &mut delta).unwrap();
        }
        let found = of_metadata(&image, &after, &delta);
        let lines =
            found.iter().map(|of| format!("{} {}: {}", of.kind.name(), of.subject, of.text));
        assert_eq!(lines.collect::<Vec<_>>(), expected);
        assert_eq!(of_metadata(&MetadataImage::empty(), &after, &delta), []);
    }

    #[test]
    fn steps_of_the_metadata_tell_what_happened() {
        check(&[], &topic(), &["topic t: was created with 2 partitions"]);
        check(&topic(), &[partition(2)], &["topic t: has 3 partitions now"]);
        let remove = MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: id() });
        check(&topic(), &[remove], &["topic t: was deleted"]);
        check(
            &topic(),
            &[elected(1, 2)],
            &["election t: partition 1 is led by broker 2, was by broker 1"],
        );
        check(
            &topic(),
            &[elected(0, -1)],
            &["election t: partition 0 is led by nobody, was by broker 1"],
        );
        check(
            &topic(),
            &[elected(0, 2), elected(1, 2)],
            &["election t: 2 partitions have another leader"],
        );
        let config = MetadataRecord::Config(ConfigRecord {
            resource_type: 4,
            name: "log.retention.ms".to_owned(),
            value: Some("1".to_owned()),
            ..ConfigRecord::default()
        });
        check(&[], &[config], &["config_change all brokers: its configuration changed"]);
    }

    #[test]
    fn a_broker_comes_goes_and_is_fenced() {
        let register = MetadataRecord::RegisterBroker(RegisterBrokerRecord {
            broker_id: 1,
            broker_epoch: 5,
            fenced: true,
            ..RegisterBrokerRecord::default()
        });
        check(&[], std::slice::from_ref(&register), &[]);
        check(std::slice::from_ref(&register), &[fenced(-1)], &["fencing broker 1: is in service"]);
        check(&[register, fenced(-1)], &[fenced(1)], &["fencing broker 1: was fenced"]);
    }
}
