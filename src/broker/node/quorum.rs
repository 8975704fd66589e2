//! Starts the controller of a node over its metadata log.

use std::sync::Arc;

use pharos_base::TopicId;
use pharos_config::rows;
use pharos_metadata::image::Endpoint;
use pharos_metadata::{Controller, ControllerOptions};
use pharos_protocol::ApiKey;

use super::StartError;
use super::ground::Ground;
use crate::config_rules::RowRules;
use crate::request_metrics::RequestMetrics;
use crate::settings;

/// Version in which a controller makes itself known.
const REGISTRATION_VERSION: i16 = 0;

/// Starts the controller; `endpoints` are its listeners. What it asks of itself counts in
/// `requests`.
///
/// # Errors
/// When the metadata log cannot be opened.
pub async fn start(
    ground: &Ground,
    endpoints: Vec<Endpoint>,
    requests: Arc<RequestMetrics>,
) -> Result<Controller, StartError> {
    let Ground { config, formatted, live, .. } = ground;
    let log_dir = config.metadata_log_dir();
    let election_timeout_ms = config.get(&rows::CONTROLLER_QUORUM_ELECTION_TIMEOUT_MS);
    let snapshot_bytes = config.get(&rows::METADATA_LOG_MAX_RECORD_BYTES_BETWEEN_SNAPSHOTS);
    let options = ControllerOptions {
        directory_id: formatted.directory_id(&log_dir).unwrap_or(TopicId::ZERO),
        endpoints,
        election_timeout_ms: u64::try_from(election_timeout_ms).unwrap_or(1000),
        max_bytes_between_snapshots: u64::try_from(snapshot_bytes).unwrap_or(u64::MAX),
        max_snapshot_interval_ms: config.get(&rows::METADATA_LOG_MAX_SNAPSHOT_INTERVAL_MS),
        clock: ground.clock.clone(),
        storage_metrics: Some(ground.logs.metrics().clone()),
        on_registered: Arc::new(move |request, began| {
            let (api, version) = (ApiKey::ControllerRegistration, REGISTRATION_VERSION);
            requests.record_in_process(api, version, request, began, &vec![(0, 1)]);
        }),
        ..ControllerOptions::new(
            settings::controller(config, &formatted.cluster_id),
            Arc::new(RowRules(live.clone())),
            ground.fs.clone(),
            log_dir,
            ground.registry.clone(),
        )
    };
    Ok(Controller::start(options).await?)
}
