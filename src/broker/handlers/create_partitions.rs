//! CreatePartitions, versions 0–3: the controller decides.

use pharos_metadata::Controller;
use pharos_protocol::Message;
use pharos_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use pharos_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

use crate::context::{Answer, AnswerError, Body, RequestContext};
use crate::forward::{code_of, settled};

/// Version from which what goes beyond a client's quota is refused (KIP-599).
const STRICT_SINCE: i16 = 3;

/// Answers the request.
///
/// # Errors
/// When its body is malformed.
pub async fn answer(
    controller: &Controller,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let request = CreatePartitionsRequest::decode(body, context.version)?;
    let names: Vec<_> = request.topics.iter().map(|topic| topic.name.clone()).collect();
    let quota = context.mutation_quota(STRICT_SINCE);
    let decided =
        settled(controller, controller.create_partitions(request, quota.for_controller())).await;
    let response = decided.unwrap_or_else(|error| {
        let results = names.into_iter().map(|name| CreatePartitionsTopicResult {
            name,
            error_code: code_of(&error),
            error_message: Some(error.to_string()),
        });
        CreatePartitionsResponse { results: results.collect(), ..Default::default() }
    });
    let ms = context.charge_mutation(&quota);
    Body::throttled(context, &response, ms).map(Answer::Ready)
}
