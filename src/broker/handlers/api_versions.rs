//! ApiVersions, versions 0–4: what this broker serves and which features are in force.
//!
//! - v0–2: the table; an unsupported version is answered in v0 with error 35.
//! - v3: client software name and version come in; features go out. Supported features whose
//!   minimum is 0 are left out, since such clients refuse them (KAFKA-17011).
//! - v4: all supported features.

use pharos_metadata::image::MetadataImage;
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::api_versions_response::{
    ApiVersion, FinalizedFeatureKey, SupportedFeatureKey,
};
use pharos_protocol::messages::{ApiVersionsRequestRef, ApiVersionsResponse};

use crate::apis::{Endpoint, served_at};
use crate::context::{Answer, AnswerError, RequestContext};
use crate::features::SUPPORTED;

/// Longest client software name or version (KIP-511 gives the alphabet, not the length).
const SOFTWARE_TEXT_LIMIT: usize = 256;

/// Answers the request.
///
/// # Errors
/// When its body is malformed.
pub fn answer(
    image: &MetadataImage,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let request = ApiVersionsRequestRef::decode(body, context.version)?;
    Answer::ready(context, &handle(image, context, &request))
}

/// Answers a request of a version that is not served: in version 0, so that any client can read it.
///
/// # Errors
/// When the answer cannot be encoded.
pub fn answer_unsupported(context: &RequestContext) -> Result<Answer, AnswerError> {
    let context = RequestContext { version: 0, ..context.clone() };
    Answer::ready(&context, &refused(context.endpoint, ErrorCode::UnsupportedVersion))
}

/// Answers a request of a supported version, and remembers what the client said of itself.
fn handle(
    image: &MetadataImage,
    context: &RequestContext,
    request: &ApiVersionsRequestRef<'_>,
) -> ApiVersionsResponse {
    let (endpoint, version) = (context.endpoint, context.version);
    if version >= 3 {
        let (name, software) = (request.client_software_name, request.client_software_version);
        if !is_software_text(name) || !is_software_text(software) {
            return refused(endpoint, ErrorCode::InvalidRequest);
        }
        context.connection.set_client_software(name, software);
    }
    let mut response = table(endpoint);
    if version >= 3 {
        response.finalized_features_epoch = image.last_offset().0;
        response.supported_features = SUPPORTED
            .iter()
            .filter(|feature| version >= 4 || feature.min > 0)
            .map(|feature| SupportedFeatureKey {
                name: feature.name.to_owned(),
                min_version: feature.min,
                max_version: feature.max,
            })
            .collect();
        response.finalized_features = image
            .features()
            .map(|(name, level)| FinalizedFeatureKey {
                name: name.to_owned(),
                max_version_level: level,
                min_version_level: level,
            })
            .collect();
    }
    response
}

fn refused(endpoint: Endpoint, error: ErrorCode) -> ApiVersionsResponse {
    ApiVersionsResponse { error_code: error.code(), ..table(endpoint) }
}

fn table(endpoint: Endpoint) -> ApiVersionsResponse {
    let api_keys = served_at(endpoint)
        .map(|row| ApiVersion {
            api_key: row.key.as_i16(),
            min_version: row.advertised_min,
            max_version: *row.versions.end(),
        })
        .collect();
    ApiVersionsResponse { api_keys, ..ApiVersionsResponse::default() }
}

/// `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?` (KIP-511).
fn is_software_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    bytes.len() <= SOFTWARE_TEXT_LIMIT
        && ends.iter().all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_texts() {
        let cases = [
            ("apache-kafka-java", true),
            ("librdkafka", true),
            ("1.2.3", true),
            ("a", true),
            ("", false),
            ("-a", false),
            ("a-", false),
            ("a b", false),
            ("a\"b", false),
        ];
        for (text, expected) in cases {
            assert_eq!(is_software_text(text), expected, "{text}");
        }
    }
}
