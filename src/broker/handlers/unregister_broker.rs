//! UnregisterBroker, version 0: the controller forgets a broker that is gone.

use pharos_metadata::Controller;
use pharos_protocol::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};

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
    let request = UnregisterBrokerRequest::decode(body, context.version)?;
    let decided = settled(controller, controller.unregister_broker(request)).await;
    let response = decided.unwrap_or_else(|error| UnregisterBrokerResponse {
        error_code: code_of(&error),
        error_message: Some(error.to_string()),
        ..Default::default()
    });
    Answer::ready(context, &response)
}
