//! CreateTopics, versions 2–7: the controller decides.
//!
//! - v4: the broker's own defaults for partitions (−1) and replicas (−1); v5: the configuration of
//!   what was made comes back; v7: so does its id.

use pharos_metadata::Controller;
use pharos_protocol::Message;
use pharos_protocol::messages::create_topics_response::CreatableTopicResult;
use pharos_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};

use crate::context::{Answer, AnswerError, Body, RequestContext};
use crate::forward::{code_of, settled};

/// Version from which what goes beyond a client's quota is refused (KIP-599).
const STRICT_SINCE: i16 = 6;

/// Answers the request.
///
/// # Errors
/// When its body is malformed.
pub async fn answer(
    controller: &Controller,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let request = CreateTopicsRequest::decode(body, context.version)?;
    let names: Vec<_> = request.topics.iter().map(|topic| topic.name.clone()).collect();
    let quota = context.mutation_quota(STRICT_SINCE);
    let decided =
        settled(controller, controller.create_topics(request, quota.for_controller())).await;
    let response = decided.unwrap_or_else(|error| {
        let topics = names.into_iter().map(|name| CreatableTopicResult {
            name,
            error_code: code_of(&error),
            error_message: Some(error.to_string()),
            ..Default::default()
        });
        CreateTopicsResponse { topics: topics.collect(), ..Default::default() }
    });
    let ms = context.charge_mutation(&quota);
    Body::throttled(context, &response, ms).map(Answer::Ready)
}
