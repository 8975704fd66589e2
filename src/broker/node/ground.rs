//! What a node stands on before it serves anything: its directories, formatted as those of one node
//! of one cluster, and its logs, recovered.

use std::sync::Arc;

use pharos_admin::{Condition, Readiness};
use pharos_base::{BrokerId, Clock};
use pharos_config::{BrokerConfig, rows};
use pharos_metadata::{FormatOptions, FormattedDirectories, open_directories, stored_image};
use pharos_metrics::{Bean, Registry};
use pharos_storage::fs::Fs;
use pharos_storage::{LogManager, OpenReport};

use super::StartError;
use crate::live_config::LiveConfig;
use crate::settings;

/// What counts, for each directory, the logs that are still to be opened.
const LEFT: &str = "kafka.log:type=LogManager,name=remainingLogsToRecover,";

/// Configuration, time, directories and logs.
pub struct Ground {
    /// The configuration of the start.
    pub config: BrokerConfig,
    /// The configuration in force.
    pub live: Arc<LiveConfig>,
    /// The time.
    pub clock: Clock,
    /// Where beans and families register.
    pub registry: Registry,
    /// The disk.
    pub fs: Arc<dyn Fs>,
    /// The directories and the cluster that they belong to.
    pub formatted: FormattedDirectories,
    /// The logs.
    pub logs: Arc<LogManager>,
    /// What opening the logs found.
    pub recovery: OpenReport,
}

impl Ground {
    /// Opens directories and logs; formats directories that are empty.
    ///
    /// # Errors
    /// When a directory belongs elsewhere, or a log cannot be opened.
    pub async fn open(
        config: BrokerConfig,
        fs: Arc<dyn Fs>,
        clock: Clock,
        registry: Registry,
    ) -> Result<Self, StartError> {
        let formatted = format(&config, &fs).await?;
        let (logs, recovery) = open_logs(&config, &fs, &clock, &registry).await?;
        let live = Arc::new(LiveConfig::new(config.clone()));
        Ok(Self { config, live, clock, registry, fs, formatted, logs, recovery })
    }

    /// Id of the node.
    pub fn node_id(&self) -> BrokerId {
        BrokerId(self.config.node_id())
    }
}

/// The condition that the logs are open; it says how many are left, once they are counted.
pub fn recovery(readiness: &Readiness, registry: &Registry) -> Condition {
    let registry = registry.clone();
    readiness.watched("recovery", move || {
        let left = |bean: Arc<Bean>| registry.read(bean.name().as_str(), "Value")?.as_f64();
        let logs = registry.beans(LEFT).into_iter().filter_map(left).sum::<f64>();
        Some(match logs {
            0.0 => "logs are being opened".to_owned(),
            logs => format!("logs are being opened, {logs} left"),
        })
    })
}

async fn format(
    config: &BrokerConfig,
    fs: &Arc<dyn Fs>,
) -> Result<FormattedDirectories, StartError> {
    let options = FormatOptions {
        node_id: BrokerId(config.node_id()),
        cluster_id: config.cluster_id().map(str::to_owned),
        log_dirs: config.log_dirs(),
        metadata_log_dir: config.metadata_log_dir(),
        min_insync_replicas: config.get(&rows::MIN_INSYNC_REPLICAS),
    };
    let fs = fs.clone();
    Ok(tokio::task::spawn_blocking(move || open_directories(&*fs, &options)).await??)
}

async fn open_logs(
    config: &BrokerConfig,
    fs: &Arc<dyn Fs>,
    clock: &Clock,
    registry: &Registry,
) -> Result<(Arc<LogManager>, OpenReport), StartError> {
    let (dirs, metadata_dir) = (config.log_dirs(), config.metadata_log_dir());
    let config = LiveConfig::new(config.clone());
    let (fs, clock, registry) = (fs.clone(), clock.clone(), registry.clone());
    let open = move || {
        // Settings that were changed while the broker ran count for its next start, too. A snapshot
        // that cannot be read is refused when the quorum opens it, under the directory's lock.
        if let Ok(stored) = stored_image(&fs, &metadata_dir) {
            config.follow(&stored);
        }
        LogManager::open(&dirs, settings::storage(&config.get(), fs, clock, &registry))
    };
    Ok(tokio::task::spawn_blocking(open).await??)
}
