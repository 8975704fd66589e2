//! How many bytes of requests and replies the process holds at once.
//!
//! The budget is not strict: a connection that was let in may finish the frame it has begun, so
//! the budget can be exceeded by one frame at a time (the overdraft). Without that door, many
//! half-received frames could hold the whole budget and wait for each other.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::Instant;

/// Bytes that may be held at once. Shared by all connections of a process.
pub struct Budget {
    limit: usize,
    used: AtomicUsize,
    overdraft_taken: AtomicBool,
    freed: Arc<Notify>,
    /// Since when someone waits for room.
    dry_since: Mutex<Option<Instant>>,
    dry_spells: OnceLock<Box<dyn Fn(Duration) + Send + Sync>>,
}

impl std::fmt::Debug for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Budget({} of {})", self.used(), self.limit)
    }
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicUsize::new(0),
            overdraft_taken: AtomicBool::new(false),
            freed: Arc::new(Notify::new()),
            dry_since: Mutex::default(),
            dry_spells: OnceLock::new(),
        })
    }

    /// Bytes held now; may lie above the limit by one frame.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// The limit in bytes.
    pub fn limit(&self) -> usize {
        self.limit
    }

    fn has_room(&self) -> bool {
        self.used() < self.limit
    }

    /// Tells `ended` how long each time without room was in which someone wanted some.
    pub(crate) fn on_dry_spell(&self, ended: impl Fn(Duration) + Send + Sync + 'static) {
        let _first_stays = self.dry_spells.set(Box::new(ended));
    }

    fn begin_dry_spell(&self) {
        let mut since = self.dry_since.lock();
        // Looked at anew under the lock: a spell that begins behind its end would never end.
        if !self.has_room() {
            since.get_or_insert_with(Instant::now);
        }
    }

    fn end_dry_spell(&self) {
        let since = self.dry_since.lock().take();
        if let (Some(since), Some(ended)) = (since, self.dry_spells.get()) {
            ended(since.elapsed());
        }
    }

    fn give_back(&self, bytes: usize) {
        let before = self.used.fetch_sub(bytes, Ordering::AcqRel);
        if before >= self.limit && before.saturating_sub(bytes) < self.limit {
            self.end_dry_spell();
            self.freed.notify_waiters();
        }
    }
}

/// Bytes taken from a budget; given back when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    budget: Arc<Budget>,
    bytes: usize,
    overdraft: bool,
}

impl Lease {
    pub(crate) fn new(budget: Arc<Budget>) -> Self {
        Self { budget, bytes: 0, overdraft: false }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Holds `bytes` in all.
    pub(crate) fn set(&mut self, bytes: usize) {
        if bytes > self.bytes {
            self.budget.used.fetch_add(bytes - self.bytes, Ordering::AcqRel);
        } else if bytes < self.bytes {
            self.budget.give_back(self.bytes - bytes);
        }
        self.bytes = bytes;
    }

    /// Whether more may be taken now. A lease that holds something already may take the overdraft.
    pub(crate) fn may_grow(&mut self) -> bool {
        if self.budget.has_room() || self.overdraft {
            return true;
        }
        self.overdraft =
            self.bytes > 0 && !self.budget.overdraft_taken.swap(true, Ordering::AcqRel);
        if !self.overdraft {
            self.budget.begin_dry_spell();
        }
        self.overdraft
    }

    /// What this lease holds, as a lease of its own; this one is empty afterwards.
    pub(crate) fn take(&mut self) -> Self {
        let empty = Self::new(self.budget.clone());
        std::mem::replace(self, empty)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.give_back(self.bytes);
        }
        if self.overdraft {
            self.budget.overdraft_taken.store(false, Ordering::Release);
            self.budget.freed.notify_waiters();
        }
    }
}

/// Waits until a lease may grow.
#[derive(Default)]
pub(crate) struct Admission {
    waiting: Option<Pin<Box<OwnedNotified>>>,
}

impl Admission {
    /// Ready when `lease` may grow; the task is woken when that may have changed.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, lease: &mut Lease) -> Poll<()> {
        loop {
            if lease.may_grow() {
                self.waiting = None;
                return Poll::Ready(());
            }
            let freed = lease.budget.freed.clone();
            let waiting = self.waiting.get_or_insert_with(|| {
                let mut waiting = Box::pin(freed.notified_owned());
                waiting.as_mut().enable();
                waiting
            });
            // Registered before the second look, so that no release in between is missed.
            match waiting.as_mut().poll(cx) {
                Poll::Ready(()) => self.waiting = None,
                Poll::Pending if lease.may_grow() => continue,
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Whether the last look found no room.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(admission: &mut Admission, lease: &mut Lease) -> bool {
        admission.poll(&mut Context::from_waker(std::task::Waker::noop()), lease).is_pending()
    }

    #[test]
    fn a_full_budget_lets_one_begun_frame_finish() {
        let budget = Budget::new(100);
        let (mut first, mut second) = (Lease::new(budget.clone()), Lease::new(budget.clone()));
        first.set(60);
        second.set(60);
        assert_eq!(budget.used(), 120);
        let mut third = Lease::new(budget.clone());
        let (mut one, mut two, mut three) =
            (Admission::default(), Admission::default(), Admission::default());
        assert!(waits(&mut three, &mut third), "nothing new begins");
        assert!(!waits(&mut one, &mut first), "one begun frame goes on");
        assert!(waits(&mut two, &mut second), "but only one");
        drop(first);
        assert!(!waits(&mut three, &mut third));
        assert!(!waits(&mut two, &mut second));
        drop(second);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn no_dry_spell_begins_once_there_is_room_again() {
        let budget = Budget::new(100);
        let mut lease = Lease::new(budget.clone());
        lease.set(100);
        budget.begin_dry_spell();
        assert!(budget.dry_since.lock().is_some());
        lease.set(50);
        // As it goes when the room comes between a look for it and this.
        budget.begin_dry_spell();
        assert!(budget.dry_since.lock().is_none());
    }

    #[test]
    fn a_lease_moves_what_it_holds() {
        let budget = Budget::new(100);
        let mut lease = Lease::new(budget.clone());
        lease.set(40);
        let moved = lease.take();
        assert_eq!((lease.bytes(), moved.bytes(), budget.used()), (0, 40, 40));
        drop(moved);
        assert_eq!(budget.used(), 0);
    }
}
