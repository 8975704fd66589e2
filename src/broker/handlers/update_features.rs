//! UpdateFeatures, versions 0–2: the controller decides.
//!
//! - v1: only validate; the kind of upgrade is named. v2: no results by feature.

use pharos_metadata::Controller;
use pharos_protocol::Message;
use pharos_protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};

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
    let request = UpdateFeaturesRequest::decode(body, context.version)?;
    let decided = settled(controller, controller.update_features(request, context.version)).await;
    let response = decided.unwrap_or_else(|error| UpdateFeaturesResponse {
        error_code: code_of(&error),
        error_message: Some(error.to_string()),
        ..Default::default()
    });
    Answer::ready(context, &response)
}
