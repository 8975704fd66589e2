//! How many connections may be open, in all, per listener and per address, and how fast new ones
//! may come (max.connections*, max.connection.creation.rate; `ConnectionQuotas` in Kafka).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use pharos_metrics::Registry;
use tokio::time::Instant;

use crate::address_rates::{AddressLimits, AddressRates};
use crate::rate::RateDoor;

/// The limits. Counts without a limit are `u32::MAX`, rates without one `None`.
#[derive(Clone, Debug)]
pub struct QuotaLimits {
    /// max.connections.
    pub max_connections: u32,
    /// max.connections.per.ip.
    pub max_connections_per_ip: u32,
    /// max.connections.per.ip.overrides; addresses in canonical form.
    pub per_ip_overrides: HashMap<IpAddr, u32>,
    /// max.connection.creation.rate, per second.
    pub creation_rate: Option<u32>,
    /// Creation rates of addresses.
    pub addresses: AddressLimits,
    /// Limits of single listeners, by name.
    pub listeners: HashMap<Arc<str>, ListenerQuota>,
}

/// Limits of one listener (listener.name.NAME.max.connections and its creation rate).
#[derive(Clone, Debug)]
pub struct ListenerQuota {
    /// Open connections.
    pub max_connections: u32,
    /// New connections per second.
    pub creation_rate: Option<u32>,
    /// Whether this is the inter-broker listener beside others: its connections are let in above
    /// max.connections, and another listener gives one up; and the rate of all is not theirs.
    pub protected: bool,
}

impl Default for QuotaLimits {
    fn default() -> Self {
        Self {
            max_connections: u32::MAX,
            max_connections_per_ip: u32::MAX,
            per_ip_overrides: HashMap::new(),
            creation_rate: None,
            addresses: AddressLimits::default(),
            listeners: HashMap::new(),
        }
    }
}

impl Default for ListenerQuota {
    fn default() -> Self {
        Self { max_connections: u32::MAX, creation_rate: None, protected: false }
    }
}

/// What to do with a connection that has been accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is counted now. `evict`: another listener has to give up a connection for it.
    Open { evict: bool },
    /// Ask again when a connection has closed; nothing is accepted meanwhile.
    WaitForClose,
    /// Ask again after this time; nothing is accepted meanwhile.
    Wait(Duration),
    /// Close it at once; with the time that its address is ahead of its rate.
    Refuse { throttle: Option<Duration> },
}

/// Counts open connections against the limits.
#[derive(Debug)]
pub struct ConnectionQuotas {
    limits: QuotaLimits,
    total: u32,
    by_listener: HashMap<Arc<str>, u32>,
    by_address: HashMap<IpAddr, u32>,
    door: Option<RateDoor>,
    listener_doors: HashMap<Arc<str>, RateDoor>,
    addresses: AddressRates,
}

impl ConnectionQuotas {
    /// Nothing open yet.
    pub fn new(limits: QuotaLimits, registry: &Registry) -> Self {
        let mut quotas = Self {
            limits: QuotaLimits::default(),
            total: 0,
            by_listener: HashMap::new(),
            by_address: HashMap::new(),
            door: None,
            listener_doors: HashMap::new(),
            addresses: AddressRates::new(registry),
        };
        quotas.set_limits(limits);
        quotas
    }

    /// New limits hold for new connections; open ones stay, but for [`Self::excess`].
    pub fn set_limits(&mut self, limits: QuotaLimits) {
        self.door = limits.creation_rate.map(RateDoor::new);
        let rated = limits.listeners.iter();
        self.listener_doors = rated
            .filter_map(|(name, quota)| Some((name.clone(), RateDoor::new(quota.creation_rate?))))
            .collect();
        self.addresses.set_limits(limits.addresses.clone());
        self.limits = limits;
    }

    /// Open connections.
    pub fn total(&self) -> u32 {
        self.total
    }

    /// Connections above max.connections: other listeners than the protected one give them up.
    pub(crate) fn excess(&self) -> usize {
        self.total.saturating_sub(self.limits.max_connections) as usize
    }

    /// Open connections of `address`.
    pub fn of_address(&self, address: IpAddr) -> u32 {
        self.by_address.get(&address).copied().unwrap_or(0)
    }

    /// Whether connections of `listener` may push others out.
    pub(crate) fn is_protected(&self, listener: &str) -> bool {
        self.limits.listeners.get(listener).is_some_and(|quota| quota.protected)
    }

    /// Counts a connection from `address` on `listener`, if the limits allow it.
    pub(crate) fn open(&mut self, now: Instant, listener: &Arc<str>, address: IpAddr) -> Decision {
        let overridden = self.limits.per_ip_overrides.get(&address).copied();
        if self.of_address(address) >= overridden.unwrap_or(self.limits.max_connections_per_ip) {
            return Decision::Refuse { throttle: None };
        }
        let quota = self.limits.listeners.get(listener);
        let of_listener = self.by_listener.get(listener).copied().unwrap_or(0);
        if quota.is_some_and(|quota| of_listener >= quota.max_connections) {
            return Decision::WaitForClose;
        }
        let full = self.total >= self.limits.max_connections;
        if full && !self.is_protected(listener) {
            return Decision::WaitForClose;
        }
        if let Err(decision) = self.pass_doors(now, listener, address) {
            return decision;
        }
        self.total += 1;
        *self.by_listener.entry(listener.clone()).or_default() += 1;
        *self.by_address.entry(address).or_default() += 1;
        Decision::Open { evict: full }
    }

