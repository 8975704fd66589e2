//! Whether a broker works with the metadata of now: what is committed and what it has applied.

use std::time::Duration;

use pharos_base::Offset;

/// How long a broker may lack what is committed and still be ready.
const LIMIT: Duration = Duration::from_secs(5);

/// What a broker was found to lack, and since when.
#[derive(Debug, Default)]
pub struct Behind {
    /// The last committed offset when it had caught up for the last time.
    wanted: Offset,
    /// When that was.
    since: Duration,
}

impl Behind {
    /// Why a broker is not ready that has applied metadata up to `applied`, of those that are
    /// `committed`; `now` is monotonic.
    pub fn look(&mut self, committed: Offset, applied: Offset, now: Duration) -> Option<String> {
        if applied >= self.wanted {
            (self.wanted, self.since) = (committed, now);
        }
        let waited = now.saturating_sub(self.since);
        (waited > LIMIT).then(|| {
            let missing = committed.since(applied);
            format!("{missing} records of the metadata are not applied for {} s", waited.as_secs())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_lacks_metadata_for_more_than_5_seconds_is_not_ready() {
        let mut behind = Behind::default();
        let mut look = |committed, applied, seconds| {
            behind.look(Offset(committed), Offset(applied), Duration::from_secs(seconds))
        };
        assert_eq!(look(10, 10, 100), None);
        assert_eq!(look(20, 10, 101), None);
        assert_eq!(look(30, 15, 106), None);
        let reason = "14 records of the metadata are not applied for 6 s".to_owned();
        assert_eq!(look(30, 16, 107), Some(reason));
        // It has what was wanted then; what came later has its own 5 seconds.
        assert_eq!(look(30, 20, 108), None);
        assert_eq!(look(30, 29, 113), None);
        assert!(look(30, 29, 114).is_some());
        assert_eq!(look(30, 30, 115), None);
        assert_eq!(look(30, 30, 1000), None);
    }
}
