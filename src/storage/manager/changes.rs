//! Making logs and taking them away. One change at a time; each is one rename or one new directory,
//! so that a kill leaves it done or not begun.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pharos_base::{Offset, TopicId, TopicPartition};
use uuid::Uuid;

use super::{Dir, Doomed, LogManager};
use crate::config::LogConfig;
use crate::disk::LogDir;
use crate::error::{Context, StorageError};
use crate::log::{Log, LogOptions};
use crate::metrics::LogBeans;
use crate::names;

impl LogManager {
    /// The log of a partition; made, in the online directory with the fewest logs, when there is none.
    /// One of another topic id belongs to a topic that is no more, and is deleted.
    ///
    /// # Errors
    /// When files cannot be made or renamed, or no directory is online.
    pub fn get_or_create(
        &self,
        partition: &TopicPartition,
        topic_id: Option<TopicId>,
        config: LogConfig,
    ) -> Result<Arc<Log>, StorageError> {
        self.get_or_create_in(None, partition, topic_id, config)
    }

    /// As [`Self::get_or_create`], in the directory `dir` if one is named.
    ///
    /// # Errors
    /// As [`Self::get_or_create`].
    pub fn get_or_create_in(
        &self,
        dir: Option<&Path>,
        partition: &TopicPartition,
        topic_id: Option<TopicId>,
        config: LogConfig,
    ) -> Result<Arc<Log>, StorageError> {
        let _changing = self.changing.lock();
        if let Some(log) = self.get(partition) {
            log.home().check()?;
            let found = log.topic_id();
            match topic_id {
                // A kill came between making the directory and saying whose it is. Without a name, a
                // later topic would take it for its own.
                Some(wanted) if found == TopicId::ZERO => {
                    log.assign_topic_id(wanted)?;
                    return Ok(log);
                }
                Some(wanted) if found != wanted => {}
                _ => return Ok(log),
            }
            // Ids are never used twice: that topic was deleted, and the process was killed before
            // its directory went.
            tracing::info!(log = %partition, %found, "the log of a deleted topic makes room");
            self.delete_changing(partition)?;
        }
        let home = self.choose(dir)?;
        let options = self.log_options(&home, partition, topic_id, config);
        let (log, _) = Log::open(options).inspect_err(|error| {
            if error.is_of_disk() {
                home.fail(error);
            }
        })?;
        self.add(&log);
        Ok(log)
    }

    pub(super) fn add(&self, log: &Arc<Log>) {
        let beans = LogBeans::new(&self.options.registry, log);
        self.log_beans.lock().insert(log.partition().clone(), beans);
        let replaced = self.logs.write().insert(log.partition().clone(), log.clone());
        if let Some(replaced) = replaced {
            self.count(&replaced, -1);
        }
        self.count(log, 1);
    }

    /// Counts a log more or less in its directory.
    fn count(&self, log: &Log, by: isize) {
        if let Some(dir) = self.dirs.iter().find(|dir| Arc::ptr_eq(&dir.home, log.home())) {
            dir.logs.fetch_add(by, Ordering::Relaxed);
        }
    }

    pub(super) fn log_options(
        &self,
        home: &Arc<LogDir>,
        partition: &TopicPartition,
        topic_id: Option<TopicId>,
        config: LogConfig,
    ) -> LogOptions {
        LogOptions {
            partition: partition.clone(),
            dir: home.path().join(names::partition_dir(partition)),
            topic_id,
            config,
            home: home.clone(),
            cache: self.cache.clone(),
            clock: self.options.clock.clone(),
            clean: true,
            recovery_point: Offset(0),
            log_start_offset: Offset(0),
            high_watermark: Offset(0),
            metrics: Some(self.metrics.clone()),
            progress: None,
        }
    }

    fn choose(&self, dir: Option<&Path>) -> Result<Arc<LogDir>, StorageError> {
        let online = self.dirs.iter().filter(|dir| !dir.home.is_offline());
        let allowed = online.filter(|Dir { home, .. }| match dir {
            Some(dir) => home.path() == dir,
            None => !self.is_cordoned(home),
        });
        let fewest = allowed.min_by_key(|dir| dir.logs.load(Ordering::Relaxed));
        let first = || self.dirs.first().map_or_else(PathBuf::new, |d| d.home.path().to_path_buf());
        fewest
            .map(|dir| dir.home.clone())
            .ok_or_else(|| StorageError::Offline { dir: dir.map_or_else(first, Path::to_path_buf) })
    }

    /// Deletes a log: its directory is renamed at once, so that the partition may be made again, and
    /// removed after `file.delete.delay.ms`. Absent logs are no error.
    ///
    /// # Errors
    /// When the directory cannot be renamed; it goes offline then.
    pub fn delete(&self, partition: &TopicPartition) -> Result<(), StorageError> {
        let _changing = self.changing.lock();
        self.delete_changing(partition)
    }

    /// As [`Self::delete`], by the holder of `changing`.
    fn delete_changing(&self, partition: &TopicPartition) -> Result<(), StorageError> {
        let Some((log, target)) = self.take_away(partition, names::DELETE_DIR)? else {
            return Ok(());
        };
        let due_ms = self.options.clock.now_ms().saturating_add(log.config().file_delete_delay_ms);
        let home = log.home().clone();
        self.doomed.lock().push(Doomed { home, paths: vec![target], is_dir: true, due_ms });
        Ok(())
    }

    /// Takes a log away that belongs to no topic, without deleting it: its directory is renamed, and
    /// whoever knows what it is may use it or remove it (`LogManager.addStrayLog` in apache/kafka).
    ///
    /// # Errors
    /// As [`Self::delete`].
    pub fn set_aside(&self, partition: &TopicPartition) -> Result<(), StorageError> {
        let _changing = self.changing.lock();
        if let Some((log, target)) = self.take_away(partition, names::STRAY_DIR)? {
            let (log, target) = (log.dir().display(), target.display());
            tracing::warn!(%log, %target, "this log belongs to no topic; its directory is renamed");
        }
        Ok(())
    }

    /// Closes a log and gives its directory another name, which is returned.
    fn take_away(
        &self,
        partition: &TopicPartition,
        ending: &str,
    ) -> Result<Option<(Arc<Log>, PathBuf)>, StorageError> {
        let Some(log) = self.logs.write().remove(partition) else { return Ok(None) };
        self.count(&log, -1);
        self.log_beans.lock().remove(partition);
        log.shut();
        let home = log.home();
        home.check()?;
        self.cleaner.forget(partition);
        let name = names::dir_away(partition, Uuid::new_v4().as_u128(), ending);
        let target = home.path().join(name);
        let fs = &self.options.fs;
        let renamed = fs.rename(log.dir(), &target).and_then(|()| fs.sync_dir(home.path()));
        match renamed.context("rename", log.dir()) {
            // Only the sync takes one. A power failure may bring the old name back, and the next start
            // does the same again.
            Err(error) if error.lacks_handles() => {}
            renamed => renamed.inspect_err(|error| home.fail(error))?,
        }
        Ok(Some((log, target)))
    }
}
