//! DeleteTopics, versions 1–6: the controller decides; logs go in the background.
//!
//! - v5: texts of errors; v6: topics by id.

use pharos_metadata::Controller;
use pharos_protocol::Message;
use pharos_protocol::messages::delete_topics_response::DeletableTopicResult;
use pharos_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};

use crate::context::{Answer, AnswerError, Body, RequestContext};
use crate::forward::{code_of, settled};

/// Version from which what goes beyond a client's quota is refused (KIP-599).
const STRICT_SINCE: i16 = 5;

/// Answers the request.
///
/// # Errors
/// When its body is malformed.
pub async fn answer(
    controller: &Controller,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let request = DeleteTopicsRequest::decode(body, context.version)?;
    let named = request.topic_names.iter().map(|name| (Some(name.clone()), Default::default()));
    let identified = request.topics.iter().map(|topic| (topic.name.clone(), topic.topic_id));
    let asked: Vec<_> = named.chain(identified).collect();
    let quota = context.mutation_quota(STRICT_SINCE);
    let decided =
        settled(controller, controller.delete_topics(request, quota.for_controller())).await;
    let response = decided.unwrap_or_else(|error| {
        let responses = asked.into_iter().map(|(name, topic_id)| DeletableTopicResult {
            name,
            topic_id,
            error_code: code_of(&error),
            error_message: Some(error.to_string()),
        });
        DeleteTopicsResponse { responses: responses.collect(), ..Default::default() }
    });
    let ms = context.charge_mutation(&quota);
    Body::throttled(context, &response, ms).map(Answer::Ready)
}
