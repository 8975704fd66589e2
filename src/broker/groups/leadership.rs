//! Shards come and go with the leadership of their partitions: takes them over, loads them, keeps
//! their deadlines, gives them up.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pharos_base::PartitionId;
use pharos_coordinator::{Now, Shard};
use pharos_replication::Partition;
use tokio::sync::Notify;

use super::Groups;
use super::load::load;
use super::slot::{Slot, State};
use crate::beans::ShardStage;
use crate::topics::OFFSETS_TOPIC;

impl Groups {
    /// Takes over the shards of the partitions that this broker leads now, and gives up the others.
    pub fn follow_leadership(self: &Arc<Self>) {
        let count = self.shared.read().partition_count;
        for index in 0..count {
            let found = self.replicas.find(OFFSETS_TOPIC, PartitionId(index)).ok();
            let led = found.filter(|partition| partition.role().leads);
            let known = self.slots.read().contains_key(&index);
            match (led, known) {
                (Some(partition), false) => self.take(index, partition),
                (None, true) => self.give_up(index),
                _ => {}
            }
        }
    }

    fn take(self: &Arc<Self>, index: i32, partition: Arc<Partition>) {
        let shared = self.shared.read().clone();
        let slot = Arc::new(Slot {
            partition,
            codec: self.options.codec,
            state: Mutex::new(State {
                shard: Shard::new(shared.config, shared.topics, self.metrics.tally()),
                stage: self.shards.stage(ShardStage::Loading),
                waiting: HashMap::new(),
            }),
            sensors: self.shards.sensors().clone(),
            appends: self.topic_metrics.topic(OFFSETS_TOPIC),
            moved: Notify::new(),
        });
        self.slots.write().insert(index, slot.clone());
        self.runtime.spawn(self.clone().live(slot));
    }

    fn give_up(&self, index: i32) {
        let Some(slot) = self.slots.write().remove(&index) else { return };
        slot.state.lock().unload();
        slot.moved.notify_one();
    }

    /// Loads a shard and keeps its time.
    async fn live(self: Arc<Self>, slot: Arc<Slot>) {
        let began = Instant::now();
        let (loading, clock, bytes) = (slot.clone(), self.clock.clone(), self.options.load_bytes);
        let loaded = tokio::task::spawn_blocking(move || load(&loading, &clock, bytes)).await;
        let error = match loaded {
            Ok(Ok(())) => {
                slot.sensors.loaded(began.elapsed());
                return self.keep_time(slot).await;
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        slot.state.lock().stage.enter(ShardStage::Failed);
        tracing::error!(partition = %slot.partition.id(), %error, "groups cannot be loaded");
    }

    /// Does what is due in a shard, for as long as it is here.
    async fn keep_time(self: Arc<Self>, slot: Arc<Slot>) {
        loop {
            let due = slot.state.lock().shard.next_deadline();
            let wait = due.map(|due| due.saturating_sub(Now::of(&self.clock).monotonic_ms));
            match wait {
                Some(wait) if wait <= 0 => {
                    slot.run(&self.clock, |shard, now| shard.on_deadline(now));
                    continue;
                }
                Some(wait) => {
                    let wait = Duration::from_millis(wait.unsigned_abs());
                    let _ = tokio::time::timeout(wait, slot.moved.notified()).await;
                }
                None => slot.moved.notified().await,
            }
            let index = slot.partition.id().partition.0;
            let here = self.slots.read().get(&index).is_some_and(|at| Arc::ptr_eq(at, &slot));
            if !here {
                return;
            }
        }
    }
}
