//! CreateTopics v2–7, DeleteTopics v1–6, CreatePartitions v0–3, IncrementalAlterConfigs v0–1,
//! AlterConfigs v0–2, UpdateFeatures v0–2, ElectLeaders v0–2, UnregisterBroker v0: the controller
//! decides; what it cannot decide now is told for everything that the request names.

use std::time::Duration;

use pharos_metadata::{Controller, ControllerError};
use pharos_protocol::ErrorCode;
use pharos_protocol::messages as m;
use pharos_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use pharos_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use pharos_protocol::messages::create_topics_response::CreatableTopicResult;
use pharos_protocol::messages::delete_topics_response::DeletableTopicResult;
use pharos_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse as IncrementalResponse;

/// The code of a controller that does not answer.
pub fn code_of(error: &ControllerError) -> ErrorCode {
    match error {
        ControllerError::NotController { .. } => ErrorCode::NotController,
        ControllerError::TimedOut => ErrorCode::RequestTimedOut,
        ControllerError::Stopped(_) => ErrorCode::UnknownServerError,
    }
}

/// Longest wait for this broker to live by what was decided.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);

/// What the controller decided, once this broker lives by it too: who asks it next sees what was
/// done, whichever connection they ask on.
async fn settled<R>(
    controller: &Controller,
    decided: impl Future<Output = Result<R, ControllerError>>,
) -> Result<R, ControllerError> {
    let result = decided.await;
    let seen = controller.publisher().wait_for(controller.last_committed_offset());
    // A broker that is behind answers all the same: the change is committed.
    let _ = tokio::time::timeout(SETTLE_LIMIT, seen).await;
    result
}

/// CreateTopics.
pub async fn create(
    controller: &Controller,
    request: m::CreateTopicsRequest,
) -> m::CreateTopicsResponse {
    let names: Vec<_> = request.topics.iter().map(|topic| topic.name.clone()).collect();
    settled(controller, controller.create_topics(request)).await.unwrap_or_else(|error| {
        let topics = names.into_iter().map(|name| CreatableTopicResult {
            name,
            error_code: code_of(&error).code(),
            error_message: Some(error.to_string()),
            ..Default::default()
        });
        m::CreateTopicsResponse { topics: topics.collect(), ..Default::default() }
    })
}

/// DeleteTopics.
pub async fn delete(
    controller: &Controller,
    request: m::DeleteTopicsRequest,
) -> m::DeleteTopicsResponse {
    let named = request.topic_names.iter().map(|name| (Some(name.clone()), Default::default()));
    let identified = request.topics.iter().map(|topic| (topic.name.clone(), topic.topic_id));
    let asked: Vec<_> = named.chain(identified).collect();
    settled(controller, controller.delete_topics(request)).await.unwrap_or_else(|error| {
        let responses = asked.into_iter().map(|(name, topic_id)| DeletableTopicResult {
            name,
            topic_id,
            error_code: code_of(&error).code(),
            error_message: Some(error.to_string()),
        });
        m::DeleteTopicsResponse { responses: responses.collect(), ..Default::default() }
    })
}

/// CreatePartitions.
pub async fn create_partitions(
    controller: &Controller,
    request: m::CreatePartitionsRequest,
) -> m::CreatePartitionsResponse {
    let names: Vec<_> = request.topics.iter().map(|topic| topic.name.clone()).collect();
    settled(controller, controller.create_partitions(request)).await.unwrap_or_else(|error| {
        let results = names.into_iter().map(|name| CreatePartitionsTopicResult {
            name,
            error_code: code_of(&error).code(),
            error_message: Some(error.to_string()),
        });
        m::CreatePartitionsResponse { results: results.collect(), ..Default::default() }
    })
}

/// IncrementalAlterConfigs.
pub async fn incremental_alter_configs(
    controller: &Controller,
    request: m::IncrementalAlterConfigsRequest,
) -> m::IncrementalAlterConfigsResponse {
    let asked: Vec<_> = request
        .resources
        .iter()
        .map(|resource| (resource.resource_type, resource.resource_name.clone()))
        .collect();
    settled(controller, controller.incremental_alter_configs(request)).await.unwrap_or_else(
        |error| {
            let responses = asked.into_iter().map(|(kind, name)| IncrementalResponse {
                error_code: code_of(&error).code(),
                error_message: Some(error.to_string()),
                resource_type: kind,
                resource_name: name,
            });
            m::IncrementalAlterConfigsResponse {
                responses: responses.collect(),
                ..Default::default()
            }
        },
    )
}

/// AlterConfigs.
pub async fn alter_configs(
    controller: &Controller,
    request: m::AlterConfigsRequest,
) -> m::AlterConfigsResponse {
    let asked: Vec<_> = request
        .resources
        .iter()
        .map(|resource| (resource.resource_type, resource.resource_name.clone()))
        .collect();
    settled(controller, controller.alter_configs(request)).await.unwrap_or_else(|error| {
        let responses = asked.into_iter().map(|(kind, name)| AlterConfigsResourceResponse {
            error_code: code_of(&error).code(),
            error_message: Some(error.to_string()),
            resource_type: kind,
            resource_name: name,
        });
        m::AlterConfigsResponse { responses: responses.collect(), ..Default::default() }
    })
}

/// UpdateFeatures.
pub async fn update_features(
    controller: &Controller,
    version: i16,
    request: m::UpdateFeaturesRequest,
) -> m::UpdateFeaturesResponse {
    settled(controller, controller.update_features(request, version)).await.unwrap_or_else(
        |error| m::UpdateFeaturesResponse {
            error_code: code_of(&error).code(),
            error_message: Some(error.to_string()),
            ..Default::default()
        },
    )
}

/// ElectLeaders.
pub async fn elect_leaders(
    controller: &Controller,
    request: m::ElectLeadersRequest,
) -> m::ElectLeadersResponse {
    settled(controller, controller.elect_leaders(request)).await.unwrap_or_else(|error| {
        m::ElectLeadersResponse { error_code: code_of(&error).code(), ..Default::default() }
    })
}

/// UnregisterBroker.
pub async fn unregister_broker(
    controller: &Controller,
    request: m::UnregisterBrokerRequest,
) -> m::UnregisterBrokerResponse {
    settled(controller, controller.unregister_broker(request)).await.unwrap_or_else(|error| {
        m::UnregisterBrokerResponse {
            error_code: code_of(&error).code(),
            error_message: Some(error.to_string()),
            ..Default::default()
        }
    })
}
