//! Tells clients that asked a broker which does not lead who does, and where, so that they need
//! not ask for metadata first (KIP-951; `KafkaApis.getCurrentLeader`).

use std::collections::BTreeMap;

use pharos_base::{PartitionId, TopicId};
use pharos_metadata::image::{MetadataImage, TopicImage};
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::{FetchResponse, ProduceResponse, fetch_response, produce_response};

use crate::context::RequestContext;

/// First version of Produce that can tell it.
const PRODUCE: i16 = 10;

/// First version of Fetch in which Kafka tells it.
const FETCH: i16 = 16;

/// Leader and epoch where neither is known.
const UNKNOWN: (i32, i32) = (-1, -1);

/// Leaders by the newest metadata, as the clients of one listener see them.
struct Leaders<'a> {
    image: &'a MetadataImage,
    listener: &'a str,
    /// The brokers that were named: host, port and rack by id.
    named: BTreeMap<i32, (String, i32, Option<String>)>,
}

impl<'a> Leaders<'a> {
    fn new(image: &'a MetadataImage, listener: &'a str) -> Self {
        Self { image, listener, named: BTreeMap::new() }
    }

    fn topic(&self, name: &str, id: TopicId) -> Option<&'a TopicImage> {
        let found =
            if id == TopicId::ZERO { self.image.topic(name) } else { self.image.topic_by_id(id) };
        found.map(AsRef::as_ref)
    }

    /// Who leads a partition and in which epoch; −1 when that is not known.
    fn of(&mut self, topic: Option<&TopicImage>, partition: i32) -> (i32, i32) {
        let found = topic.and_then(|topic| topic.partition(PartitionId(partition)));
        let Some(found) = found else { return UNKNOWN };
        let leader = self.image.broker(found.leader).filter(|broker| !broker.fenced);
        if let Some(broker) = leader
            && let Some(at) = broker.endpoint(self.listener)
        {
            let port = i32::from(at.port);
            self.named.insert(broker.id.0, (at.host.clone(), port, broker.rack.clone()));
        }
        (found.leader.0, found.leader_epoch.0)
    }
}

/// Adds the leaders of what this broker was asked to append to and does not lead.
pub fn tell_producer(
    image: &MetadataImage,
    context: &RequestContext,
    response: &mut ProduceResponse,
) {
    if context.version >= PRODUCE {
        tell_producer_on(&mut Leaders::new(image, context.listener()), response);
    }
}

fn tell_producer_on(leaders: &mut Leaders<'_>, response: &mut ProduceResponse) {
    for topic in &mut response.responses {
        let known = leaders.topic(&topic.name, topic.topic_id);
        for partition in &mut topic.partition_responses {
            if partition.error_code == ErrorCode::NotLeaderOrFollower.code() {
                let (leader_id, leader_epoch) = leaders.of(known, partition.index);
                partition.current_leader =
                    produce_response::LeaderIdAndEpoch { leader_id, leader_epoch };
            }
        }
    }
    let nodes = std::mem::take(&mut leaders.named).into_iter();
    response.node_endpoints = nodes
        .map(|(node_id, (host, port, rack))| produce_response::NodeEndpoint {
            node_id,
            host,
            port,
            rack,
        })
        .collect();
}

/// Adds the leaders of what this broker was asked to read and does not lead, or led in another
/// epoch.
pub fn tell_consumer(
    image: &MetadataImage,
    context: &RequestContext,
    response: &mut FetchResponse,
) {
    if context.version < FETCH {
        return;
    }
    let mut leaders = Leaders::new(image, context.listener());
    let errors = [ErrorCode::NotLeaderOrFollower.code(), ErrorCode::FencedLeaderEpoch.code()];
    for topic in &mut response.responses {
        let known = leaders.topic(&topic.topic, topic.topic_id);
        for partition in &mut topic.partitions {
            if errors.contains(&partition.error_code) {
                let (leader_id, leader_epoch) = leaders.of(known, partition.partition_index);
                partition.current_leader =
                    fetch_response::LeaderIdAndEpoch { leader_id, leader_epoch };
            }
        }
    }
    response.node_endpoints = leaders
        .named
        .into_iter()
        .map(|(node_id, (host, port, rack))| fetch_response::NodeEndpoint {
            node_id,
            host,
            port,
            rack,
        })
        .collect();
}

