//! Where work runs: the data plane and the control plane. Rooms get these, never a runtime. What
//! may wait for a disk runs elsewhere: on the pool of its log directory.

use tokio::runtime::Handle;

/// The two places. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Spawners {
    /// Connections, appends, fetches.
    pub data: Handle,
    /// Quorum, heartbeats, admin HTTP, scrapes, timers.
    pub control: Handle,
}

impl Spawners {
    /// Everything on one runtime: for tests and tools.
    pub fn on(runtime: &Handle) -> Self {
        Self { data: runtime.clone(), control: runtime.clone() }
    }
}
