//! DescribeTransactions, version 0: there are no transactions on this broker, since InitProducerId
//! refuses transactional ids; so none of the ids is known.

use pharos_protocol::ErrorCode;
use pharos_protocol::messages::describe_transactions_response::TransactionState;
use pharos_protocol::messages::{DescribeTransactionsRequestRef, DescribeTransactionsResponse};

use crate::context::{Answer, AnswerError, RequestContext};

/// Answers the request.
///
/// # Errors
/// When its body is malformed.
pub fn answer(context: &RequestContext, body: &[u8]) -> Result<Answer, AnswerError> {
    let request = DescribeTransactionsRequestRef::decode(body, context.version)?;
    let states = request.transactional_ids.iter().map(|id| TransactionState {
        error_code: ErrorCode::TransactionalIdNotFound.code(),
        transactional_id: id.to_owned(),
        ..TransactionState::default()
    });
    let transaction_states = states.collect();
    let response = DescribeTransactionsResponse { transaction_states, ..Default::default() };
    Answer::ready(context, &response)
}
