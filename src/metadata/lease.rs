//! When each broker was last heard of: soft state of the active controller, gone with it.
//!
//! Pure: it is told the time. A broker that was not heard of for its session time-out is fenced; a
//! new controller gives every broker a whole time-out from its own beginning.

use std::collections::BTreeMap;

use pharos_base::BrokerId;

use crate::image::MetadataImage;

#[derive(Clone, Copy, Debug)]
struct Lease {
    last_contact_ms: i64,
    /// Whether this controller itself heard of the broker, or only grants it time.
    heard: bool,
    /// Last offset that the broker has applied.
    metadata_offset: i64,
    /// Offset at which its controlled shutdown was recorded; −1 when it was not.
    controlled_shutdown_offset: i64,
}

/// The leases of all brokers; times are monotonic milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    timeout_ms: i64,
    brokers: BTreeMap<BrokerId, Lease>,
}

impl Leases {
    pub fn new(timeout_ms: i64) -> Self {
        Self { timeout_ms, brokers: BTreeMap::new() }
    }

    /// Begins anew with the brokers of an image.
    pub fn begin(&mut self, image: &MetadataImage, now_ms: i64) {
        let lease = Lease {
            last_contact_ms: now_ms,
            heard: false,
            metadata_offset: -1,
            controlled_shutdown_offset: -1,
        };
        self.brokers = image.brokers().map(|broker| (broker.id, lease)).collect();
    }

    /// A broker registered: what was known of an earlier life is forgotten.
    pub fn registered(&mut self, id: BrokerId, now_ms: i64) {
        let lease = Lease {
            last_contact_ms: now_ms,
            heard: true,
            metadata_offset: -1,
            controlled_shutdown_offset: -1,
        };
        self.brokers.insert(id, lease);
    }

    /// A broker was heard of, and has applied the log up to `metadata_offset`.
    pub fn touch(&mut self, id: BrokerId, metadata_offset: i64, now_ms: i64) {
        let lease = self.brokers.entry(id).or_insert(Lease {
            last_contact_ms: now_ms,
            heard: true,
            metadata_offset,
            controlled_shutdown_offset: -1,
        });
        lease.last_contact_ms = now_ms;
        lease.heard = true;
        lease.metadata_offset = metadata_offset;
    }

    /// A broker's controlled shutdown was recorded at `offset`.
    pub fn shutting_down(&mut self, id: BrokerId, offset: i64) {
        if let Some(lease) = self.brokers.get_mut(&id)
            && lease.controlled_shutdown_offset < 0
        {
            lease.controlled_shutdown_offset = offset;
        }
    }

    /// A broker was unregistered.
    pub fn forget(&mut self, id: BrokerId) {
        self.brokers.remove(&id);
    }

    /// Whether this controller heard of a broker within its time-out: then another process with
    /// the same id is a mistake.
    pub fn holds(&self, id: BrokerId, now_ms: i64) -> bool {
        self.brokers
            .get(&id)
            .is_some_and(|lease| lease.heard && now_ms < lease.last_contact_ms + self.timeout_ms)
    }

    /// An unfenced broker whose lease ended; one at a time, so that each fencing sees the one
    /// before.
    pub fn expired(&self, image: &MetadataImage, now_ms: i64) -> Option<BrokerId> {
        let ended = |id: BrokerId| {
            let lease = self.brokers.get(&id);
            lease.is_none_or(|lease| now_ms >= lease.last_contact_ms + self.timeout_ms)
        };
        image.live_brokers().map(|broker| broker.id).find(|id| ended(*id))
    }

    /// When the next lease of an unfenced broker ends.
    pub fn next_deadline_ms(&self, image: &MetadataImage) -> Option<i64> {
        let leases = image.live_brokers().filter_map(|broker| self.brokers.get(&broker.id));
        leases.map(|lease| lease.last_contact_ms + self.timeout_ms).min()
    }

    /// Offset up to which every active broker has applied the log; `i64::MAX` without any.
    pub fn lowest_active_offset(&self, image: &MetadataImage) -> i64 {
        let active = image.brokers().filter(|broker| broker.is_active());
        let offsets = active.filter_map(|broker| self.brokers.get(&broker.id));
        offsets.map(|lease| lease.metadata_offset).min().unwrap_or(i64::MAX)
    }

    /// Offset at which a broker's controlled shutdown was recorded; −1 when it was not.
    pub fn controlled_shutdown_offset(&self, id: BrokerId) -> i64 {
        self.brokers.get(&id).map_or(-1, |lease| lease.controlled_shutdown_offset)
    }

    /// Last contact of each broker.
    pub fn contacts(&self) -> impl Iterator<Item = (BrokerId, i64)> {
        self.brokers.iter().map(|(id, lease)| (*id, lease.last_contact_ms))
    }
}

#[cfg(test)]
mod tests {
    use pharos_protocol::messages::RegisterBrokerRecord;

    use super::*;
    use crate::image::MetadataDelta;
    use crate::record::MetadataRecord;

    fn image(brokers: &[(i32, bool)]) -> MetadataImage {
        let mut image = MetadataImage::empty();
        for (broker_id, fenced) in brokers {
            let record = RegisterBrokerRecord {
                broker_id: *broker_id,
                fenced: *fenced,
                rack: None,
                ..RegisterBrokerRecord::default()
            };
            let record = MetadataRecord::RegisterBroker(record);
            image.apply(&record, &mut MetadataDelta::default()).unwrap();
        }
        image
    }

    #[test]
    fn a_lease_ends_when_a_broker_is_not_heard_of() {
        let image = image(&[(1, false), (2, false), (3, true)]);
        let mut leases = Leases::new(9_000);
        leases.begin(&image, 1_000);
        assert!(!leases.holds(BrokerId(1), 1_000), "only granted, not heard of");
        assert_eq!(leases.next_deadline_ms(&image), Some(10_000));
        leases.touch(BrokerId(1), 5, 4_000);
        assert!(leases.holds(BrokerId(1), 12_999) && !leases.holds(BrokerId(1), 13_000));
        assert_eq!(leases.expired(&image, 9_999), None);
        assert_eq!(leases.expired(&image, 10_000), Some(BrokerId(2)));
        leases.touch(BrokerId(2), 9, 10_000);
        assert_eq!(leases.expired(&image, 10_000), None);
        assert_eq!(leases.next_deadline_ms(&image), Some(13_000));
        assert_eq!(leases.lowest_active_offset(&image), 5);
    }

    #[test]
    fn a_new_life_forgets_the_shutdown_of_the_old_one() {
        let mut leases = Leases::new(9_000);
        leases.registered(BrokerId(1), 0);
        leases.shutting_down(BrokerId(1), 40);
        leases.shutting_down(BrokerId(1), 50);
        assert_eq!(leases.controlled_shutdown_offset(BrokerId(1)), 40, "the first counts");
        leases.registered(BrokerId(1), 10);
        assert_eq!(leases.controlled_shutdown_offset(BrokerId(1)), -1);
        assert_eq!(leases.lowest_active_offset(&image(&[])), i64::MAX);
    }
}
