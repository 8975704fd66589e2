//! PushTelemetry, version 0 (KIP-714): what clients tell of themselves. `insight` decides.

use pharos_base::Clock;
use pharos_insight::ClientTelemetry;
use pharos_protocol::messages::PushTelemetryRequestRef;

use crate::client_telemetry::with_facts;
use crate::context::{Answer, AnswerError, RequestContext};

/// Answers the request.
///
/// # Errors
/// When its body is malformed.
pub fn answer(
    telemetry: &ClientTelemetry,
    clock: &Clock,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let request = PushTelemetryRequestRef::decode(body, context.version)?;
    let response = with_facts(context, |facts| telemetry.push(clock.now_ms(), facts, &request));
    Answer::ready(context, &response)
}
