//! ListTransactions, versions 0–2: there are no transactions on this broker, since InitProducerId
//! refuses transactional ids; so the answer is truly empty.
//!
//! - v1: a filter by age; v2: one by a pattern of the transactional id.

use pharos_protocol::ErrorCode;
use pharos_protocol::messages::{ListTransactionsRequestRef, ListTransactionsResponse};
use regex::Regex;

use crate::context::{Answer, AnswerError, RequestContext};

/// The states of a transaction (`org.apache.kafka.clients.admin.TransactionState`).
const STATES: [&str; 8] = [
    "Ongoing",
    "PrepareAbort",
    "PrepareCommit",
    "CompleteAbort",
    "CompleteCommit",
    "Empty",
    "PrepareEpochFence",
    "Dead",
];

/// Answers the request.
///
/// # Errors
/// When its body is malformed.
pub fn answer(context: &RequestContext, body: &[u8]) -> Result<Answer, AnswerError> {
    let request = ListTransactionsRequestRef::decode(body, context.version)?;
    Answer::ready(context, &handle(&request))
}

/// Lists none, and names the state filters that mean nothing.
fn handle(request: &ListTransactionsRequestRef<'_>) -> ListTransactionsResponse {
    let bad_pattern = request
        .transactional_id_pattern
        .is_some_and(|pattern| !pattern.is_empty() && Regex::new(pattern).is_err());
    let error = if bad_pattern { ErrorCode::InvalidRegularExpression } else { ErrorCode::None };
    let unknown = request.state_filters.iter().filter(|state| !STATES.contains(state));
    ListTransactionsResponse {
        error_code: error.code(),
        unknown_state_filters: unknown.map(str::to_owned).collect(),
        ..ListTransactionsResponse::default()
    }
}
