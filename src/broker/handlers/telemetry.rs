//! GetTelemetrySubscriptions v0 and PushTelemetry v0 (KIP-714): what clients are asked to tell of
//! themselves, and what they push. `insight` decides; here the facts of the connection are gathered.

use std::sync::Arc;

use pharos_config::{BrokerConfig, ClientMetricsConfig};
use pharos_insight::{ClientFacts, ClientTelemetry};
use pharos_metadata::image::{ConfigResourceType, MetadataDelta, MetadataImage};
use pharos_protocol::messages::{
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse, PushTelemetryRequestRef,
    PushTelemetryResponse,
};

use crate::context::RequestContext;

/// GetTelemetrySubscriptions.
pub fn subscriptions(
    telemetry: &ClientTelemetry,
    now_ms: i64,
    context: &RequestContext,
    request: &GetTelemetrySubscriptionsRequest,
) -> GetTelemetrySubscriptionsResponse {
    with_facts(context, |facts| telemetry.get_subscriptions(now_ms, facts, request))
}

/// PushTelemetry.
pub fn push(
    telemetry: &ClientTelemetry,
    now_ms: i64,
    context: &RequestContext,
    request: &PushTelemetryRequestRef<'_>,
) -> PushTelemetryResponse {
    with_facts(context, |facts| telemetry.push(now_ms, facts, request))
}

fn with_facts<R>(context: &RequestContext, run: impl FnOnce(&ClientFacts<'_>) -> R) -> R {
    let nameless = || (Arc::from(""), Arc::from(""));
    let (name, version) = context.connection.client_software().unwrap_or_else(nameless);
    let peer = context.connection.peer();
    run(&ClientFacts {
        client_id: &context.client_id,
        software_name: &name,
        software_version: &version,
        source_address: peer.ip(),
        source_port: peer.port(),
    })
}

/// Asks clients for what the subscriptions of `image` want, if they changed.
pub fn follow(
    telemetry: &ClientTelemetry,
    image: &MetadataImage,
    delta: &MetadataDelta,
    config: &BrokerConfig,
) {
    let kind = ConfigResourceType::ClientMetrics;
    if delta.configs_changed.iter().any(|resource| resource.kind == kind) {
        let all = image.configs().filter(|(resource, _)| resource.kind == kind);
        telemetry.set_subscriptions(all.map(|(_, own)| ClientMetricsConfig::resolve(own, config)));
    }
}
