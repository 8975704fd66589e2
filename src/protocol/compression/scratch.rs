//! Buffers that each thread keeps for the next batch: filling a fresh one with zeros costs as much
//! as decoding into it.

use std::cell::RefCell;

/// Idle buffers that a thread keeps.
const MAX_IDLE_BUFFERS: usize = 2;
/// A buffer that has grown beyond this, in bytes, is not kept.
const MAX_IDLE_BYTES: usize = 256 << 10;

thread_local! {
    static IDLE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer with room that was written before.
pub(super) struct Scratch(Vec<u8>);

impl Scratch {
    /// One of the thread's, or an empty one.
    pub(super) fn take() -> Self {
        Self(IDLE.try_with(|idle| idle.borrow_mut().pop()).ok().flatten().unwrap_or_default())
    }

    /// Its first `len` bytes, whatever they hold; grows when it is smaller.
    pub(super) fn room(&mut self, len: usize) -> &mut [u8] {
        if self.0.len() < len {
            self.0.resize(len, 0);
        }
        self.0.get_mut(..len).unwrap_or_default()
    }

    /// What lies between two positions.
    pub(super) fn between(&self, start: usize, end: usize) -> &[u8] {
        self.0.get(start..end).unwrap_or_default()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        if buffer.is_empty() || buffer.len() > MAX_IDLE_BYTES {
            return;
        }
        // At the end of a thread the pool may be gone already.
        let _ = IDLE.try_with(|idle| {
            let mut idle = idle.borrow_mut();
            if idle.len() < MAX_IDLE_BUFFERS {
                idle.push(buffer);
            }
        });
    }
}
