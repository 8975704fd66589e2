//! Which version of the header goes before which request and response.

use crate::api::ApiKey;

/// The version of the request header before `version` of a request, also beyond the newest one:
/// flexible requests travel with 2, others with 1.
pub fn request_header_version(api_key: ApiKey, version: i16) -> i16 {
    if api_key.is_flexible(version) { 2 } else { 1 }
}

/// The version of the response header before `version` of a response: flexible responses travel
/// with 1, others with 0. ApiVersions always has 0, so that a client can read the refusal of a
/// version that it knows and the broker does not (KIP-511).
pub fn response_header_version(api_key: ApiKey, version: i16) -> i16 {
    i16::from(api_key != ApiKey::ApiVersions && api_key.is_flexible(version))
}
