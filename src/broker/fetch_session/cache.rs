//! The sessions that are kept, within their limits: which one makes room for another, and what each
//! remembers of its partitions.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;
use pharos_protocol::ErrorCode;

use super::{Claim, Limits, NO_SESSION, PartitionKey, SessionCounts, Told, Wanted};

/// All sessions.
#[derive(Debug)]
pub struct Cache {
    sessions: HashMap<i32, Session>,
    next_id: i32,
    partitions: usize,
    evictions: u64,
}

#[derive(Debug)]
struct Session {
    epoch: i32,
    uses_ids: bool,
    used_ms: i64,
    created_ms: i64,
    partitions: IndexMap<PartitionKey, Cached>,
}

/// What a session remembers of one partition.
#[derive(Clone, Copy, Debug)]
struct Cached {
    wanted: Wanted,
    told_high_watermark: i64,
    told_log_start: i64,
    got_data: bool,
}

impl Default for Cache {
    fn default() -> Self {
        Self { sessions: HashMap::new(), next_id: 1, partitions: 0, evictions: 0 }
    }
}

impl Cache {
    /// The counts behind the beans.
    pub fn counts(&self) -> SessionCounts {
        SessionCounts {
            sessions: self.sessions.len(),
            partitions: self.partitions,
            evictions: self.evictions,
        }
    }

    /// Closes a session, if it is there.
    pub fn remove(&mut self, id: i32) {
        if let Some(session) = self.sessions.remove(&id) {
            self.partitions -= session.partitions.len();
        }
    }

    /// Takes the next request of a session over; returns all partitions of it, in its order. A
    /// session without any is closed.
    ///
    /// # Errors
    /// When the claim fits no session.
    pub fn advance(
        &mut self,
        now_ms: i64,
        claim: Claim,
        wanted: Vec<(PartitionKey, Wanted)>,
        forgotten: &[PartitionKey],
    ) -> Result<Vec<(PartitionKey, Wanted)>, ErrorCode> {
        let session =
            self.sessions.get_mut(&claim.session_id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.epoch != claim.epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.uses_ids != claim.uses_ids {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        session.epoch = next_epoch(session.epoch);
        session.used_ms = now_ms;
        let before = session.partitions.len();
        session.change(wanted, forgotten);
        self.partitions = self.partitions + session.partitions.len() - before;
        let all = session.partitions.iter().map(|(key, cached)| (key.clone(), cached.wanted));
        let all: Vec<_> = all.collect();
        if all.is_empty() {
            self.remove(claim.session_id);
        }
        Ok(all)
    }

    /// Notes what the client of a session is told; for each entry, whether it must be.
    pub fn note(&mut self, id: i32, told: &[(PartitionKey, Wanted, Told)]) -> Vec<bool> {
        match self.sessions.get_mut(&id) {
            Some(session) => session.note(told),
            // Evicted or closed while the fetch waited: the answer is complete by itself.
            None => vec![true; told.len()],
        }
    }

    /// As [`Self::note`] without noting anything.
    pub fn would_tell(&self, id: i32, told: &[(&PartitionKey, Told)]) -> Vec<bool> {
        let cached = |key| self.sessions.get(&id).and_then(|session| session.partitions.get(key));
        told.iter().map(|(key, told)| cached(*key).is_none_or(|it| it.differs(told))).collect()
    }

    /// Opens a session, if there is room or another one must go. Returns its id, [`NO_SESSION`]
    /// when there is no room, and whether another one went.
    pub fn open(
        &mut self,
        limits: Limits,
        now_ms: i64,
        uses_ids: bool,
        told: &[(PartitionKey, Wanted, Told)],
    ) -> (i32, bool) {
        let full = self.sessions.len() >= limits.slots;
        if full && !self.evict(limits, now_ms, told.len()) {
            return (NO_SESSION, false);
        }
        let partitions: IndexMap<_, _> = told
            .iter()
            .map(|(key, wanted, told)| {
                (key.clone(), Cached::new(*wanted, told.high_watermark, told.log_start))
            })
            .collect();
        let id = self.fresh_id();
        self.partitions += partitions.len();
        let session =
            Session { epoch: 1, uses_ids, used_ms: now_ms, created_ms: now_ms, partitions };
        self.sessions.insert(id, session);
        (id, full)
    }

    /// Makes room by closing a session that nobody used for the eviction time, or one that is
    /// smaller and as old; false when all others deserve their place more.
    fn evict(&mut self, limits: Limits, now_ms: i64, size: usize) -> bool {
        let oldest = self.sessions.iter().min_by_key(|(_, session)| session.used_ms);
        let stale = oldest
            .filter(|(_, session)| now_ms - session.used_ms > limits.eviction_ms)
            .map(|(id, _)| *id);
        let smaller = || {
            let smallest = self.sessions.iter().min_by_key(|(_, session)| session.partitions.len());
            smallest
                .filter(|(_, session)| {
                    session.partitions.len() < size
                        && now_ms - session.created_ms > limits.eviction_ms
                })
                .map(|(id, _)| *id)
        };
        let Some(id) = stale.or_else(smaller) else { return false };
        self.remove(id);
        self.evictions += 1;
        true
    }

    fn fresh_id(&mut self) -> i32 {
        loop {
            let id = self.next_id;
            self.next_id = if id == i32::MAX { 1 } else { id + 1 };
            if !self.sessions.contains_key(&id) {
                return id;
            }
        }
    }
}

impl Session {
    fn change(&mut self, wanted: Vec<(PartitionKey, Wanted)>, forgotten: &[PartitionKey]) {
        if !forgotten.is_empty() {
            // One pass, however many are forgotten of however many.
            let forgotten: HashSet<_> = forgotten.iter().collect();
            self.partitions.retain(|key, _| !forgotten.contains(key));
        }
        for (key, wanted) in wanted {
            self.partitions
                .entry(key)
                .and_modify(|cached| cached.wanted = wanted)
                .or_insert(Cached::new(wanted, -1, -1));
        }
    }

    fn note(&mut self, told: &[(PartitionKey, Wanted, Told)]) -> Vec<bool> {
        let mut any_data = false;
        let changed = told
            .iter()
            .map(|(key, _, told)| {
                let Some(cached) = self.partitions.get_mut(key) else { return true };
                let changed = cached.differs(told);
                cached.told_log_start = told.log_start;
                // After an error the partition is answered again once it is over.
                cached.told_high_watermark =
                    if told.error == ErrorCode::None { told.high_watermark } else { -1 };
                cached.got_data = told.bytes > 0;
                any_data |= cached.got_data;
                changed
            })
            .collect();
        if any_data {
            // Those that got data go to the end, so that the others are read first next time.
            self.partitions.sort_by(|_, a, _, b| a.got_data.cmp(&b.got_data));
            self.partitions.values_mut().for_each(|cached| cached.got_data = false);
        }
        changed
    }
}

impl Cached {
    fn new(wanted: Wanted, told_high_watermark: i64, told_log_start: i64) -> Self {
        Self { wanted, told_high_watermark, told_log_start, got_data: false }
    }

    /// Whether the client does not know this yet.
    fn differs(&self, told: &Told) -> bool {
        told.bytes > 0
            || told.error != ErrorCode::None
            || told.notable
            || self.told_high_watermark != told.high_watermark
            || self.told_log_start != told.log_start
    }
}

fn next_epoch(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}
