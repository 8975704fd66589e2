//! Answers in the shape of old versions. The state machine answers as the newest version does.

use crate::response::Response;
use crate::wire::leave_group_request::MemberIdentity;
use crate::wire::{LeaveGroupRequest, LeaveGroupResponse};

impl Response {
    /// The answer as `api_version` can say it.
    #[must_use]
    pub fn fit(mut self, api_version: i16) -> Self {
        match &mut self {
            // Before v7 "none" can only be said as an empty name.
            Self::JoinGroup(response) if api_version < 7 => {
                response.protocol_name.get_or_insert_default();
                if api_version < 9 {
                    response.skip_assignment = false;
                }
            }
            Self::LeaveGroup(response) if api_version < 3 => flatten(response),
            Self::DescribeGroup(response) if api_version < 6 => response.error_message = None,
            _ => {}
        }
        self
    }
}

/// Before v3 there is one member, and its error is the answer's.
fn flatten(response: &mut LeaveGroupResponse) {
    if let Some(only) = std::mem::take(&mut response.members).first()
        && response.error_code == 0
    {
        response.error_code = only.error_code;
    }
}

/// The members of a request of any version.
pub(crate) fn leaving(request: LeaveGroupRequest, api_version: i16) -> Vec<MemberIdentity> {
    if api_version >= 3 {
        return request.members;
    }
    vec![MemberIdentity { member_id: request.member_id, ..MemberIdentity::default() }]
}
