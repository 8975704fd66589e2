//! Incremental fetch sessions (KIP-227): what a consumer asked for last time, so that it need not
//! say it again, and what it was told, so that only changes are answered.
//!
//! Rules as in `kafka.server.FetchSession` of Apache Kafka. It reads no log and knows no request
//! encoding: the fetch handler gives it partitions and results.

mod cache;

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use pharos_base::TopicId;
use pharos_metrics::{Meter, Registered};
use pharos_protocol::ErrorCode;

use self::cache::Cache;

/// Session id of a request that has no session.
pub const NO_SESSION: i32 = 0;
/// Session epoch of a request that opens a session.
const INITIAL_EPOCH: i32 = 0;
/// Session epoch of a request that wants no session, or closes its one.
const FINAL_EPOCH: i32 = -1;

/// A partition as sessions key it: requests before version 13 name topics, later ones identify
/// them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PartitionKey {
    /// Identity of the topic; zero in requests that name topics.
    pub topic_id: TopicId,
    /// Name of the topic; empty when the id is not known here.
    pub topic: Arc<str>,
    /// Index of the partition.
    pub partition: i32,
}

/// What is wanted of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// First offset wanted.
    pub fetch_offset: i64,
    /// Most bytes of this partition in one answer.
    pub max_bytes: i32,
    /// Leader epoch the client believes in; −1 = it does not say.
    pub current_leader_epoch: i32,
    /// Epoch of the last record the client has; −1 = it does not say.
    pub last_fetched_epoch: i32,
}

/// What was found out about a partition, as far as sessions care.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// Error of the partition.
    pub error: ErrorCode,
    /// Bytes of records in the answer.
    pub bytes: usize,
    /// High watermark in the answer.
    pub high_watermark: i64,
    /// Log start offset in the answer.
    pub log_start: i64,
    /// The answer holds something else the client must see (diverging epoch, preferred replica).
    pub notable: bool,
}

/// Limits of the cache.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `max.incremental.fetch.session.cache.slots`.
    pub slots: usize,
    /// `min.incremental.fetch.session.eviction.ms`.
    pub eviction_ms: i64,
}

/// The sessions of one node.
#[derive(Debug)]
pub struct FetchSessions {
    limits: Limits,
    cache: Mutex<Cache>,
    evictions: OnceLock<Registered<Meter>>,
}

/// What a request says of its session.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Session id of the request.
    pub session_id: i32,
    /// Session epoch of the request.
    pub epoch: i32,
    /// The request identifies topics by id (version 13 and later).
    pub uses_ids: bool,
}

/// How a request is answered: every partition, or the changed ones of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// No session; every partition is answered.
    Sessionless,
    /// A session is opened with the answer, if the cache has room.
    Open {
        /// The request identifies topics by id.
        uses_ids: bool,
    },
    /// Only what changed is answered.
    Incremental {
        /// The session.
        session_id: i32,
    },
}

impl Mode {
    /// The session that answers name, as long as none is opened.
    pub fn session_id(self) -> i32 {
        match self {
            Self::Sessionless | Self::Open { .. } => NO_SESSION,
            Self::Incremental { session_id } => session_id,
        }
    }
}

/// Counts for the beans of `kafka.server:type=FetchSessionCache`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionCounts {
    /// Sessions now.
    pub sessions: usize,
    /// Partitions over all sessions.
    pub partitions: usize,
    /// Sessions evicted since start.
    pub evictions: u64,
}

impl FetchSessions {
    /// An empty cache.
    pub fn new(limits: Limits) -> Self {
        Self { limits, cache: Mutex::default(), evictions: OnceLock::new() }
    }

    /// Counts evictions from now on.
    pub fn count_evictions_in(&self, meter: Registered<Meter>) {
        let _ = self.evictions.set(meter);
    }

    /// Looks the session of a request up, brings it up to date with `wanted` and `forgotten`, and
    /// returns how to answer and all partitions to read, in the session's order.
    ///
    /// # Errors
    /// `FETCH_SESSION_ID_NOT_FOUND`, `INVALID_FETCH_SESSION_EPOCH` or
    /// `FETCH_SESSION_TOPIC_ID_ERROR`, for the whole request.
    pub fn begin(
        &self,
        now_ms: i64,
        claim: Claim,
        wanted: Vec<(PartitionKey, Wanted)>,
        forgotten: &[PartitionKey],
    ) -> Result<(Mode, Vec<(PartitionKey, Wanted)>), ErrorCode> {
        let mut cache = self.cache.lock();
        if claim.epoch == INITIAL_EPOCH || claim.epoch == FINAL_EPOCH {
            if claim.session_id != NO_SESSION {
                cache.remove(claim.session_id);
            }
            let mode = if claim.epoch == FINAL_EPOCH {
                Mode::Sessionless
            } else {
                Mode::Open { uses_ids: claim.uses_ids }
            };
            return Ok((mode, wanted));
        }
        let all = cache.advance(now_ms, claim, wanted, forgotten)?;
        let mode = match all.is_empty() {
            true => Mode::Sessionless,
            false => Mode::Incremental { session_id: claim.session_id },
        };
        Ok((mode, all))
    }