#[cfg(test)]
mod tests {
    use pharos_metadata::image::MetadataDelta;
    use pharos_metadata::record::MetadataRecord;
    use pharos_protocol::messages::{
        PartitionRecord, RegisterBrokerRecord, TopicRecord, register_broker_record,
    };

    use super::*;

    /// A topic of two partitions, led by broker 2 in epoch 5 and by nobody.
    fn image(id: TopicId) -> MetadataImage {
        let partition = |partition_id, leader| {
            MetadataRecord::Partition(PartitionRecord {
                partition_id,
                topic_id: id,
                replicas: vec![2],
                isr: vec![2],
                leader,
                leader_epoch: 5,
                directories: vec![TopicId::random()],
                ..PartitionRecord::default()
            })
        };
        let broker = RegisterBrokerRecord {
            broker_id: 2,
            fenced: false,
            rack: Some("r".to_owned()),
            end_points: vec![register_broker_record::BrokerEndpoint {
                name: "INSIDE".to_owned(),
                host: "two".to_owned(),
                port: 29_092,
                security_protocol: 0,
            }],
            ..RegisterBrokerRecord::default()
        };
        let records = [
            MetadataRecord::RegisterBroker(broker),
            MetadataRecord::Topic(TopicRecord { name: "t".to_owned(), topic_id: id }),
            partition(0, 2),
            partition(1, -1),
        ];
        let mut image = MetadataImage::empty();
        for record in &records {
            image.apply(record, &mut MetadataDelta::default()).unwrap();
        }
        image
    }

    #[test]
    fn leaders_are_told_to_those_who_asked_the_wrong_broker() {
        let id = TopicId::random();
        let image = image(id);
        let told = |listener, name: &str, topic_id, index, error: ErrorCode| {
            let partition = produce_response::PartitionProduceResponse {
                index,
                error_code: error.code(),
                ..Default::default()
            };
            let topic = produce_response::TopicProduceResponse {
                name: name.to_owned(),
                topic_id,
                partition_responses: vec![partition],
            };
            let mut response = ProduceResponse { responses: vec![topic], ..Default::default() };
            tell_producer_on(&mut Leaders::new(&image, listener), &mut response);
            let leader = response.responses[0].partition_responses[0].current_leader;
            let nodes: Vec<_> =
                response.node_endpoints.iter().map(|node| (node.node_id, node.port)).collect();
            ((leader.leader_id, leader.leader_epoch), nodes)
        };
        let wrong = ErrorCode::NotLeaderOrFollower;
        let two = vec![(2, 29_092)];
        assert_eq!(told("INSIDE", "t", TopicId::ZERO, 0, wrong), ((2, 5), two.clone()));
        assert_eq!(told("INSIDE", "", id, 0, wrong), ((2, 5), two));
        assert_eq!(told("OUTSIDE", "t", TopicId::ZERO, 0, wrong), ((2, 5), vec![]));
        assert_eq!(told("INSIDE", "t", TopicId::ZERO, 1, wrong), ((-1, 5), vec![]));
        assert_eq!(told("INSIDE", "t", TopicId::ZERO, 9, wrong), ((-1, -1), vec![]));
        assert_eq!(told("INSIDE", "absent", TopicId::ZERO, 0, wrong), ((-1, -1), vec![]));
        let other = ErrorCode::CorruptMessage;
        assert_eq!(told("INSIDE", "t", TopicId::ZERO, 0, other), ((-1, -1), vec![]));
    }
}
