//! FindCoordinator, versions 0–6: who coordinates a group. Transactions (type 1) and share groups
//! (type 2) have no coordinator here, which INVALID_REQUEST says; the topic of the groups is made
//! when it is first asked for.
//!
//! - v4: several keys in one request.

use pharos_base::BrokerId;
use pharos_protocol::ErrorCode;
use pharos_protocol::messages as m;
use pharos_protocol::messages::find_coordinator_response::Coordinator;

use crate::auto_topics::AutoTopics;
use crate::context::{Answer, AnswerError, RequestContext};
use crate::errors::Refusal;
use crate::groups::Groups;
use crate::topics::OFFSETS_TOPIC;
use crate::view::View;

const GROUP: i8 = 0;

/// Where the coordinator of one key is.
#[derive(Debug)]
struct Place {
    node_id: i32,
    host: String,
    port: i32,
}

/// Answers the request, after `auto_topics` has made the topic of the groups if there is none.
///
/// # Errors
/// When its body is malformed.
pub async fn answer(
    view: View<'_>,
    auto_topics: &AutoTopics,
    groups: &Groups,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let version = context.version;
    let request = m::FindCoordinatorRequestRef::decode(body, version)?;
    if request.key_type != GROUP || view.image.topic(OFFSETS_TOPIC).is_some() {
        return Answer::ready(context, &handle(view, groups, version, &request));
    }
    let image = auto_topics.create_internal(OFFSETS_TOPIC, &context.quotas).await;
    let view = View { image: &image, ..view };
    Answer::ready(context, &handle(view, groups, version, &request))
}

/// Answers every key.
fn handle(
    view: View<'_>,
    groups: &Groups,
    version: i16,
    request: &m::FindCoordinatorRequestRef<'_>,
) -> m::FindCoordinatorResponse {
    if version < 4 {
        let (place, refusal) = split(find(view, groups, request.key_type, request.key));
        return m::FindCoordinatorResponse {
            error_code: refusal.code.code(),
            error_message: refusal.message,
            node_id: place.node_id,
            host: place.host,
            port: place.port,
            ..Default::default()
        };
    }
    let coordinators = request.coordinator_keys.iter().map(|key| {
        let (place, refusal) = split(find(view, groups, request.key_type, key));
        Coordinator {
            key: key.to_owned(),
            node_id: place.node_id,
            host: place.host,
            port: place.port,
            error_code: refusal.code.code(),
            error_message: refusal.message,
        }
    });
    m::FindCoordinatorResponse { coordinators: coordinators.collect(), ..Default::default() }
}

fn split(found: Result<Place, Refusal>) -> (Place, Refusal) {
    match found {
        Ok(place) => (place, Refusal::new(ErrorCode::None, "")),
        Err(refusal) => {
            let message = refusal.message.unwrap_or_else(|| refusal.code.message().to_owned());
            let nowhere = Place { node_id: BrokerId::NONE.0, host: String::new(), port: -1 };
            (nowhere, Refusal::new(refusal.code, message))
        }
    }
}

fn find(view: View<'_>, groups: &Groups, kind: i8, key: &str) -> Result<Place, Refusal> {
    if kind != GROUP {
        return Err(ErrorCode::InvalidRequest.into());
    }
    let unavailable = || Refusal::from(ErrorCode::CoordinatorNotAvailable);
    let partition = groups.partition_of(key).ok_or_else(unavailable)?;
    let leader = view.image.partition(OFFSETS_TOPIC, partition).ok_or_else(unavailable)?.leader;
    let broker = view.image.broker(leader).filter(|broker| !broker.fenced);
    let endpoint = broker.and_then(|broker| broker.endpoint(view.listener));
    let endpoint = endpoint.ok_or_else(unavailable)?;
    Ok(Place { node_id: leader.0, host: endpoint.host.clone(), port: i32::from(endpoint.port) })
}
