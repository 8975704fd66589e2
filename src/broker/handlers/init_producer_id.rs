//! InitProducerId, versions 0–5, for idempotent producers. A transactional id is refused without
//! giving an id away: there is no transaction coordinator yet.

use pharos_protocol::ErrorCode;
use pharos_protocol::messages::{InitProducerIdRequestRef, InitProducerIdResponse};

use crate::context::{Answer, AnswerError, RequestContext};
use crate::producer_ids::ProducerIds;

/// Answers the request.
///
/// # Errors
/// When its body is malformed.
pub async fn answer(
    ids: &ProducerIds,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let request = InitProducerIdRequestRef::decode(body, context.version)?;
    Answer::ready(context, &handle(ids, &request).await)
}

/// Gives a new id with epoch 0. An idempotent producer that lost its place gets a new id too, as
/// Kafka does: epochs are bumped by the client alone (KIP-360).
async fn handle(
    ids: &ProducerIds,
    request: &InitProducerIdRequestRef<'_>,
) -> InitProducerIdResponse {
    let refused = |error: ErrorCode| InitProducerIdResponse {
        error_code: error.code(),
        producer_id: -1,
        producer_epoch: -1,
        ..InitProducerIdResponse::default()
    };
    match request.transactional_id {
        Some("") => return refused(ErrorCode::InvalidRequest),
        // The one code that every client takes as final for transactions.
        Some(_) => return refused(ErrorCode::TransactionalIdAuthorizationFailed),
        None => {}
    }
    match ids.next().await {
        Some(id) => InitProducerIdResponse {
            producer_id: id.0,
            producer_epoch: 0,
            ..InitProducerIdResponse::default()
        },
        None => refused(ErrorCode::CoordinatorLoadInProgress),
    }
}
