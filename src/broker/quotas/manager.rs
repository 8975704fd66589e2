//! One kind of quota: its limits, and what each of those that share one has used.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;
use pharos_base::Clock;
use pharos_metadata::image::QuotaEntity;
use pharos_metrics::{Attributes, Registered, Registry, SampleWindows, Value};

use super::muted::Muted;
use super::sensors::{Kind, Sensors, millis};
use super::table::{Client, LimitTable, Tags};

/// Those that are counted by themselves. Beyond it, those at rest are forgotten first; when none
/// is, those that come share one account, each against the limit of its own.
const MAX_COUNTED: usize = 10_000;

/// What nobody has used for so long is forgotten, with its bean
/// (`ClientQuotaManager.InactiveSensorExpirationTimeSeconds`).
const INACTIVE_MS: i64 = 3_600_000;

/// One kind of quota.
#[derive(Debug)]
pub struct QuotaManager {
    kind: Kind,
    clock: Clock,
    registry: Registry,
    windows: SampleWindows,
    /// Whether a limit of this kind was ever set since the start.
    enabled: AtomicBool,
    state: RwLock<State>,
    muted: Arc<Muted>,
    bean: Registered<Attributes>,
}

#[derive(Debug, Default)]
struct State {
    table: LimitTable,
    counted: HashMap<Tags, Arc<Sensors>>,
    /// The account of those that are too many.
    others: Option<Arc<Sensors>>,
    /// When those at rest were last looked for.
    tidied_ms: Option<i64>,
}

/// Whose use is counted where.
#[derive(Clone, Debug)]
pub struct Account {
    sensors: Arc<Sensors>,
    /// The limit of this client, where others share the account.
    limit: Option<f64>,
}

impl Account {
    /// As [`Sensors::record`].
    pub fn record(&self, value: f64, now_ms: i64) -> u32 {
        self.sensors.record(value, self.limit, now_ms)
    }

    /// As [`Sensors::spend_unless_in_debt`].
    ///
    /// # Errors
    /// The milliseconds after which the debt is paid.
    pub fn spend_unless_in_debt(&self, value: f64, now_ms: i64) -> Result<(), u32> {
        self.sensors.spend_unless_in_debt(value, self.limit, now_ms)
    }

    /// As [`Sensors::record_unchecked`].
    pub fn record_unchecked(&self, value: f64, now_ms: i64) {
        self.sensors.record_unchecked(value, now_ms);
    }
}

impl QuotaManager {
    /// Without limits.
    pub fn new(kind: Kind, registry: &Registry, windows: SampleWindows) -> Self {
        let (bean, muted) = (registry.attributes(kind.row(), &[]), Arc::new(Muted::default()));
        let clock = registry.clock().clone();
        let (counted, time) = (muted.clone(), clock.clone());
        #[expect(clippy::cast_precision_loss, reason = "a count of channels")]
        bean.callback("queue-size", move || Value::Double(counted.count(millis(&time)) as f64));
        Self {
            kind,
            clock,
            registry: registry.clone(),
            windows,
            enabled: AtomicBool::new(false),
            state: RwLock::default(),
            muted,
            bean,
        }
    }

    /// The key under which its limits are set.
    pub fn key(&self) -> &'static str {
        self.kind.key()
    }

    /// The bean of the kind as a whole.
    pub fn bean(&self) -> &Attributes {
        &self.bean
    }

    /// Whether there is anything to count: a look at one atomic.
    pub fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Relaxed)
    }

    /// The time as windows count it.
    pub fn now_ms(&self) -> i64 {
        millis(&self.clock)
    }

    /// Brings the limit of one entity up to date.
    pub fn set_limit(&self, entity: &QuotaEntity, limit: Option<f64>) {
        let mut state = self.state.write();
        if state.table.get(entity).map(f64::to_bits) == limit.map(f64::to_bits) {
            return;
        }
        state.table.set(entity, limit);
        let State { table, counted, .. } = &*state;
        for (tags, sensors) in counted {
            sensors.set_limit(table.limit(tags));
        }
        self.enabled.store(true, Ordering::Relaxed);
    }

    /// Where the use of `client` is counted; `None` while there are no limits of this kind.
    pub fn account(&self, client: &Client) -> Option<Account> {
        self.is_enabled().then(|| self.find_or_open(client))
    }

    fn find_or_open(&self, client: &Client) -> Account {
        let found = |state: &State| {
            let tags = state.table.tags(client);
            match state.counted.get(&tags) {
                Some(sensors) => Ok(Account { sensors: sensors.clone(), limit: None }),
                None => Err(tags),
            }
        };
        let known = found(&self.state.read());
        if let Ok(account) = known {
            return account;
        }
        let mut state = self.state.write();
        match found(&state) {
            Ok(account) => account,
            Err(tags) => self.open(&mut state, tags),
        }
    }

    fn open(&self, state: &mut State, tags: Tags) -> Account {
        let limit = state.table.limit(&tags);
        let now_ms = self.now_ms();
        // Not for every stranger: who asks under ever new names would make this dear.
        let due = state.tidied_ms.is_none_or(|last| now_ms - last >= self.windows.length_ms);
        if state.counted.len() >= MAX_COUNTED && due {
            state.tidied_ms = Some(now_ms);
            let oldest = now_ms - self.windows.span_ms();
            state.counted.retain(|_, sensors| sensors.last_ms() > oldest);
        }
        let make = |tags: &Tags, shown| {
            Arc::new(Sensors::new(self.kind, &self.registry, self.windows, tags, limit, shown))
        };
        if state.counted.len() >= MAX_COUNTED {
            let others = state.others.get_or_insert_with(|| {
                tracing::warn!(kind = ?self.kind, limit = MAX_COUNTED, "clients share one quota");
                make(&tags, false)
            });
            return Account { sensors: others.clone(), limit: Some(limit.unwrap_or(f64::MAX)) };
        }
        let sensors = make(&tags, true);
        state.counted.insert(tags, sensors.clone());
        Account { sensors, limit: None }
    }

    /// Counts `value` of a client; the milliseconds for which it is to be muted.
    pub fn record(&self, client: &Client, value: f64) -> u32 {
        self.account(client).map_or(0, |account| account.record(value, self.now_ms()))
    }

    /// Most that may be used at once by a client that used nothing lately, if it is not to be
    /// muted for sure.
    pub fn most_at_once(&self, client: &Client) -> f64 {
        if !self.is_enabled() {
            return f64::MAX;
        }
        let limit = {
            let state = self.state.read();
            state.table.limit(&state.table.tags(client))
        };
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of seconds")]
        let seconds = (self.windows.span_ms() - self.windows.length_ms) as f64 / 1000.0;
        limit.map_or(f64::MAX, |limit| limit * seconds)
    }

    /// A channel of `client` is muted for `ms`, which may be for the sake of another kind.
    pub fn throttle(&self, client: &Client, ms: u32) {
        let (account, now_ms) = (self.find_or_open(client), self.now_ms());
        account.sensors.throttled(ms, now_ms);
        self.muted.begin(now_ms, now_ms + i64::from(ms));
    }

    /// Forgets what nobody used for an hour.
    pub fn expire(&self) {
        let oldest = self.now_ms() - INACTIVE_MS;
        let stale = |sensors: &Sensors| sensors.last_ms() < oldest;
        let any = self.state.read().counted.values().any(|sensors| stale(sensors));
        if any {
            self.state.write().counted.retain(|_, sensors| !stale(sensors));
        }
    }
}
