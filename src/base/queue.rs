//! A queue with a limit that has a name, so that whoever meets the limit can say which one it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;
use tokio::sync::mpsc;

/// Why an item was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum QueueError {
    /// The limit is reached.
    #[error("{queue} is full: {limit} items wait")]
    Full {
        /// Name of the queue.
        queue: &'static str,
        /// Its limit in items.
        limit: usize,
    },
    /// Nobody will take an item out again.
    #[error("{queue} is closed")]
    Closed {
        /// Name of the queue.
        queue: &'static str,
    },
}

/// The end that puts in. Cloning is cheap.
pub struct QueueSender<T> {
    name: &'static str,
    limit: usize,
    sender: mpsc::Sender<T>,
    refused: Arc<AtomicU64>,
}

/// The end that takes out.
pub struct QueueReceiver<T> {
    receiver: mpsc::Receiver<T>,
}

/// A queue called `name` that holds at most `limit` items (at least one).
pub fn queue<T>(name: &'static str, limit: usize) -> (QueueSender<T>, QueueReceiver<T>) {
    let limit = limit.clamp(1, mpsc_limit());
    let (sender, receiver) = mpsc::channel(limit);
    let refused = Arc::new(AtomicU64::new(0));
    (QueueSender { name, limit, sender, refused }, QueueReceiver { receiver })
}

/// What tokio's channel can hold.
fn mpsc_limit() -> usize {
    tokio::sync::Semaphore::MAX_PERMITS
}

impl<T> Clone for QueueSender<T> {
    fn clone(&self) -> Self {
        Self {
            name: self.name,
            limit: self.limit,
            sender: self.sender.clone(),
            refused: self.refused.clone(),
        }
    }
}

impl<T> QueueSender<T> {
    /// Puts an item in, or refuses it at once.
    ///
    /// # Errors
    /// When the queue is full (counted by [`Self::refused`]) or closed.
    pub fn offer(&self, item: T) -> Result<(), QueueError> {
        self.sender.try_send(item).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                QueueError::Full { queue: self.name, limit: self.limit }
            }
            mpsc::error::TrySendError::Closed(_) => QueueError::Closed { queue: self.name },
        })
    }

    /// Puts an item in, waiting for room.
    ///
    /// # Errors
    /// When the queue is closed.
    pub async fn put(&self, item: T) -> Result<(), QueueError> {
        self.sender.send(item).await.map_err(|_| QueueError::Closed { queue: self.name })
    }

    /// Items that wait.
    pub fn len(&self) -> usize {
        self.limit.saturating_sub(self.sender.capacity())
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Items refused so far because the queue was full.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

impl<T> QueueReceiver<T> {
    /// The next item; `None` when all senders are gone and nothing waits. Safe to cancel.
    pub async fn take(&mut self) -> Option<T> {
        self.receiver.recv().await
    }

    /// The next item if one waits.
    pub fn poll(&mut self) -> Option<T> {
        self.receiver.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_refuses_by_name_and_counts() {
        let (sender, mut receiver) = queue("jobs", 2);
        assert_eq!(sender.offer(1), Ok(()));
        assert_eq!(sender.put(2).await, Ok(()));
        let full = QueueError::Full { queue: "jobs", limit: 2 };
        assert_eq!(sender.offer(3), Err(full));
        assert_eq!(full.to_string(), "jobs is full: 2 items wait");
        assert_eq!((sender.len(), sender.refused()), (2, 1));
        assert_eq!(receiver.take().await, Some(1));
        assert_eq!(sender.offer(3), Ok(()));
        assert_eq!((receiver.poll(), receiver.poll(), receiver.poll()), (Some(2), Some(3), None));
        drop(receiver);
        assert_eq!(sender.offer(4), Err(QueueError::Closed { queue: "jobs" }));
    }
}
