//! When something began to count.

use std::num::NonZeroU32;

use pharos_base::Clock;

/// The time since which a number counts from 0, in whole seconds since 1970: four bytes, for there
/// are many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StartTime(NonZeroU32);

impl StartTime {
    /// The running second; `None` for a clock that stands before 1970 or after 2106.
    pub(crate) fn now(clock: &Clock) -> Option<Self> {
        u32::try_from(clock.now_ms() / 1000).ok().and_then(NonZeroU32::new).map(Self)
    }

    /// Seconds since 1970.
    pub(crate) fn seconds(self) -> u32 {
        self.0.get()
    }
}
