//! The proposer: while this node leads, the only one that makes records. It takes the requests that
//! wait, decides them one after the other against the image and what it decided just before,
//! proposes all their records as one entry, and answers when that is committed.
//!
//! Only one entry is under way at a time, so requests that come meanwhile share the next one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pharos_base::{BrokerId, Clock};
use pharos_protocol::messages::NoOpRecord;
use tokio::sync::{mpsc, watch};

use super::jobs::{Answer, Job, Pending, Turn};
use super::start::OnRegistered;
use crate::decide::{ConfigRules, ControllerSettings, Facts, MAX_RECORDS_PER_REQUEST};
use crate::decide::{brokers, elect_leaders};
use crate::image::{ControllerRegistration, MetadataDelta, MetadataImage};
use crate::lease::Leases;
use crate::metrics::ControllerMetrics;
use crate::quorum::{MachineView, Proposal, Quorum, RaftMetrics, Role, role};
use crate::record::{MAX_RECORDS_PER_BATCH, MetadataRecord, encode_batch, encoded_len};

/// Most requests that share an entry.
const MAX_JOBS_PER_ENTRY: usize = 256;
/// Bytes of records from which on an entry takes no further requests.
const FULL_ENTRY_BYTES: usize = 8 << 20;
/// Most bytes of records of one decision; what clients ask for is refused long before. With what
/// an entry may hold before it, this stays below what the log reads again.
const MAX_DECISION_BYTES: usize = 32 << 20;
/// How long to wait when there is no deadline.
const IDLE: Duration = Duration::from_secs(3600);

/// Everything that the proposer works with.
pub(super) struct Proposer {
    pub quorum: Arc<Quorum>,
    pub jobs: mpsc::Receiver<Job>,
    pub settings: Arc<ControllerSettings>,
    pub rules: Arc<dyn ConfigRules>,
    pub clock: Clock,
    pub metrics: Arc<ControllerMetrics>,
    /// Records of a cluster's first entry.
    pub bootstrap: Vec<MetadataRecord>,
    pub registration: ControllerRegistration,
    pub on_registered: OnRegistered,
    pub leases: Leases,
    pub last_write_ms: i64,
    pub last_balance_ms: i64,
}

