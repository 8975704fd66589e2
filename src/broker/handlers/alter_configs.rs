//! AlterConfigs, versions 0–2: replaces everything that is set on a resource; the controller
//! decides.

use pharos_metadata::Controller;
use pharos_protocol::Message;
use pharos_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use pharos_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};

use crate::context::{Answer, AnswerError, RequestContext};
use crate::forward::{code_of, settled};

/// Answers the request.
///
/// # Errors
/// When its body is malformed.
pub async fn answer(
    controller: &Controller,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let request = AlterConfigsRequest::decode(body, context.version)?;
    let asked: Vec<_> = request
        .resources
        .iter()
        .map(|resource| (resource.resource_type, resource.resource_name.clone()))
        .collect();
    let decided = settled(controller, controller.alter_configs(request)).await;
    let response = decided.unwrap_or_else(|error| {
        let responses = asked.into_iter().map(|(kind, name)| AlterConfigsResourceResponse {
            error_code: code_of(&error),
            error_message: Some(error.to_string()),
            resource_type: kind,
            resource_name: name,
        });
        AlterConfigsResponse { responses: responses.collect(), ..Default::default() }
    });
    Answer::ready(context, &response)
}