    /// Ends a request: opens the session, or notes what the client was told. Returns the session
    /// id of the answer and, for each entry of `told`, whether it belongs into the answer.
    pub fn finish(
        &self,
        now_ms: i64,
        mode: Mode,
        told: &[(PartitionKey, Wanted, Told)],
    ) -> (i32, Vec<bool>) {
        match mode {
            Mode::Sessionless => (NO_SESSION, vec![true; told.len()]),
            Mode::Open { uses_ids } => {
                let (id, evicted) = self.cache.lock().open(self.limits, now_ms, uses_ids, told);
                if let Some(meter) = self.evictions.get() {
                    meter.mark(evicted.into());
                }
                (id, vec![true; told.len()])
            }
            Mode::Incremental { session_id } => {
                (session_id, self.cache.lock().note(session_id, told))
            }
        }
    }

    /// For each entry of `told`, whether [`Self::finish`] would put it into the answer.
    pub fn would_tell(&self, mode: Mode, told: &[(&PartitionKey, Told)]) -> Vec<bool> {
        match mode {
            Mode::Incremental { session_id } => self.cache.lock().would_tell(session_id, told),
            Mode::Sessionless | Mode::Open { .. } => vec![true; told.len()],
        }
    }

    /// The counts behind the beans.
    pub fn counts(&self) -> SessionCounts {
        self.cache.lock().counts()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { slots: 2, eviction_ms: 120_000 };

    fn key(partition: i32) -> PartitionKey {
        PartitionKey { topic_id: TopicId::ZERO, topic: "t".into(), partition }
    }

    fn wanted(offset: i64) -> Wanted {
        Wanted {
            fetch_offset: offset,
            max_bytes: 1024,
            current_leader_epoch: -1,
            last_fetched_epoch: -1,
        }
    }

    fn told(bytes: usize, high_watermark: i64) -> Told {
        Told { error: ErrorCode::None, bytes, high_watermark, log_start: 0, notable: false }
    }

    fn claim(session_id: i32, epoch: i32) -> Claim {
        Claim { session_id, epoch, uses_ids: false }
    }

    fn open(sessions: &FetchSessions, now: i64, partitions: &[i32]) -> i32 {
        let list: Vec<_> = partitions.iter().map(|p| (key(*p), wanted(0))).collect();
        let (mode, all) = sessions.begin(now, claim(0, 0), list, &[]).unwrap();
        let results: Vec<_> = all.into_iter().map(|(k, w)| (k, w, told(0, 5))).collect();
        sessions.finish(now, mode, &results).0
    }

    #[test]
    fn a_session_answers_only_changes() {
        let sessions = FetchSessions::new(LIMITS);
        let id = open(&sessions, 0, &[0, 1, 2]);
        assert_ne!(id, NO_SESSION);
        let (mode, all) =
            sessions.begin(1, claim(id, 1), vec![(key(1), wanted(7))], &[key(2)]).unwrap();
        assert_eq!(all, vec![(key(0), wanted(0)), (key(1), wanted(7))]);
        let results = vec![(key(0), wanted(0), told(0, 5)), (key(1), wanted(7), told(10, 8))];
        assert_eq!(sessions.finish(1, mode, &results), (id, vec![false, true]));
        // What got data is read last next time.
        let (_, all) = sessions.begin(2, claim(id, 2), vec![], &[]).unwrap();
        assert_eq!(all.iter().map(|(k, _)| k.partition).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(sessions.counts(), SessionCounts { sessions: 1, partitions: 2, evictions: 0 });
    }

    #[test]
    fn wrong_claims_are_refused() {
        let sessions = FetchSessions::new(LIMITS);
        let id = open(&sessions, 0, &[0]);
        let cases = [
            (claim(id + 1, 1), ErrorCode::FetchSessionIdNotFound),
            (claim(id, 5), ErrorCode::InvalidFetchSessionEpoch),
            (Claim { uses_ids: true, ..claim(id, 1) }, ErrorCode::FetchSessionTopicIdError),
        ];
        for (claim, expected) in cases {
            assert_eq!(sessions.begin(0, claim, vec![], &[]).unwrap_err(), expected);
        }
        // Epoch −1 closes it.
        let (mode, _) = sessions.begin(0, claim(id, -1), vec![], &[]).unwrap();
        assert_eq!(mode, Mode::Sessionless);
        assert_eq!(sessions.counts().sessions, 0);
    }

    #[test]
    fn the_cache_is_bounded_and_evicts_the_stale() {
        let sessions = FetchSessions::new(LIMITS);
        let first = open(&sessions, 0, &[0]);
        open(&sessions, 10, &[0]);
        assert_eq!(open(&sessions, 20, &[0]), NO_SESSION);
        let third = open(&sessions, 120_001, &[0]);
        assert_ne!(third, NO_SESSION);
        assert_eq!(sessions.counts().evictions, 1);
        let gone = sessions.begin(0, claim(first, 1), vec![], &[]).unwrap_err();
        assert_eq!(gone, ErrorCode::FetchSessionIdNotFound);
    }
}
