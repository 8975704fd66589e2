//! What a request costs its client: charged when its answer is made.

use super::{Client, MutationQuota, QuotaManager};
use crate::apis::Endpoint;
use crate::authorizer::ANONYMOUS;
use crate::context::RequestContext;

impl RequestContext {
    /// The client as quotas know it.
    pub fn client(&self) -> Client {
        Client { user: ANONYMOUS.clone(), client_id: self.client_id.clone() }
    }

    /// Charges the time of threads; the milliseconds for which the client is muted.
    pub fn charge_time(&self) -> u32 {
        if self.time.is_none() {
            return 0;
        }
        let client = self.client();
        let ms = self.quotas.request_ms(&client, self.time.as_ref());
        self.quotas.mute_request(&client, ms);
        ms
    }

    /// Charges a Produce: its bytes and its time. Without an answer the time is on the house.
    pub fn charge_produce(&self, answered: bool) -> u32 {
        let quotas = &self.quotas;
        if !quotas.produce.is_enabled() && self.time.is_none() {
            return 0;
        }
        let client = self.client();
        let ms = quotas.produce.record(&client, bytes(self.request_bytes));
        let time_ms = if answered {
            quotas.request_ms(&client, self.time.as_ref())
        } else {
            quotas.exempt(self.time.as_ref());
            0
        };
        quotas.mute(&client, &quotas.produce, ms, time_ms)
    }

    /// Charges a Fetch: the bytes of its answer, `size`, and its time. Who is muted gets an answer
    /// without data, so that the bytes are not charged.
    pub fn charge_fetch(&self, size: impl FnOnce() -> usize) -> u32 {
        let quotas = &self.quotas;
        if !quotas.fetch.is_enabled() && self.time.is_none() {
            return 0;
        }
        let client = self.client();
        let time_ms = quotas.request_ms(&client, self.time.as_ref());
        let Some(account) = quotas.fetch.account(&client) else {
            quotas.mute_request(&client, time_ms);
            return time_ms;
        };
        let (size, now_ms) = (bytes(size()), quotas.fetch.now_ms());
        let ms = account.record(size, now_ms);
        if ms.max(time_ms) > 0 {
            account.record_unchecked(-size, now_ms);
        }
        quotas.mute(&client, &quotas.fetch, ms, time_ms)
    }

    /// Most bytes that a Fetch of this client may ask for.
    pub fn most_fetched(&self) -> usize {
        let fetch = &self.quotas.fetch;
        if !fetch.is_enabled() {
            return usize::MAX;
        }
        whole(fetch.most_at_once(&self.client()))
    }

    /// What this request may create and delete; from version `strict_since` on, what goes beyond
    /// it is refused.
    pub fn mutation_quota(&self, strict_since: i16) -> MutationQuota {
        MutationQuota::new(&self.quotas.mutation, &self.client(), self.version >= strict_since)
    }

    /// Charges what was created and deleted, and time. A broker mutes on behalf of its controller,
    /// so that it counts as muted for its time; a controller that is asked itself says why.
    pub fn charge_mutation(&self, quota: &MutationQuota) -> u32 {
        let ms = quota.throttle_ms();
        if ms == 0 && self.time.is_none() {
            return 0;
        }
        let (quotas, client) = (&self.quotas, self.client());
        let time_ms = quotas.request_ms(&client, self.time.as_ref());
        let by: &QuotaManager = match self.endpoint {
            Endpoint::Controller => &quotas.mutation,
            Endpoint::Broker => &quotas.request,
        };
        quotas.mute(&client, by, ms, time_ms)
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes of frames")]
fn bytes(size: usize) -> f64 {
    size as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn whole(size: f64) -> usize {
    size as usize
}
