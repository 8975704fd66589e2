//! DescribeCluster, versions 0–2: the brokers, or the controllers, as one listener shows them.
//!
//! - v1: the client says whether it wants brokers (1) or controllers (2); controllers are told by
//!   the controller listener only.
//! - v2: fenced brokers on request.

use pharos_base::BrokerId;
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use pharos_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};

use crate::apis::Endpoint;
use crate::authorizer::{self, CLUSTER_OPERATIONS};
use crate::context::{Answer, AnswerError, RequestContext};
use crate::view::View;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

/// Answers the request.
///
/// # Errors
/// When its body is malformed.
pub fn answer(
    view: View<'_>,
    active: Option<BrokerId>,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let request = DescribeClusterRequest::decode(body, context.version)?;
    Answer::ready(context, &handle(view, active, context.endpoint, &request))
}

/// The answer on a listener for `endpoint`; `active` is the controller that decides.
fn handle(
    view: View<'_>,
    active: Option<BrokerId>,
    endpoint: Endpoint,
    request: &DescribeClusterRequest,
) -> DescribeClusterResponse {
    let refused = |error: ErrorCode, message: &str| DescribeClusterResponse {
        error_code: error.code(),
        error_message: Some(message.to_owned()),
        ..DescribeClusterResponse::default()
    };
    let operations =
        authorizer::operations(request.include_cluster_authorized_operations, CLUSTER_OPERATIONS);
    let (controller_id, brokers) = match (endpoint, request.endpoint_type) {
        (Endpoint::Broker, BROKERS) => brokers(view, request),
        (Endpoint::Controller, CONTROLLERS) => {
            (active.unwrap_or(BrokerId::NONE).0, controllers(view))
        }
        (Endpoint::Broker, CONTROLLERS) => {
            return refused(
                ErrorCode::MismatchedEndpointType,
                "the request was sent to an endpoint of type BROKER, but asks for CONTROLLER",
            );
        }
        (Endpoint::Controller, BROKERS) => {
            return refused(
                ErrorCode::MismatchedEndpointType,
                "the request was sent to an endpoint of type CONTROLLER, but asks for BROKER",
            );
        }
        _ => return refused(ErrorCode::UnsupportedEndpointType, "unknown endpoint type"),
    };
    DescribeClusterResponse {
        endpoint_type: request.endpoint_type,
        cluster_id: view.cluster_id.to_owned(),
        controller_id,
        brokers,
        cluster_authorized_operations: operations,
        ..DescribeClusterResponse::default()
    }
}

/// Who may be asked for what the controller decides, and the brokers.
fn brokers(view: View<'_>, request: &DescribeClusterRequest) -> (i32, Vec<DescribeClusterBroker>) {
    let brokers: Vec<_> = view
        .image
        .brokers()
        .filter(|broker| request.include_fenced_brokers || !broker.fenced)
        .filter_map(|broker| {
            let endpoint = broker.endpoint(view.listener)?;
            Some(DescribeClusterBroker {
                broker_id: broker.id.0,
                host: endpoint.host.clone(),
                port: i32::from(endpoint.port),
                rack: broker.rack.clone(),
                is_fenced: broker.fenced,
            })
        })
        .collect();
    let live = brokers.iter().find(|broker| !broker.is_fenced);
    (live.map_or(BrokerId::NONE.0, |broker| broker.broker_id), brokers)
}

fn controllers(view: View<'_>) -> Vec<DescribeClusterBroker> {
    let registered = view.image.controllers();
    let reachable = registered.filter_map(|controller| {
        let endpoint = controller.endpoints.iter().find(|of| of.name == view.listener)?;
        Some(DescribeClusterBroker {
            broker_id: controller.id.0,
            host: endpoint.host.clone(),
            port: i32::from(endpoint.port),
            ..DescribeClusterBroker::default()
        })
    });
    reachable.collect()
}
