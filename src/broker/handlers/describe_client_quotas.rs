//! DescribeClientQuotas, versions 0–1: the limits of the entities that a filter lets through
//! (`ClientQuotasImage.describe`).

use std::collections::BTreeMap;

use pharos_metadata::image::{
    CLIENT_ID, IP, MetadataImage, QuotaEntity, QuotaMap, QuotaName, USER,
};
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::describe_client_quotas_response::{
    EntityData, EntryData, ValueData,
};
use pharos_protocol::messages::{DescribeClientQuotasRequestRef, DescribeClientQuotasResponse};

use crate::context::{Answer, AnswerError, RequestContext};
use crate::errors::Refusal;

const MATCH_EXACT: i8 = 0;
const MATCH_DEFAULT: i8 = 1;
const MATCH_SPECIFIED: i8 = 2;

/// Answers the request.
///
/// # Errors
/// When its body is malformed.
pub fn answer(
    image: &MetadataImage,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let request = DescribeClientQuotasRequestRef::decode(body, context.version)?;
    let response = match Filter::read(&request) {
        Ok(filter) => {
            let entries = image.quotas().filter(|(entity, _)| filter.lets_through(entity));
            let entries = entries.map(|(entity, limits)| entry(entity, limits)).collect();
            DescribeClientQuotasResponse { entries: Some(entries), ..Default::default() }
        }
        Err(refusal) => DescribeClientQuotasResponse {
            error_code: refusal.code.code(),
            error_message: refusal.message,
            entries: None,
            ..Default::default()
        },
    };
    Answer::ready(context, &response)
}

/// What an entity must be like.
struct Filter {
    /// What each part must be; `None` for one that must only be there.
    parts: BTreeMap<&'static str, Option<QuotaName>>,
    /// Whether it must have no other parts.
    strict: bool,
}

impl Filter {
    fn read(request: &DescribeClientQuotasRequestRef<'_>) -> Result<Self, Refusal> {
        let invalid = |message: String| Err(Refusal::new(ErrorCode::InvalidRequest, message));
        let mut parts = BTreeMap::new();
        for component in request.components.iter() {
            let kind = component.entity_type;
            if kind.is_empty() {
                return invalid("Invalid empty entity type.".to_owned());
            }
            if parts.contains_key(kind) {
                let message = "cannot appear more than once in the filter.";
                return invalid(format!("Entity type {kind} {message}"));
            }
            let Some(known) = [USER, CLIENT_ID, IP].into_iter().find(|known| *known == kind) else {
                let message = format!("Unsupported entity type {kind}");
                return Err(Refusal::new(ErrorCode::UnsupportedVersion, message));
            };
            let also = "but also specified a match string.";
            let wanted = match (component.match_type, component.match_) {
                (MATCH_EXACT, None) => {
                    let message =
                        "Request specified MATCH_TYPE_EXACT, but set match string to null.";
                    return invalid(message.to_owned());
                }
                (MATCH_EXACT, Some(name)) => Some(QuotaName::Named(name.into())),
                (MATCH_DEFAULT, None) => Some(QuotaName::Default),
                (MATCH_DEFAULT, Some(_)) => {
                    return invalid(format!("Request specified MATCH_TYPE_DEFAULT, {also}"));
                }
                (MATCH_SPECIFIED, None) => None,
                (MATCH_SPECIFIED, Some(_)) => {
                    return invalid(format!("Request specified MATCH_TYPE_SPECIFIED, {also}"));
                }
                (other, _) => return invalid(format!("Unknown match type {other}")),
            };
            parts.insert(known, wanted);
        }
        if parts.contains_key(IP) && parts.len() > 1 {
            return invalid(
                "Invalid entity filter component combination. IP filter component should not be \
                 used with user or clientId filter component."
                    .to_owned(),
            );
        }
        Ok(Self { parts, strict: request.strict })
    }

    fn lets_through(&self, entity: &QuotaEntity) -> bool {
        if self.strict && entity.parts().count() != self.parts.len() {
            return false;
        }
        self.parts.iter().all(|(kind, wanted)| {
            let have = entity.part(kind);
            have.is_some() && (wanted.is_none() || have == wanted.as_ref())
        })
    }
}

fn entry(entity: &QuotaEntity, limits: &QuotaMap) -> EntryData {
    let parts = entity.parts().map(|(kind, name)| EntityData {
        entity_type: kind.to_owned(),
        entity_name: name.to_wire().map(str::to_owned),
    });
    let values =
        limits.iter().map(|(key, value)| ValueData { key: key.to_string(), value: *value });
    EntryData { entity: parts.collect(), values: values.collect() }
}
