//! How the rooms of a node follow the metadata: first the settings, then everything that lives by
//! topics and partitions. Readers see a step only when all have followed it.

use std::sync::Arc;

use pharos_config::rows;
use pharos_insight::HotKeys;
use pharos_metadata::ImagePublisher;
use pharos_metadata::image::{MetadataDelta, MetadataImage};
use pharos_net::SocketServer;
use pharos_storage::LogManager;

use super::rooms::Rooms;
use crate::groups::{self, Groups};
use crate::lifecycle::Lifecycle;
use crate::live_config::LiveConfig;
use crate::{client_telemetry, hot_keys, settings};

/// Lets every step of the metadata reach the rooms, in the order in which they depend on it.
pub fn follow(
    rooms: &Rooms,
    server: &SocketServer,
    lifecycle: &Arc<Lifecycle>,
    publisher: &ImagePublisher,
) {
    let settings = Settings {
        live: rooms.live.clone(),
        server: server.clone(),
        logs: rooms.logs.clone(),
        lifecycle: lifecycle.clone(),
        groups: rooms.groups.clone(),
        hot_keys: rooms.insight.hot_keys().clone(),
    };
    settings.cordon();
    publisher.subscribe(Box::new(move |_, image, delta| settings.step(image, delta)));
    let rooms = rooms.clone();
    publisher.subscribe(Box::new(move |before, image, delta| step(&rooms, before, image, delta)));
}

/// What acts on changed settings at once.
struct Settings {
    live: Arc<LiveConfig>,
    server: SocketServer,
    logs: Arc<LogManager>,
    lifecycle: Arc<Lifecycle>,
    groups: Arc<Groups>,
    hot_keys: Arc<HotKeys>,
}

impl Settings {
    /// Directories that get no new logs, here and from the controller.
    fn cordon(&self) {
        let cordoned = settings::cordoned(&self.live.get());
        self.lifecycle.set_cordoned(&cordoned);
        self.logs.set_cordoned(cordoned);
    }

    fn step(&self, image: &MetadataImage, delta: &MetadataDelta) {
        let addresses = delta.quotas_changed.iter().any(|entity| entity.ip.is_some());
        if addresses {
            self.server.set_quotas(settings::connection_quotas(&self.live.get(), image));
        }
        if delta.configs_changed.is_empty() {
            return;
        }
        if self.live.follow(image) {
            let config = self.live.get();
            self.server.set_quotas(settings::connection_quotas(&config, image));
            self.logs.set_cleaner(settings::cleaner(&config));
            self.cordon();
            let expiration_ms = config.get(&rows::PRODUCER_ID_EXPIRATION_MS);
            self.logs.set_producer_id_expiration_ms(expiration_ms.into());
            self.logs.set_recovery_threads(settings::recovery_threads(&config));
            hot_keys::set(&self.hot_keys, &config);
        }
        self.groups.set_config(settings::groups(&self.live.get(), image));
    }
}

fn step(rooms: &Rooms, before: &MetadataImage, image: &Arc<MetadataImage>, delta: &MetadataDelta) {
    let settings = |image: &MetadataImage, topic: &str| rooms.live.topic_settings(image, topic);
    for (partition, error) in rooms.replicas.follow(image, delta, &settings) {
        tracing::error!(%partition, %error, "partition is offline");
    }
    rooms.topic_metrics.follow(image, delta, &rooms.replicas);
    for name in delta.topics_deleted.values() {
        rooms.delayed.remove_topic(name);
    }
    groups::topics::follow(&rooms.groups, image, delta);
    rooms.insight.follow(before, image, delta);
    rooms.quotas.follow(image, &delta.quotas_changed);
    client_telemetry::follow(&rooms.telemetry, image, delta, &rooms.live.get());
}