    /// A connection that was counted has closed.
    pub(crate) fn close(&mut self, listener: &Arc<str>, address: IpAddr) {
        self.total = self.total.saturating_sub(1);
        if let Some(count) = self.by_listener.get_mut(listener) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = self.by_address.get_mut(&address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_address.remove(&address);
            }
        }
    }

    fn pass_doors(
        &mut self,
        now: Instant,
        listener: &Arc<str>,
        address: IpAddr,
    ) -> Result<(), Decision> {
        // Only who passes all doors is charged at any: others come back and ask again.
        let mut of_listener = self.listener_doors.get(listener).copied();
        // What brokers say to each other does not wait for clients.
        let protected = self.is_protected(listener);
        let mut of_all = self.door.filter(|_| !protected);
        for door in [&mut of_listener, &mut of_all].into_iter().flatten() {
            door.pass(now).map_err(Decision::Wait)?;
        }
        // The address last, as in Kafka: who waits for the others comes back here.
        if let Err(ahead) = self.addresses.pass(now, address) {
            return Err(Decision::Refuse { throttle: Some(ahead) });
        }
        if let Some(door) = of_listener {
            self.listener_doors.insert(listener.clone(), door);
        }
        if of_all.is_some() {
            self.door = of_all;
        }
        Ok(())
    }

    /// Forgets addresses that were quiet for an hour.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.addresses.expire(now);
    }
}

#[cfg(test)]
mod tests {
    use pharos_base::Clock;

    use super::*;

    fn quotas(limits: QuotaLimits) -> ConnectionQuotas {
        ConnectionQuotas::new(limits, &Registry::new(Clock::simulated(0).0))
    }

    fn name(text: &str) -> Arc<str> {
        text.into()
    }

    const OPEN: Decision = Decision::Open { evict: false };
    const REFUSE: Decision = Decision::Refuse { throttle: None };

    #[test]
    fn counts_are_limited_in_all_per_listener_and_per_address() {
        let now = Instant::now();
        let [one, two, three] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|ip| ip.parse().unwrap());
        let mut quotas = quotas(QuotaLimits {
            max_connections: 4,
            max_connections_per_ip: 2,
            per_ip_overrides: HashMap::from([(three, 0)]),
            listeners: HashMap::from([
                (name("B"), ListenerQuota { protected: true, ..Default::default() }),
                (name("C"), ListenerQuota { max_connections: 1, ..Default::default() }),
            ]),
            ..Default::default()
        });
        let (a, b, c) = (name("A"), name("B"), name("C"));
        assert_eq!(quotas.open(now, &a, one), OPEN);
        assert_eq!(quotas.open(now, &a, one), OPEN);
        assert_eq!(quotas.open(now, &a, one), REFUSE, "two per address");
        assert_eq!(quotas.open(now, &a, three), REFUSE, "override 0");
        assert_eq!(quotas.open(now, &c, two), OPEN);
        assert_eq!(quotas.open(now, &c, two), Decision::WaitForClose, "one on C");
        assert_eq!(quotas.open(now, &a, two), OPEN);
        quotas.close(&a, one);
        assert_eq!(quotas.of_address(one), 1);
        assert_eq!(quotas.open(now, &b, one), OPEN);
        let four = "10.0.0.4".parse().unwrap();
        assert_eq!(quotas.open(now, &a, four), Decision::WaitForClose, "four in all");
        assert_eq!((quotas.total(), quotas.excess()), (4, 0));
        assert_eq!(quotas.open(now, &b, four), Decision::Open { evict: true });
        assert_eq!((quotas.total(), quotas.excess()), (5, 1));
    }

    #[test]
    fn new_connections_come_at_the_rate() {
        let now = Instant::now();
        let address = "::1".parse().unwrap();
        let addresses = AddressLimits { default: Some(4), ..AddressLimits::default() };
        let mut quotas =
            quotas(QuotaLimits { creation_rate: Some(2), addresses, ..Default::default() });
        let listener = name("A");
        for _ in 0..20 {
            assert_eq!(quotas.open(now, &listener, address), OPEN);
        }
        for _ in 0..10 {
            let wait = Decision::Wait(Duration::from_millis(500));
            assert_eq!(quotas.open(now, &listener, address), wait, "asking costs nothing");
        }
        quotas.door = None;
        // Ten seconds are assumed to have passed for addresses too.
        for _ in 0..20 {
            assert_eq!(quotas.open(now, &listener, address), OPEN);
        }
        let throttle = Some(Duration::from_millis(250));
        assert_eq!(quotas.open(now, &listener, address), Decision::Refuse { throttle });
    }

    #[test]
    fn the_rate_of_all_is_not_that_of_the_protected_listener() {
        let now = Instant::now();
        let address = "::1".parse().unwrap();
        let protected =
            ListenerQuota { creation_rate: Some(3), protected: true, ..Default::default() };
        let mut quotas = quotas(QuotaLimits {
            creation_rate: Some(1),
            listeners: HashMap::from([(name("B"), protected)]),
            ..Default::default()
        });
        for _ in 0..30 {
            assert_eq!(quotas.open(now, &name("B"), address), OPEN);
        }
        assert!(matches!(quotas.open(now, &name("B"), address), Decision::Wait(_)), "its own");
        for _ in 0..10 {
            assert_eq!(quotas.open(now, &name("A"), address), OPEN, "nobody came here yet");
        }
        assert!(matches!(quotas.open(now, &name("A"), address), Decision::Wait(_)));
    }
}
