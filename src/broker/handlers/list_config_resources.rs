//! ListConfigResources, versions 0–1: names of what carries configuration. Version 0 lists client
//! metrics subscriptions only (KIP-1000); version 1 any kind (KIP-1142).

use pharos_metadata::image::{ConfigResourceType, MetadataImage};
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::list_config_resources_response::ConfigResource;
use pharos_protocol::messages::{ListConfigResourcesRequestRef, ListConfigResourcesResponse};

use crate::context::{Answer, AnswerError, RequestContext};

const LISTED: [ConfigResourceType; 5] = [
    ConfigResourceType::Topic,
    ConfigResourceType::Broker,
    ConfigResourceType::BrokerLogger,
    ConfigResourceType::ClientMetrics,
    ConfigResourceType::Group,
];

/// Answers the request.
///
/// # Errors
/// When its body is malformed.
pub fn answer(
    image: &MetadataImage,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let request = ListConfigResourcesRequestRef::decode(body, context.version)?;
    Answer::ready(context, &handle(image, context.version, &request))
}

/// Lists the kinds asked for; an empty list of kinds means all.
fn handle(
    image: &MetadataImage,
    version: i16,
    request: &ListConfigResourcesRequestRef<'_>,
) -> ListConfigResourcesResponse {
    let kinds: Vec<_> = if version == 0 {
        vec![ConfigResourceType::ClientMetrics]
    } else if request.resource_types.is_empty() {
        LISTED.to_vec()
    } else {
        let known: Option<Vec<_>> =
            request.resource_types.iter().map(ConfigResourceType::from_code).collect();
        match known {
            Some(kinds) => kinds,
            None => {
                return ListConfigResourcesResponse {
                    error_code: ErrorCode::UnsupportedVersion.code(),
                    ..ListConfigResourcesResponse::default()
                };
            }
        }
    };
    let mut config_resources = Vec::new();
    for kind in LISTED.into_iter().filter(|kind| kinds.contains(kind)) {
        let mut add = |name: String| {
            let resource_type = kind.code();
            config_resources.push(ConfigResource { resource_name: name, resource_type });
        };
        match kind {
            ConfigResourceType::Topic => {
                image.topics().for_each(|topic| add(topic.name.to_string()));
            }
            // A broker carries its loggers' levels too.
            ConfigResourceType::Broker | ConfigResourceType::BrokerLogger => {
                image.brokers().for_each(|broker| add(broker.id.to_string()));
            }
            ConfigResourceType::ClientMetrics | ConfigResourceType::Group => image
                .configs()
                .filter(|(resource, _)| resource.kind == kind)
                .for_each(|(resource, _)| add(resource.name.to_string())),
        }
    }
    ListConfigResourcesResponse { config_resources, ..ListConfigResourcesResponse::default() }
}
