//! Client telemetry (KIP-714) on this broker: who a client is, what it is asked to tell, and when
//! it is forgotten. What is made of it is decided in `insight`.

use std::sync::Arc;
use std::time::Duration;

use pharos_base::Clock;
use pharos_config::{BrokerConfig, ClientMetricsConfig};
use pharos_insight::{ClientFacts, ClientTelemetry};
use pharos_metadata::image::{ConfigResourceType, MetadataDelta, MetadataImage};

use crate::context::RequestContext;

/// How often clients that fell silent are looked for.
const EXPIRE_EVERY: Duration = Duration::from_secs(1);

/// Runs `run` with what the connection tells of its client.
pub fn with_facts<R>(context: &RequestContext, run: impl FnOnce(&ClientFacts<'_>) -> R) -> R {
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

/// Forgets clients that fell silent, for ever.
pub async fn expire(telemetry: Arc<ClientTelemetry>, clock: Clock) {
    let mut interval = tokio::time::interval(EXPIRE_EVERY);
    loop {
        interval.tick().await;
        telemetry.expire(clock.now_ms());
    }
}
