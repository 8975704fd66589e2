//! When a quiet or slow connection ends, as a pure rule, and the one timer behind it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::close::CloseReason;
use crate::limits::{SLOW_REQUEST_BYTES_PER_SECOND, SLOW_REQUEST_GRACE, TRIM_AFTER};

/// How often a slow request is looked at after its grace.
const SLOW_REQUEST_CHECK: Duration = Duration::from_secs(5);

/// What a connection is doing.
pub(crate) struct Situation {
    pub(crate) now: Instant,
    /// Last byte in either direction, or the end of a time in which this side did not read.
    pub(crate) last_activity: Instant,
    /// Bytes of a request that is not whole, and since when the peer owes the rest.
    pub(crate) unfinished: Option<(usize, Instant)>,
    /// Whether this side would take bytes.
    pub(crate) reading: bool,
    /// Whether a request has no complete answer yet.
    pub(crate) answers_due: bool,
    /// Whether a reply is written and the peer does not take it.
    pub(crate) blocked_by_peer: bool,
    /// End of throttling.
    pub(crate) muted_until: Option<Instant>,
}

/// What follows from a situation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// When to look again, at the latest.
    pub(crate) look_again: Instant,
    /// Whether the connection has been quiet for so long that its buffers can go.
    pub(crate) trim: bool,
}

/// Judges a situation; fails with the reason to close the connection for.
pub(crate) fn review(it: &Situation, max_idle: Duration) -> Result<Verdict, CloseReason> {
    let quiet = it.now.saturating_duration_since(it.last_activity);
    // Whoever waits for this side is not idle.
    let peers_turn = (it.reading && !it.answers_due) || it.blocked_by_peer;
    if peers_turn && quiet >= max_idle {
        let seconds = quiet.as_secs();
        return Err(match it.blocked_by_peer {
            true => CloseReason::NotReading { seconds },
            false => CloseReason::Idle { seconds },
        });
    }
    let mut look_again = match peers_turn {
        true => it.last_activity + max_idle,
        false => it.now + max_idle,
    };
    if let (Some((received, since)), true) = (it.unfinished, it.reading) {
        look_again = look_again.min(review_slowness(it.now, received, since)?);
    }
    if let Some(until) = it.muted_until {
        look_again = look_again.min(until);
    }
    let trim = quiet >= TRIM_AFTER;
    if !trim {
        look_again = look_again.min(it.last_activity + TRIM_AFTER);
    }
    Ok(Verdict { look_again, trim })
}

fn review_slowness(now: Instant, received: usize, since: Instant) -> Result<Instant, CloseReason> {
    let seconds = now.saturating_duration_since(since).as_secs();
    let owed = usize::try_from(seconds).unwrap_or(usize::MAX) * SLOW_REQUEST_BYTES_PER_SECOND;
    if now < since + SLOW_REQUEST_GRACE {
        Ok(since + SLOW_REQUEST_GRACE)
    } else if received < owed {
        Err(CloseReason::SlowRequest { received, seconds })
    } else {
        Ok(now + SLOW_REQUEST_CHECK)
    }
}

/// The timer of a connection. It is set rarely: traffic does not move it, it looks again instead.
pub(crate) struct Alarm {
    at: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Alarm {
    pub(crate) fn new(at: Instant) -> Self {
        Self { at, sleep: Box::pin(sleep_until(at)) }
    }

    /// Rings at `at` or earlier.
    pub(crate) fn no_later_than(&mut self, at: Instant) {
        if at < self.at {
            self.set(at);
        }
    }

    /// Rings at `at`.
    pub(crate) fn set(&mut self, at: Instant) {
        self.at = at;
        self.sleep.as_mut().reset(at);
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sleep.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(600);

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    fn reading(now: Instant, last_activity: Instant) -> Situation {
        Situation {
            now,
            last_activity,
            unfinished: None,
            reading: true,
            answers_due: false,
            blocked_by_peer: false,
            muted_until: None,
        }
    }

    fn outcome(situation: &Situation) -> Result<(Instant, bool), &'static str> {
        review(situation, IDLE)
            .map(|verdict| (verdict.look_again, verdict.trim))
            .map_err(|reason| reason.label())
    }

    #[test]
    fn a_quiet_connection_is_trimmed_then_closed() {
        let start = Instant::now();
        let check = |seconds, expected| {
            assert_eq!(outcome(&reading(at(start, seconds), start)), expected, "{seconds} s");
        };
        check(0, Ok((at(start, 1), false)));
        check(1, Ok((at(start, 600), true)));
        check(599, Ok((at(start, 600), true)));
        check(600, Err("idle"));
    }

    #[test]
    fn only_the_peers_silence_counts() {
        let start = Instant::now();
        let late = at(start, 700);
        let waiting = Situation { answers_due: true, ..reading(late, start) };
        assert_eq!(outcome(&waiting), Ok((at(late, 600), true)));
        let full = Situation { reading: false, ..reading(late, start) };
        assert_eq!(outcome(&full), Ok((at(late, 600), true)));
        let stuck = Situation { blocked_by_peer: true, ..waiting };
        assert_eq!(outcome(&stuck), Err("not_reading"));
        let until = at(late, 5);
        let muted = Situation { muted_until: Some(until), reading: false, ..reading(late, start) };
        assert_eq!(outcome(&muted), Ok((until, true)));
    }

    #[test]
    fn a_request_must_come_at_a_kilobyte_per_second() {
        let start = Instant::now();
        let check = |seconds, received, expected| {
            let now = at(start, seconds);
            let unfinished = Some((received, start));
            let situation = Situation { unfinished, ..reading(now, now) };
            assert_eq!(outcome(&situation), expected, "{received} bytes in {seconds} s");
        };
        check(29, 1, Ok((at(start, 30), false)));
        check(30, 30, Err("slow_request"));
        check(30, 30 * 1024, Ok((at(start, 31), false)));
        check(100, 30 * 1024, Err("slow_request"));
        let paused = Situation {
            unfinished: Some((1, start)),
            reading: false,
            ..reading(at(start, 100), at(start, 100))
        };
        assert!(outcome(&paused).is_ok(), "this side did not read");
    }
}
