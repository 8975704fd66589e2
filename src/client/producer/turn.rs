//! The order in which requests to one broker are queued.
//!
//! Requests are encoded beside each other, which takes each its own time; a broker that finds the
//! batches of an idempotent producer in another order than that of their sequence numbers refuses
//! them. So each request waits until the one before it is in the queue of its connection.

use std::collections::HashMap;

use pharos_base::BrokerId;
use tokio::sync::oneshot;

/// The last turn that was given out for each broker.
#[derive(Default)]
pub(super) struct Turns(HashMap<BrokerId, oneshot::Receiver<()>>);

/// One request's place. Dropping it lets the next one go.
pub(super) struct Turn {
    before: Option<oneshot::Receiver<()>>,
    _over: oneshot::Sender<()>,
}

impl Turns {
    /// The next place behind those given out for `broker` so far.
    pub(super) fn next(&mut self, broker: BrokerId) -> Turn {
        let (over, after) = oneshot::channel();
        Turn { before: self.0.insert(broker, after), _over: over }
    }
}

impl Turn {
    /// Waits until every earlier turn is over.
    pub(super) async fn come(&mut self) {
        if let Some(before) = &mut self.before {
            // It ends by being dropped.
            let _ = before.await;
            self.before = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Whether a turn comes without anything else happening.
    async fn comes(turn: &mut Turn) -> bool {
        tokio::time::timeout(Duration::from_secs(1), turn.come()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_comes_when_those_before_it_are_over() {
        let mut turns = Turns::default();
        let (one, other) = (BrokerId(1), BrokerId(2));
        let mut first = turns.next(one);
        let mut second = turns.next(one);
        let mut third = turns.next(one);
        assert!(comes(&mut turns.next(other)).await);
        assert!(comes(&mut first).await);
        assert!(!comes(&mut second).await);
        drop(first);
        assert!(comes(&mut second).await);
        assert!(!comes(&mut third).await);
        drop(second);
        assert!(comes(&mut third).await);
    }
}