impl Proposer {
    /// Works until the quorum stops.
    pub async fn run(mut self) {
        let mut metrics = self.quorum.metrics();
        let mut led_before = None;
        let mut waiting_since = self.clock.monotonic();
        loop {
            match role(&mut metrics) {
                Role::Leading(term) => {
                    if led_before != Some(term) {
                        led_before = Some(term);
                        self.metrics.elected(self.clock.monotonic().saturating_sub(waiting_since));
                        self.begin(term).await;
                    }
                    if !self.step(term, &mut metrics).await {
                        return;
                    }
                }
                Role::Following => {
                    self.metrics.set_active(false);
                    waiting_since = self.clock.monotonic();
                    tokio::select! {
                        changed = metrics.changed() => if changed.is_err() { return },
                        // Dropping a job tells its asker to look elsewhere.
                        job = self.jobs.recv() => if job.is_none() { return },
                    }
                }
                Role::Waiting => {
                    self.metrics.set_active(false);
                    if metrics.changed().await.is_err() {
                        return;
                    }
                }
                Role::Stopped => {
                    self.metrics.set_active(false);
                    return;
                }
            }
        }
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.clock.monotonic().as_millis()).unwrap_or(i64::MAX)
    }

    /// The first acts of a new leader: every broker gets its time, a new cluster its features, and
    /// this controller its registration.
    async fn begin(&mut self, term: u64) {
        let image = self.quorum.view().image.clone();
        let now_ms = self.now_ms();
        self.leases.begin(&image, now_ms);
        self.last_write_ms = now_ms;
        self.last_balance_ms = now_ms;
        let mut records = Vec::new();
        if image.metadata_version() == 0 {
            records.extend(self.bootstrap.iter().cloned());
        }
        let mut answers: Vec<Answer> = Vec::new();
        if !image.controllers().any(|it| **it == self.registration) {
            records.push(MetadataRecord::RegisterController(self.registration.to_record()));
            let (request, began) = (self.registration.to_request(), Instant::now());
            let tell = self.on_registered.clone();
            answers.push(Box::new(move || tell(&request, began)));
        }
        tracing::info!(term, "this node is the active controller");
        self.propose(term, records, answers).await;
    }

    /// One round: wait for work, decide it, propose it. False when there will be no more work.
    async fn step(&mut self, term: u64, metrics: &mut watch::Receiver<RaftMetrics>) -> bool {
        let mut waiting = Vec::new();
        let pause = self.until_deadline();
        tokio::select! {
            biased;
            job = self.jobs.recv() => match job {
                Some(job) => waiting.push(job),
                None => return false,
            },
            changed = metrics.changed() => return changed.is_ok(),
            () = tokio::time::sleep(pause) => {}
        }
        while waiting.len() < MAX_JOBS_PER_ENTRY
            && let Ok(job) = self.jobs.try_recv()
        {
            waiting.push(job);
        }
        if role(metrics) != Role::Leading(term) {
            return true;
        }
        let started = self.clock.monotonic();
        for job in &waiting {
            self.metrics.job_started(started.saturating_sub(job.queued));
        }
        let count = waiting.len();
        self.decide_all(term, waiting).await;
        self.metrics.jobs_done(count, self.clock.monotonic().saturating_sub(started));
        true
    }

    fn until_deadline(&self) -> Duration {
        let image = &self.quorum.view().image.clone();
        let idle = self.settings.max_idle_interval_ms;
        let deadlines = [
            self.leases.next_deadline_ms(image),
            (idle > 0).then(|| self.last_write_ms + idle),
            self.settings
                .auto_leader_rebalance_enable
                .then(|| self.last_balance_ms + self.settings.leader_imbalance_check_interval_ms),
        ];
        let now_ms = self.now_ms();
        let next = deadlines.into_iter().flatten().min();
        next.map_or(IDLE, |next| {
            Duration::from_millis(u64::try_from(next.saturating_sub(now_ms)).unwrap_or(0))
        })
    }

    /// Decides what is due and what waits, each against the image that the one before leaves.
    async fn decide_all(&mut self, term: u64, jobs: Vec<Job>) {
        let mut draft = Draft::new(&self.quorum.view());
        self.decide_due(&mut draft);
        let mut answers = Vec::with_capacity(jobs.len());
        for job in jobs {
            let Pending { records, answer } = job.decide(&mut self.turn(&draft));
            if draft.add(records) {
                answers.push(answer);
            } else {
                self.metrics.metadata_error();
            }
            if draft.is_full() {
                self.propose(term, draft.records, std::mem::take(&mut answers)).await;
                draft = Draft::new(&self.quorum.view());
            }
        }
        self.propose(term, draft.records, answers).await;
    }

    fn turn<'a>(&'a mut self, draft: &'a Draft) -> Turn<'a> {
        Turn {
            now_ms: self.now_ms(),
            facts: Facts {
                image: &draft.image,
                settings: &self.settings,
                rules: &*self.rules,
                next_offset: draft.next_offset(),
                chance: rand::random(),
            },
            leases: &mut self.leases,
        }
    }

    /// What no one asks for: leases that ended, preferred leaders, a sign of life.
    fn decide_due(&mut self, draft: &mut Draft) {
        let now_ms = self.now_ms();
        while let Some(id) = self.leases.expired(&draft.image, now_ms) {
            tracing::warn!(broker = id.0, "fencing a broker whose session has timed out");
            let records = self.fence(draft, id);
            if !draft.add(records) {
                break;
            }
        }
        let balance_due = self.last_balance_ms + self.settings.leader_imbalance_check_interval_ms;
        if self.settings.auto_leader_rebalance_enable && now_ms >= balance_due {
            self.last_balance_ms = now_ms;
            let records = elect_leaders::balance(&self.turn(draft).facts);
            draft.add(records);
        }
        let idle = self.settings.max_idle_interval_ms;
        if draft.records.is_empty() && idle > 0 && now_ms >= self.last_write_ms + idle {
            draft.add(vec![MetadataRecord::NoOp(NoOpRecord::default())]);
        }
    }

    fn fence(&mut self, draft: &Draft, id: BrokerId) -> Vec<MetadataRecord> {
        let turn = self.turn(draft);
        let broker = turn.facts.image.broker(id);
        broker.map(|broker| brokers::fence(&turn.facts, broker)).unwrap_or_default()
    }

    /// Proposes records and answers once they are committed; without records there is nothing to
    /// wait for, since everything that was decided before is committed.
    async fn propose(&mut self, term: u64, records: Vec<MetadataRecord>, answers: Vec<Answer>) {
        if records.is_empty() || self.commit(term, &records).await {
            for answer in answers {
                answer();
            }
        }
        self.metrics.set_contacts(self.leases.contacts());
    }

    async fn commit(&mut self, term: u64, records: &[MetadataRecord]) -> bool {
        self.last_write_ms = self.now_ms();
        let batch = match encode_batch(records, self.clock.now_ms()) {
            Ok(batch) => batch,
            Err(error) => {
                tracing::error!("metadata records cannot be written: {error}");
                self.metrics.metadata_error();
                return false;
            }
        };
        let crc = crc_of(&batch);
        let started = self.clock.monotonic();
        let applied = self.quorum.propose(Proposal { term, batch }).await;
        // Another batch than ours: the term had changed before ours was appended.
        let committed = applied.is_some_and(|applied| applied.crc == crc);
        if committed {
            let took = self.clock.monotonic().saturating_sub(started);
            self.metrics.committed(records.len(), took);
        }
        committed
    }
}

