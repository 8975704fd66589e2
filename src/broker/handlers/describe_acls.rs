//! DescribeAcls, versions 1–3: without an authorizer the answer is SECURITY_DISABLED, as Kafka's.

use pharos_protocol::ErrorCode;
use pharos_protocol::messages::DescribeAclsResponse;

/// The one answer.
pub fn handle() -> DescribeAclsResponse {
    DescribeAclsResponse {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some("No Authorizer is configured on the broker".to_owned()),
        ..DescribeAclsResponse::default()
    }
}
