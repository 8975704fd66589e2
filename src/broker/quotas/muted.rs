//! How many channels are muted by a quota: `queue-size`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use parking_lot::Mutex;

/// Most mutes that are counted at a time.
const MAX_COUNTED: usize = 100_000;

/// The ends of the mutes that are not over.
#[derive(Debug, Default)]
pub struct Muted(Mutex<BinaryHeap<Reverse<i64>>>);

impl Muted {
    /// A channel is muted until `end_ms`.
    pub fn begin(&self, now_ms: i64, end_ms: i64) {
        let mut ends = self.0.lock();
        forget(&mut ends, now_ms);
        if ends.len() < MAX_COUNTED {
            ends.push(Reverse(end_ms));
        }
    }

    /// Mutes that are not over at `now_ms`.
    pub fn count(&self, now_ms: i64) -> usize {
        let mut ends = self.0.lock();
        forget(&mut ends, now_ms);
        ends.len()
    }
}

fn forget(ends: &mut BinaryHeap<Reverse<i64>>, now_ms: i64) {
    while ends.peek().is_some_and(|Reverse(end)| *end <= now_ms) {
        ends.pop();
    }
}
