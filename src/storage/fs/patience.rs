//! Whether reads on this thread may wait for a disk.
//!
//! Threads that serve connections may not. What they try goes through many hands down to the file,
//! so this is a property of the thread for the time of one try, not an argument of each of them.

use std::cell::Cell;
use std::io;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// Reads wait.
    Waits,
    /// Reads fail that would wait.
    AtOnce,
    /// One did.
    GaveUp,
}

thread_local! {
    static PATIENCE: Cell<Patience> = const { Cell::new(Patience::Waits) };
}

/// Puts back what was, also when the work panics.
struct Restore(Patience);

impl Drop for Restore {
    fn drop(&mut self) {
        PATIENCE.set(self.0);
    }
}

/// What `work` returns if it can be had without waiting for a disk: if no file must be opened for
/// it, and what it reads is in memory. `None`: it must be done again where waiting is allowed.
///
/// Only reads give up; do nothing in `work` that must not be done twice.
pub fn without_waiting<T>(work: impl FnOnce() -> T) -> Option<T> {
    let _restore = Restore(PATIENCE.replace(Patience::AtOnce));
    let done = work();
    (PATIENCE.get() == Patience::AtOnce).then_some(done)
}

/// Whether reads may wait now.
pub(crate) fn may_wait() -> bool {
    PATIENCE.get() == Patience::Waits
}

/// What a read that may not wait fails with.
pub(crate) fn would_wait() -> io::Error {
    PATIENCE.set(Patience::GaveUp);
    io::ErrorKind::WouldBlock.into()
}
