//! Compaction: keeping the last value of each key.

pub(crate) mod swap;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use pharos_base::{Offset, TopicPartition};

use crate::checkpoint::OffsetMap;
use crate::log::Log;

/// The cleaner's settings; the names in comments are broker keys.
#[derive(Clone, Debug, PartialEq)]
pub struct CleanerOptions {
    /// `log.cleaner.enable`
    pub enabled: bool,
    /// `log.cleaner.backoff.ms`
    pub backoff_ms: i64,
    /// `log.cleaner.dedupe.buffer.size`, in bytes: bounds the keys of one cleaning.
    pub dedupe_buffer_bytes: usize,
    /// `log.cleaner.io.buffer.load.factor`
    pub load_factor: f64,
}

impl Default for CleanerOptions {
    fn default() -> Self {
        Self { enabled: true, backoff_ms: 15_000, dedupe_buffer_bytes: 128 << 20, load_factor: 0.9 }
    }
}

/// How far each log is cleaned, and the cleaner's figures.
#[derive(Debug)]
pub struct Cleaner {
    options: CleanerOptions,
    cleaned_to: Mutex<HashMap<TopicPartition, Offset>>,
    started_ms: i64,
}

impl Cleaner {
    pub(crate) fn new(options: CleanerOptions, started_ms: i64) -> Self {
        Self { options, cleaned_to: Mutex::default(), started_ms }
    }

    /// Offset up to which a log is cleaned.
    pub fn cleaned_to(&self, partition: &TopicPartition) -> Option<Offset> {
        self.cleaned_to.lock().get(partition).copied()
    }

    pub(crate) fn restore(&self, offsets: OffsetMap) {
        self.cleaned_to.lock().extend(offsets);
    }

    pub(crate) fn forget(&self, partition: &TopicPartition) {
        self.cleaned_to.lock().remove(partition);
    }

    pub(crate) fn run(&self, _logs: &[Arc<Log>], _doom: &dyn Fn(&Log, Vec<PathBuf>)) {
        let _ = (&self.options, self.started_ms);
    }
}
