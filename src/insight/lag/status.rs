//! Whether a group keeps up, by the rules of Burrow (github.com/linkedin/Burrow, "Consumer Lag
//! Evaluation Rules") over the last ten commits: without thresholds that someone must choose.

use std::collections::VecDeque;

/// Commits that are looked at; with fewer a partition is fine.
const WINDOW: usize = 10;

/// How a partition, or a whole topic, fares in a group; later ones are worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub(super) enum Status {
    /// It keeps up, or too little is known.
    Ok,
    /// The group has committed in the topic, but not in each partition.
    NoOffset,
    /// Offsets move, but the lag never shrinks.
    Warn,
    /// Commits no longer come.
    Stop,
    /// Commits come and do not move, while records wait.
    Stall,
    /// An offset was committed below an earlier one.
    Rewind,
}

impl Status {
    /// All of them, in the order of their discriminants.
    pub(super) const ALL: [Self; 6] =
        [Self::Ok, Self::NoOffset, Self::Warn, Self::Stop, Self::Stall, Self::Rewind];

    /// The label value.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NoOffset => "no_offset",
            Self::Warn => "warn",
            Self::Stop => "stop",
            Self::Stall => "stall",
            Self::Rewind => "rewind",
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Commit {
    at_ms: i64,
    offset: i64,
    lag: i64,
}

/// The last commits of a group in one partition.
#[derive(Debug, Default)]
pub(super) struct Commits(VecDeque<Commit>);

impl Commits {
    /// Notes a commit and the lag that it left, unless it is the one that was noted last.
    pub(super) fn note(&mut self, at_ms: i64, offset: i64, lag: i64) {
        let same = |last: &Commit| last.at_ms == at_ms && last.offset == offset;
        if self.0.back().is_some_and(same) {
            return;
        }
        if self.0.len() == WINDOW {
            self.0.pop_front();
        }
        self.0.push_back(Commit { at_ms, offset, lag });
    }

    /// The status now, with the lag of now.
    pub(super) fn status(&self, now_ms: i64, lag: i64) -> Status {
        let (Some(first), Some(last)) = (self.0.front(), self.0.back()) else { return Status::Ok };
        if self.0.len() < WINDOW || lag == 0 || self.0.iter().any(|commit| commit.lag == 0) {
            return Status::Ok;
        }
        let all = |holds: fn(Commit, Commit) -> bool| {
            self.0.iter().zip(self.0.iter().skip(1)).all(|(earlier, later)| holds(*earlier, *later))
        };
        if !all(|earlier, later| later.offset >= earlier.offset) {
            Status::Rewind
        } else if now_ms - last.at_ms > last.at_ms - first.at_ms {
            Status::Stop
        } else if last.offset == first.offset {
            Status::Stall
        } else if all(|earlier, later| later.lag >= earlier.lag) {
            Status::Warn
        } else {
            Status::Ok
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten commits a second apart, `(offset, lag)` of each by its number, looked at `later` ms
    /// after the last.
    fn check(commit: impl Fn(i64) -> (i64, i64), later: i64, lag: i64, expected: Status) {
        let mut commits = Commits::default();
        for number in 0..10 {
            assert_eq!(commits.status(number * 1000, 5), Status::Ok, "with {number} commits");
            let (offset, lag) = commit(number);
            commits.note(number * 1000, offset, lag);
            commits.note(number * 1000, offset, lag + 100);
        }
        assert_eq!(commits.status(9000 + later, lag), expected);
    }

    #[test]
    fn the_rules_of_burrow() {
        check(|n| (n, 5), 0, 0, Status::Ok);
        check(|n| (n, n % 2), 0, 5, Status::Ok);
        check(|n| (n, 20 - n), 0, 5, Status::Ok);
        check(|n| (n, 5), 0, 5, Status::Warn);
        check(|n| (n, 5 + n), 0, 5, Status::Warn);
        check(|_| (7, 5 + 1), 0, 5, Status::Stall);
        check(|n| (n, 20 - n), 9000, 5, Status::Ok);
        check(|n| (n, 20 - n), 9001, 5, Status::Stop);
        check(|n| (if n == 5 { 1 } else { n }, 5), 0, 5, Status::Rewind);
    }

    #[test]
    fn only_the_last_ten_commits_count() {
        let mut commits = Commits::default();
        commits.note(0, 100, 50);
        for number in 1..=10 {
            commits.note(number * 1000, number, 50 - number);
        }
        assert_eq!(commits.status(10_000, 40), Status::Ok);
    }
}
