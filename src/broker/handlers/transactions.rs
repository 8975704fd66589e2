//! ListTransactions (versions 0–2) and DescribeTransactions (version 0): there are no transactions
//! on this broker, since InitProducerId refuses transactional ids; so both answers are truly empty.

use pharos_protocol::ErrorCode;
use pharos_protocol::messages::describe_transactions_response::TransactionState;
use pharos_protocol::messages::{
    DescribeTransactionsRequestRef, DescribeTransactionsResponse, ListTransactionsRequestRef,
    ListTransactionsResponse,
};
use regex::Regex;

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

/// Lists none, and names the state filters that mean nothing.
pub fn list(request: &ListTransactionsRequestRef<'_>) -> ListTransactionsResponse {
    let bad_pattern = request
        .transactional_id_pattern
        .is_some_and(|pattern| !pattern.is_empty() && Regex::new(pattern).is_err());
    ListTransactionsResponse {
        error_code: if bad_pattern {
            ErrorCode::InvalidRegularExpression.code()
        } else {
            ErrorCode::None.code()
        },
        unknown_state_filters: request
            .state_filters
            .iter()
            .filter(|state| !STATES.contains(state))
            .map(str::to_owned)
            .collect(),
        ..ListTransactionsResponse::default()
    }
}

/// Knows none of the ids.
pub fn describe(request: &DescribeTransactionsRequestRef<'_>) -> DescribeTransactionsResponse {
    DescribeTransactionsResponse {
        transaction_states: request
            .transactional_ids
            .iter()
            .map(|id| TransactionState {
                error_code: ErrorCode::TransactionalIdNotFound.code(),
                transactional_id: id.to_owned(),
                ..TransactionState::default()
            })
            .collect(),
        ..DescribeTransactionsResponse::default()
    }
}
