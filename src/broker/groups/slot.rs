//! One shard and its partition: runs events, appends what they write, and hands answers to whoever
//! waits. A shard is locked for as long as its event and its appends take, and never longer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};
use pharos_base::Clock;
use pharos_coordinator::{Context, Event, Now, Output, Reply, Request, Shard, Token, Write};
use pharos_protocol::ErrorCode;
use pharos_protocol::batch::Origin;
use pharos_protocol::compression::Codec;
use pharos_replication::Partition;
use tokio::sync::{Notify, oneshot};

use crate::beans::{EventSensors, Staged};
use crate::errors;
use crate::topic_metrics::{OneTopic, TopicMeter};

/// A shard with its log and whoever waits for it.
#[derive(Debug)]
pub struct Slot {
    /// The partition of `__consumer_offsets`.
    pub partition: Arc<Partition>,
    /// How batches are compressed.
    pub codec: Codec,
    /// The shard.
    pub state: Mutex<State>,
    /// What events cost.
    pub sensors: EventSensors,
    /// What is appended counts as produced.
    pub appends: Arc<OneTopic>,
    /// The next deadline may have moved.
    pub moved: Notify,
}

/// What the lock of a slot protects.
#[derive(Debug)]
pub struct State {
    /// The groups.
    pub shard: Shard,
    /// Where the shard stands.
    pub stage: Staged,
    /// Who waits for which answer.
    pub waiting: HashMap<Token, oneshot::Sender<Reply>>,
}

impl Slot {
    /// Lets an event take effect: its records are appended before this returns.
    pub fn run(&self, clock: &Clock, event: impl FnOnce(&mut Shard, Now) -> Output) {
        let arrived = Instant::now();
        self.take_effect(arrived, self.state.lock(), clock, event);
    }

    /// Lets a request take effect; the receiver gets its answer.
    ///
    /// # Errors
    /// `COORDINATOR_LOAD_IN_PROGRESS` while the shard does not answer.
    pub fn begin(
        &self,
        clock: &Clock,
        token: Token,
        context: Context,
        request: Request,
    ) -> Result<oneshot::Receiver<Reply>, ErrorCode> {
        let arrived = Instant::now();
        let mut state = self.state.lock();
        if !state.stage.is_active() {
            return Err(ErrorCode::CoordinatorLoadInProgress);
        }
        let (sender, receiver) = oneshot::channel();
        state.waiting.insert(token, sender);
        let event = Event::Request { token, context, request };
        self.take_effect(arrived, state, clock, |shard, now| shard.handle(now, event));
        Ok(receiver)
    }

    fn take_effect(
        &self,
        arrived: Instant,
        mut state: MutexGuard<'_, State>,
        clock: &Clock,
        event: impl FnOnce(&mut Shard, Now) -> Output,
    ) {
        let began = Instant::now();
        state.run(self, Now::of(clock), event);
        drop(state);
        self.sensors.event(arrived, began);
        self.moved.notify_one();
    }

    /// Appends the records as one batch and returns the offset of the first.
    fn append(&self, write: &Write, now: Now) -> Result<i64, ErrorCode> {
        let batch = write.batch(now, self.codec).map_err(|error| {
            tracing::warn!(%error, "what a client asked of a group cannot be written");
            ErrorCode::MessageTooLarge
        })?;
        self.appends.mark(TopicMeter::TotalProduceRequests, 1);
        let appended = self
            .partition
            .append(&batch, Origin::Coordinator, true)
            .map_err(|error| errors::of_partition(&error).code)?;
        self.appends.mark(TopicMeter::BytesIn, appended.info.bytes);
        self.appends.mark(TopicMeter::MessagesIn, appended.info.record_count);
        Ok(appended.info.first_offset.0)
    }
}

impl State {
    fn run(&mut self, slot: &Slot, now: Now, event: impl FnOnce(&mut Shard, Now) -> Output) {
        self.shard.committed_up_to(slot.partition.high_watermark().0);
        let mut output = event(&mut self.shard, now);
        loop {
            self.answer(output.replies);
            let Some(write) = output.write else { break };
            let began = Instant::now();
            let appended = slot.append(&write, now);
            slot.sensors.flushed(began.elapsed());
            output = match appended {
                Ok(base) => {
                    let output = self.shard.appended(now, write, base);
                    self.shard.committed_up_to(slot.partition.high_watermark().0);
                    output
                }
                Err(error) => self.shard.failed(now, write, error),
            };
        }
    }

    /// The shard leaves: whoever waits is told to look for the coordinator.
    pub fn unload(&mut self) {
        let output = self.shard.unload();
        self.answer(output.replies);
        self.waiting.clear();
    }

    fn answer(&mut self, replies: Vec<Reply>) {
        for reply in replies {
            if let Some(waiting) = self.waiting.remove(&reply.token) {
                // Whoever waited may have closed the connection; the effect stands.
                let _ = waiting.send(reply);
            }
        }
    }
}
