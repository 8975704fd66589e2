//! How fast connections come from single addresses (`connection_creation_rate`, KIP-612).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pharos_metrics::catalog::sockets;
use pharos_metrics::{Attributes, Registered, Registry, SampleWindows, SampledRate, Value};
use tokio::time::Instant;

/// Addresses that are counted by themselves. Beyond it, those at rest are forgotten first; when
/// none is, those that come share one account.
const MAX_COUNTED: usize = 10_000;
/// What no connection came from for so long is forgotten, with its bean, as in Kafka.
const INACTIVE_MS: i64 = 3_600_000;

/// Connections per second that single addresses may open.
#[derive(Clone, Debug)]
pub struct AddressLimits {
    /// Of addresses without a limit of their own; `None` for any number.
    pub default: Option<u32>,
    /// By address, in canonical form.
    pub by_address: HashMap<IpAddr, u32>,
    /// `quota.window.*`, in which rates are measured.
    pub windows: SampleWindows,
}

impl Default for AddressLimits {
    fn default() -> Self {
        let windows = SampleWindows { number: 11, length_ms: 1000 };
        Self { default: None, by_address: HashMap::new(), windows }
    }
}

/// What came from each address that has a limit.
#[derive(Debug)]
pub(crate) struct AddressRates {
    registry: Registry,
    base: Instant,
    limits: AddressLimits,
    counted: HashMap<IpAddr, Counted>,
    /// The account of those that are too many.
    others: Option<SampledRate>,
    /// When those at rest were last looked for.
    tidied_ms: Option<i64>,
}

#[derive(Debug)]
struct Counted {
    rate: Arc<Mutex<SampledRate>>,
    last_ms: i64,
    _bean: Registered<Attributes>,
}

impl AddressRates {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            registry: registry.clone(),
            base: Instant::now(),
            limits: AddressLimits::default(),
            counted: HashMap::new(),
            others: None,
            tidied_ms: None,
        }
    }

    /// New limits hold for what came before, too.
    pub(crate) fn set_limits(&mut self, limits: AddressLimits) {
        self.limits = limits;
    }

    /// Counts a connection from `address`. One that comes too early is not counted.
    ///
    /// # Errors
    /// How long to hold it back: until the rate is right again, for one window at most.
    pub(crate) fn pass(&mut self, now: Instant, address: IpAddr) -> Result<(), Duration> {
        let own = self.limits.by_address.get(&address).copied();
        let Some(limit) = own.or(self.limits.default).map(f64::from) else { return Ok(()) };
        let (now_ms, window_ms) = (millis(self.base, now), self.limits.windows.length_ms);
        if !self.counted.contains_key(&address) {
            self.make_room(now_ms);
        }
        if self.counted.len() >= MAX_COUNTED && !self.counted.contains_key(&address) {
            let others = self.others.get_or_insert_with(|| {
                tracing::warn!(limit = MAX_COUNTED, "addresses share one connection rate");
                SampledRate::new(self.limits.windows)
            });
            return take(others, limit, now_ms, window_ms);
        }
        let counted = self
            .counted
            .entry(address)
            .or_insert_with(|| Counted::new(&self.registry, self.base, &self.limits, address));
        counted.last_ms = now_ms;
        take(&mut counted.rate.lock(), limit, now_ms, window_ms)
    }

    fn make_room(&mut self, now_ms: i64) {
        let windows = self.limits.windows;
        let due = self.tidied_ms.is_none_or(|last| now_ms - last >= windows.length_ms);
        if self.counted.len() >= MAX_COUNTED && due {
            self.tidied_ms = Some(now_ms);
            self.counted.retain(|_, counted| now_ms - counted.last_ms < windows.span_ms());
        }
    }

    /// Forgets addresses that were quiet for an hour.
    pub(crate) fn expire(&mut self, now: Instant) {
        let now_ms = millis(self.base, now);
        self.counted.retain(|_, counted| now_ms - counted.last_ms <= INACTIVE_MS);
    }
}

impl Counted {
    fn new(registry: &Registry, base: Instant, limits: &AddressLimits, address: IpAddr) -> Self {
        let rate = Arc::new(Mutex::new(SampledRate::new(limits.windows)));
        let bean = registry
            .attributes(&sockets::SOCKET_SERVER_METRICS_BY_IP, &[("ip", &java_text(address))]);
        let read = rate.clone();
        bean.callback("connection-accept-rate", move || {
            Value::Double(read.lock().per_second(millis(base, Instant::now())))
        });
        Self { rate, last_ms: 0, _bean: bean }
    }
}

