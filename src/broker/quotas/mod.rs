//! Client quotas: what clients use, and for how long those are muted that use too much
//! (`QuotaFactory.QuotaManagers`). A client is answered at once and then not read from (KIP-219).
//!
//! Who has no limits pays a look at an atomic.

mod charge;
mod manager;
mod mutation;
mod muted;
mod sensors;
mod table;
#[cfg(test)]
mod tests;
mod thread_time;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use pharos_metadata::image::{MetadataImage, QuotaEntity};
use pharos_metrics::{Registry, SampleWindows, Sensor};

pub use self::manager::QuotaManager;
pub use self::mutation::MutationQuota;
pub use self::sensors::Kind;
pub use self::table::Client;
pub use self::thread_time::ThreadTime;

/// How often clients that fell quiet are looked for (`Metrics.ExpireSensorTask`).
const EXPIRE_EVERY: Duration = Duration::from_secs(30);

/// Percent of a thread per nanosecond in a second.
const PERCENT_PER_NANO: f64 = 100.0 / 1e9;

/// `quota.window.*` and `controller.quota.window.*`.
#[derive(Clone, Copy, Debug)]
pub struct QuotaWindows {
    /// Of bytes and request time.
    pub clients: SampleWindows,
    /// Of partitions that are created and deleted.
    pub controller: SampleWindows,
}

/// All kinds of client quotas.
#[derive(Debug)]
pub struct ClientQuotas {
    /// Bytes of Produce requests.
    pub produce: QuotaManager,
    /// Bytes of answers to Fetch.
    pub fetch: QuotaManager,
    /// Time of threads.
    pub request: QuotaManager,
    /// Partitions created and deleted.
    pub mutation: Arc<QuotaManager>,
    /// Nobody is muted for longer because of the time of threads: one window.
    max_request_throttle_ms: u32,
    exempt: Sensor,
}

impl ClientQuotas {
    /// Without limits.
    pub fn new(registry: &Registry, windows: QuotaWindows) -> Self {
        let manager = |kind| QuotaManager::new(kind, registry, windows.clients);
        let request = manager(Kind::Request);
        let mutation = QuotaManager::new(Kind::ControllerMutation, registry, windows.controller);
        Self {
            produce: manager(Kind::Produce),
            fetch: manager(Kind::Fetch),
            exempt: request.bean().sensor("exempt-request-time"),
            request,
            mutation: Arc::new(mutation),
            max_request_throttle_ms: u32::try_from(windows.clients.length_ms).unwrap_or(u32::MAX),
        }
    }

    /// Brings the limits of `changed` entities up to date.
    pub fn follow(&self, image: &MetadataImage, changed: &BTreeSet<QuotaEntity>) {
        let managers = [&self.produce, &self.fetch, &self.request, &*self.mutation];
        for entity in changed.iter().filter(|entity| entity.ip.is_none()) {
            let limits = image.quota(entity);
            for manager in managers {
                let limit = limits.and_then(|limits| limits.get(manager.key())).copied();
                manager.set_limit(entity, limit);
            }
        }
    }

    /// Forgets clients that have been quiet for an hour.
    pub fn expire(&self) {
        for manager in [&self.produce, &self.fetch, &self.request, &*self.mutation] {
            manager.expire();
        }
    }

    /// Forgets quiet clients, for ever.
    pub async fn keep_tidy(self: Arc<Self>) {
        let mut interval = tokio::time::interval(EXPIRE_EVERY);
        loop {
            interval.tick().await;
            self.expire();
        }
    }

    /// Where the time of one request is counted; nowhere while request time has no limits.
    pub fn begin_request(&self) -> Option<ThreadTime> {
        self.request.is_enabled().then(ThreadTime::new)
    }

    /// Counts the time of a request; the milliseconds for which its client is to be muted.
    pub fn request_ms(&self, client: &Client, time: Option<&ThreadTime>) -> u32 {
        let Some(time) = time else { return 0 };
        let ms = self.request.record(client, percent(time));
        ms.min(self.max_request_throttle_ms)
    }

    /// Counts the time of a request that no quota covers.
    pub fn exempt(&self, time: Option<&ThreadTime>) {
        if let Some(time) = time {
            self.exempt.record(percent(time));
        }
    }

    /// Notes for whose sake a client is muted: for bytes or partitions when that takes longer than
    /// the time of threads does. Gives the longer one.
    pub fn mute(&self, client: &Client, by: &QuotaManager, ms: u32, request_ms: u32) -> u32 {
        if ms > request_ms {
            by.throttle(client, ms);
        } else if request_ms > 0 {
            self.request.throttle(client, request_ms);
        }
        ms.max(request_ms)
    }

    /// Mutes for the time of threads alone.
    pub fn mute_request(&self, client: &Client, ms: u32) {
        if ms > 0 {
            self.request.throttle(client, ms);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "nanoseconds of a request")]
fn percent(time: &ThreadTime) -> f64 {
    time.nanos() as f64 * PERCENT_PER_NANO
}
