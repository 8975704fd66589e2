//! DescribeAcls, versions 1–3: without an authorizer the answer is SECURITY_DISABLED, as Kafka's.

use pharos_protocol::ErrorCode;
use pharos_protocol::messages::{DescribeAclsRequestRef, DescribeAclsResponse};

use crate::context::{Answer, AnswerError, RequestContext};

/// Answers the request.
///
/// # Errors
/// When its body is malformed.
pub fn answer(context: &RequestContext, body: &[u8]) -> Result<Answer, AnswerError> {
    DescribeAclsRequestRef::decode(body, context.version)?;
    let response = DescribeAclsResponse {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some("No Authorizer is configured on the broker".to_owned()),
        ..DescribeAclsResponse::default()
    };
    Answer::ready(context, &response)
}
