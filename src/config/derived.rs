//! Values that several keys give together.

use std::path::PathBuf;

use crate::broker::BrokerConfig;
use crate::rows;

impl BrokerConfig {
    /// Directories of the logs: `log.dirs`, else `log.dir`.
    pub fn log_dirs(&self) -> Vec<PathBuf> {
        let dirs = self.get(&rows::LOG_DIRS).filter(|dirs| !dirs.is_empty());
        dirs.unwrap_or_else(|| self.get(&rows::LOG_DIR)).iter().map(PathBuf::from).collect()
    }

    /// Directory of the metadata log: `metadata.log.dir`, else the first log directory.
    pub fn metadata_log_dir(&self) -> PathBuf {
        match self.get(&rows::METADATA_LOG_DIR) {
            Some(dir) => PathBuf::from(dir),
            None => self.log_dirs().into_iter().next().unwrap_or_default(),
        }
    }

    /// Milliseconds that a segment is kept; −1 means for ever.
    pub fn log_retention_ms(&self) -> i64 {
        let minutes = || self.get(&rows::LOG_RETENTION_MINUTES).map(|m| i64::from(m) * 60_000);
        let hours = || i64::from(self.get(&rows::LOG_RETENTION_HOURS)) * 3_600_000;
        let ms = self.get(&rows::LOG_RETENTION_MS).or_else(minutes).unwrap_or_else(hours);
        ms.max(-1)
    }

    /// Milliseconds after which a new segment begins.
    pub fn log_roll_ms(&self) -> i64 {
        let hours = || i64::from(self.get(&rows::LOG_ROLL_HOURS)) * 3_600_000;
        self.get(&rows::LOG_ROLL_MS).unwrap_or_else(hours)
    }

    /// Most milliseconds taken at random from the roll time.
    pub fn log_roll_jitter_ms(&self) -> i64 {
        let hours = || i64::from(self.get(&rows::LOG_ROLL_JITTER_HOURS)) * 3_600_000;
        self.get(&rows::LOG_ROLL_JITTER_MS).unwrap_or_else(hours)
    }

    /// Longest time in milliseconds that a record stays unflushed.
    pub fn log_flush_interval_ms(&self) -> i64 {
        let scheduler = || self.get(&rows::LOG_FLUSH_SCHEDULER_INTERVAL_MS);
        self.get(&rows::LOG_FLUSH_INTERVAL_MS).unwrap_or_else(scheduler)
    }

    /// `max.connections.per.ip.overrides` as pairs of host and limit.
    pub fn max_connections_per_ip_overrides(&self) -> Vec<(&str, u32)> {
        let text = self.get(&rows::MAX_CONNECTIONS_PER_IP_OVERRIDES);
        parse_ip_overrides(text).unwrap_or_default()
    }
}

/// Reads `host:limit,...`; `None` when it is something else.
pub(crate) fn parse_ip_overrides(text: &str) -> Option<Vec<(&str, u32)>> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries
        .map(|entry| {
            let (host, limit) = entry.rsplit_once(':')?;
            let host = host.trim().trim_matches(['[', ']']);
            let limit = limit.trim().parse::<i32>().ok().and_then(|limit| limit.try_into().ok())?;
            (!host.is_empty()).then_some((host, limit))
        })
        .collect()
}