fn take(rate: &mut SampledRate, limit: f64, now_ms: i64, window_ms: i64) -> Result<(), Duration> {
    rate.record(1.0, now_ms);
    let rated = rate.per_second(now_ms);
    if rated <= limit {
        return Ok(());
    }
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of seconds")]
    let (covered, most) = (rate.window_ms(now_ms) as f64, window_ms as f64);
    let wait = ((rated - limit) / limit * covered).round().clamp(0.0, most);
    rate.record(-1.0, now_ms);
    Err(Duration::from_secs_f64(wait / 1000.0))
}

fn millis(base: Instant, now: Instant) -> i64 {
    i64::try_from(now.saturating_duration_since(base).as_millis()).unwrap_or(i64::MAX)
}

/// An address as Java prints it: all eight groups of a long one.
fn java_text(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let groups = address.segments().map(|group| format!("{group:x}"));
            groups.join(":")
        }
    }
}

#[cfg(test)]
mod tests {
    use pharos_base::Clock;

    use super::*;

    fn rates(default: Option<u32>, own: &[(&str, u32)]) -> (AddressRates, Registry) {
        let registry = Registry::new(Clock::simulated(0).0);
        let mut rates = AddressRates::new(&registry);
        let by_address = own.iter().map(|(ip, limit)| (ip.parse().unwrap(), *limit)).collect();
        rates.set_limits(AddressLimits { default, by_address, ..AddressLimits::default() });
        (rates, registry)
    }

    #[test]
    fn an_address_may_open_so_many_in_all_windows() {
        let (mut rates, registry) = rates(Some(2), &[("10.0.0.1", 1)]);
        let (base, [one, two]) = (rates.base, ["10.0.0.1", "::1"].map(|ip| ip.parse().unwrap()));
        // Ten seconds are assumed to have passed.
        for _ in 0..10 {
            assert_eq!(rates.pass(base, one), Ok(()));
        }
        assert_eq!(rates.pass(base, one), Err(Duration::from_secs(1)));
        // Who was sent away was not counted.
        assert_eq!(rates.pass(base, one), Err(Duration::from_secs(1)));
        for _ in 0..20 {
            assert_eq!(rates.pass(base, two), Ok(()));
        }
        // 2.1 a second for ten seconds are half a second too early.
        assert_eq!(rates.pass(base, two), Err(Duration::from_millis(500)));
        let later = base + Duration::from_millis(11_000);
        assert_eq!(rates.pass(later, one), Ok(()));
        let beans = registry.beans("kafka.server:type=socket-server-metrics,ip=");
        let names: Vec<_> = beans.iter().map(|bean| bean.name().as_str().to_owned()).collect();
        assert!(names.iter().any(|name| name.ends_with("ip=10.0.0.1")), "{names:?}");
        assert!(names.iter().any(|name| name.contains("0:0:0:0:0:0:0:1")), "{names:?}");
        rates.expire(base + Duration::from_secs(3_601));
        assert_eq!(registry.len(), 1, "the other one came later");
    }

    #[test]
    fn only_those_with_limits_are_counted() {
        let (mut rates, registry) = rates(None, &[("10.0.0.1", 1)]);
        for _ in 0..100 {
            assert_eq!(rates.pass(rates.base, "10.0.0.2".parse().unwrap()), Ok(()));
        }
        assert!(registry.is_empty());
    }

    #[test]
    fn a_hundred_thousand_addresses_take_no_more_than_ten_thousand() {
        let (mut rates, registry) = rates(Some(1), &[]);
        let base = rates.base;
        let address = |n: u32| IpAddr::from(std::net::Ipv4Addr::from(n));
        for n in 0..100_000 {
            assert_eq!(rates.pass(base, address(n)).is_err(), n >= 10_010, "{n}");
        }
        assert_eq!(registry.len(), MAX_COUNTED);
        let later = base + Duration::from_secs(12);
        assert_eq!(rates.pass(later, address(500_000)), Ok(()));
        assert_eq!(registry.len(), 1);
    }
}