fn crc_of(batch: &[u8]) -> u32 {
    pharos_protocol::batch::RecordBatch::split(batch).map_or(0, |(view, _)| view.header().crc)
}

/// The image with what was decided but not yet proposed.
struct Draft {
    image: MetadataImage,
    base_offset: i64,
    records: Vec<MetadataRecord>,
    bytes: usize,
}

impl Draft {
    fn new(view: &MachineView) -> Self {
        let image = MetadataImage::clone(&view.image);
        Self { image, base_offset: view.next_offset, records: Vec::new(), bytes: 0 }
    }

    fn next_offset(&self) -> i64 {
        self.base_offset + i64::try_from(self.records.len()).unwrap_or(i64::MAX)
    }

    /// Whether what comes next belongs into another entry.
    fn is_full(&self) -> bool {
        self.records.len() >= MAX_RECORDS_PER_REQUEST || self.bytes >= FULL_ENTRY_BYTES
    }

    /// Adds the records of one decision; false, and nothing changed, when they do not fit: that is
    /// an error of the decision, and of no other that shares the entry.
    fn add(&mut self, records: Vec<MetadataRecord>) -> bool {
        let bytes = match encoded_len(&records) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::error!("a decision cannot be written: {error}");
                return false;
            }
        };
        let count = self.records.len() + records.len();
        if bytes > MAX_DECISION_BYTES || count > MAX_RECORDS_PER_BATCH {
            tracing::error!(
                records = records.len(),
                bytes,
                "a decision is too large to be written"
            );
            return false;
        }
        let mut image = self.image.clone();
        let mut delta = MetadataDelta::default();
        for record in &records {
            if let Err(error) = image.apply(record, &mut delta) {
                tracing::error!("a decision does not fit the metadata image: {error}");
                return false;
            }
        }
        self.image = image;
        self.records.extend(records);
        self.bytes += bytes;
        true
    }
}
