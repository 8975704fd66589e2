//! Metadata, versions 0–13: brokers, topics and who leads what.
//!
//! - v0: an empty list of topics means all; from v1 null does.
//! - v4: the client says whether missing topics may be created.
//! - v8–10: authorized operations on request.
//! - v10: topic ids; v12: topics may be asked for by id alone.

use std::collections::HashSet;
use std::sync::Arc;

use pharos_base::{BrokerId, TopicId};
use pharos_metadata::image::{MetadataImage, PartitionRegistration, TopicImage};
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use pharos_protocol::messages::{MetadataRequestRef, MetadataResponse};

use crate::authorizer::{self, CLUSTER_OPERATIONS, TOPIC_OPERATIONS};
use crate::auto_topics::AutoTopics;
use crate::context::{Answer, AnswerError, RequestContext};
use crate::topics::{is_internal, is_valid_name};
use crate::view::View;

/// Answers the request, after `auto_topics` has made the topics that it wants and that may be made.
///
/// # Errors
/// When its body is malformed.
pub async fn answer(
    view: View<'_>,
    auto_topics: &AutoTopics,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let version = context.version;
    let request = MetadataRequestRef::decode(body, version)?;
    let asked = asked(version, &request);
    let missing = missing(view.image, &asked);
    if !request.allow_auto_topic_creation || missing.is_empty() {
        return Answer::ready(context, &respond(view, version, &request, &asked));
    }
    let image = auto_topics.create(&missing, &context.mutation_quota(0)).await;
    let view = View { image: &image, ..view };
    Answer::ready(context, &respond(view, version, &request, &asked))
}

/// The topics that a request asks for.
#[derive(Debug)]
enum Asked<'a> {
    /// Every topic.
    All,
    /// These, by id and name; the name is absent when only the id is given.
    Some(Vec<(TopicId, Option<&'a str>)>),
}

/// What `request` asks for.
fn asked<'a>(version: i16, request: &MetadataRequestRef<'a>) -> Asked<'a> {
    match &request.topics {
        None => Asked::All,
        Some(topics) if topics.is_empty() && version == 0 => Asked::All,
        Some(topics) => {
            // Who asks twice is answered once, as in Kafka.
            let mut seen = HashSet::with_capacity(topics.len());
            let topics = topics.iter().map(|topic| (topic.topic_id, topic.name));
            Asked::Some(topics.filter(|topic| seen.insert(*topic)).collect())
        }
    }
}

/// Names among `asked` that could be created: well formed and absent.
fn missing<'a>(image: &MetadataImage, asked: &Asked<'a>) -> Vec<&'a str> {
    let Asked::Some(topics) = asked else { return Vec::new() };
    topics
        .iter()
        .filter(|(id, _)| *id == TopicId::ZERO)
        .filter_map(|(_, name)| *name)
        .filter(|name| is_valid_name(name) && image.topic(name).is_none())
        .collect()
}

/// The answer to `request`.
fn respond(
    view: View<'_>,
    version: i16,
    request: &MetadataRequestRef<'_>,
    asked: &Asked<'_>,
) -> MetadataResponse {
    let brokers: Vec<_> = view
        .image
        .live_brokers()
        .filter_map(|broker| {
            let endpoint = broker.endpoint(view.listener)?;
            Some(MetadataResponseBroker {
                node_id: broker.id.0,
                host: endpoint.host.clone(),
                port: i32::from(endpoint.port),
                rack: broker.rack.clone(),
            })
        })
        .collect();
    let operations = request.include_topic_authorized_operations;
    let topics = match asked {
        Asked::All => {
            view.image.topics().map(|topic| describe(view, version, topic, operations)).collect()
        }
        Asked::Some(topics) => {
            topics.iter().map(|(id, name)| one(view, version, *id, *name, operations)).collect()
        }
    };
    MetadataResponse {
        controller_id: brokers.first().map_or(BrokerId::NONE.0, |broker| broker.node_id),
        brokers,
        cluster_id: Some(view.cluster_id.to_owned()),
        topics,
        cluster_authorized_operations: authorizer::operations(
            request.include_cluster_authorized_operations,
            CLUSTER_OPERATIONS,
        ),
        ..MetadataResponse::default()
    }
}

fn one(
    view: View<'_>,
    version: i16,
    id: TopicId,
    name: Option<&str>,
    operations: bool,
) -> MetadataResponseTopic {
    let refused = |error: ErrorCode| MetadataResponseTopic {
        error_code: error.code(),
        // Versions before 12 cannot say null.
        name: match (version >= 12, name) {
            (_, Some(name)) => Some(name.to_owned()),
            (true, None) => None,
            (false, None) => Some(String::new()),
        },
        topic_id: id,
        ..MetadataResponseTopic::default()
    };
    if id != TopicId::ZERO && version < 12 {
        // The field is there from version 10 on, but not yet to be asked by.
        return refused(ErrorCode::InvalidRequest);
    }
    if id != TopicId::ZERO {
        return match view.image.topic_by_id(id) {
            Some(topic) => describe(view, version, topic, operations),
            None => refused(ErrorCode::UnknownTopicId),
        };
    }
    match name {
        None => refused(ErrorCode::UnknownTopicId),
        Some(name) => match view.image.topic(name) {
            Some(topic) => describe(view, version, topic, operations),
            None if !is_valid_name(name) => refused(ErrorCode::InvalidTopicException),
            None => refused(ErrorCode::UnknownTopicOrPartition),
        },
    }
}

fn describe(
    view: View<'_>,
    version: i16,
    topic: &Arc<TopicImage>,
    operations: bool,
) -> MetadataResponseTopic {
    MetadataResponseTopic {
        error_code: ErrorCode::None.code(),
        name: Some(topic.name.to_string()),
        topic_id: topic.id,
        is_internal: is_internal(&topic.name),
        partitions: topic
            .partitions()
            .map(|(id, partition)| describe_partition(view, version, id.0, partition))
            .collect(),
        topic_authorized_operations: authorizer::operations(operations, TOPIC_OPERATIONS),
    }
}

fn describe_partition(
    view: View<'_>,
    version: i16,
    index: i32,
    partition: &PartitionRegistration,
) -> MetadataResponsePartition {
    let leader = view.image.broker(partition.leader).filter(|broker| !broker.fenced);
    let error = match leader {
        None => ErrorCode::LeaderNotAvailable,
        Some(broker) if broker.endpoint(view.listener).is_none() => {
            // Versions before 6 do not know the code (KIP-302).
            if version >= 6 { ErrorCode::ListenerNotFound } else { ErrorCode::LeaderNotAvailable }
        }
        Some(_) => ErrorCode::None,
    };
    let is_offline = |id: &BrokerId| view.image.broker(*id).is_none_or(|broker| broker.fenced);
    MetadataResponsePartition {
        error_code: error.code(),
        partition_index: index,
        leader_id: if error == ErrorCode::None { partition.leader.0 } else { BrokerId::NONE.0 },
        leader_epoch: partition.leader_epoch.0,
        replica_nodes: partition.replicas.iter().map(|id| id.0).collect(),
        isr_nodes: partition.isr.iter().map(|id| id.0).collect(),
        offline_replicas: partition
            .replicas
            .iter()
            .filter(|id| is_offline(id))
            .map(|id| id.0)
            .collect(),
    }
}
