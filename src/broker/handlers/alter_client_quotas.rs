//! AlterClientQuotas, versions 0–1: limits of users, client ids and addresses (KIP-546); the
//! controller decides.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use pharos_metadata::Controller;
use pharos_metadata::image::IP;
use pharos_protocol::Message;
use pharos_protocol::messages::alter_client_quotas_response::{EntityData, EntryData};
use pharos_protocol::messages::{AlterClientQuotasRequest, AlterClientQuotasResponse};

use crate::context::{Answer, AnswerError, RequestContext};
use crate::forward::{code_of, settled};

/// Names of hosts that are looked up for one request; those beyond it count as unknown.
const MAX_LOOKUPS: usize = 64;
/// Longest time for the look-ups of one request; names that are not found by then are unknown.
const LOOKUP_LIMIT: Duration = Duration::from_secs(10);

/// Answers the request.
///
/// # Errors
/// When its body is malformed.
pub async fn answer(
    controller: &Controller,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let request = AlterClientQuotasRequest::decode(body, context.version)?;
    let asked: Vec<_> = request.entries.iter().map(|entry| entry.entity.clone()).collect();
    let unknown_hosts = unknown_hosts(&request).await;
    let decided = controller.alter_client_quotas(request, unknown_hosts);
    let response = settled(controller, decided).await.unwrap_or_else(|error| {
        let entries = asked.into_iter().map(|entity| EntryData {
            error_code: code_of(&error),
            error_message: Some(error.to_string()),
            entity: entity
                .into_iter()
                .map(|part| EntityData {
                    entity_type: part.entity_type,
                    entity_name: part.entity_name,
                })
                .collect(),
        });
        AlterClientQuotasResponse { entries: entries.collect(), ..Default::default() }
    });
    Answer::ready(context, &response)
}

/// The names of addresses that are neither an address nor have one.
async fn unknown_hosts(request: &AlterClientQuotasRequest) -> HashSet<String> {
    let parts = request.entries.iter().flat_map(|entry| &entry.entity);
    let names = parts.filter(|part| part.entity_type == IP).filter_map(|it| it.entity_name.clone());
    let mut unknown: HashSet<_> = names.filter(|name| name.parse::<IpAddr>().is_err()).collect();
    let asked: Vec<_> = unknown.iter().take(MAX_LOOKUPS).cloned().collect();
    let look_up = async {
        for name in asked {
            if tokio::net::lookup_host((name.as_str(), 0)).await.is_ok() {
                unknown.remove(&name);
            }
        }
    };
    let _ = tokio::time::timeout(LOOKUP_LIMIT, look_up).await;
    unknown
}
