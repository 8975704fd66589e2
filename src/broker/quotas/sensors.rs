//! What those that share a limit have used of it, and the bean that shows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;
use pharos_base::Clock;
use pharos_metrics::catalog::quotas as rows;
use pharos_metrics::{
    Attributes, BeanRow, Registered, Registry, SampleWindows, SampledRate, Sensor, TokenBucket,
    Value,
};

use super::table::Tags;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes of Produce requests.
    Produce,
    /// Bytes of answers to Fetch.
    Fetch,
    /// Time that threads spend on requests.
    Request,
    /// Partitions that are created and deleted.
    ControllerMutation,
}

/// The rows of a kind's beans: as a whole, and by whom a limit is shared.
struct Rows {
    whole: &'static BeanRow,
    user: &'static BeanRow,
    client_id: &'static BeanRow,
    both: &'static BeanRow,
}

impl Kind {
    /// The key under which its limits are set.
    pub fn key(self) -> &'static str {
        match self {
            Self::Produce => "producer_byte_rate",
            Self::Fetch => "consumer_byte_rate",
            Self::Request => "request_percentage",
            Self::ControllerMutation => "controller_mutation_rate",
        }
    }

    /// The bean of the kind as a whole.
    pub fn row(self) -> &'static BeanRow {
        self.rows().whole
    }

    fn rows(self) -> Rows {
        match self {
            Self::Produce => Rows {
                whole: &rows::PRODUCE,
                user: &rows::PRODUCE_BY_USER,
                client_id: &rows::PRODUCE_BY_CLIENT_ID,
                both: &rows::PRODUCE_BY_USER_CLIENT_ID,
            },
            Self::Fetch => Rows {
                whole: &rows::FETCH,
                user: &rows::FETCH_BY_USER,
                client_id: &rows::FETCH_BY_CLIENT_ID,
                both: &rows::FETCH_BY_USER_CLIENT_ID,
            },
            Self::Request => Rows {
                whole: &rows::REQUEST,
                user: &rows::REQUEST_BY_USER,
                client_id: &rows::REQUEST_BY_CLIENT_ID,
                both: &rows::REQUEST_BY_USER_CLIENT_ID,
            },
            Self::ControllerMutation => Rows {
                whole: &rows::CONTROLLER_MUTATION,
                user: &rows::CONTROLLER_MUTATION_BY_USER,
                client_id: &rows::CONTROLLER_MUTATION_BY_CLIENT_ID,
                both: &rows::CONTROLLER_MUTATION_BY_USER_CLIENT_ID,
            },
        }
    }

    fn attribute(self) -> &'static str {
        match self {
            Self::Produce | Self::Fetch => "byte-rate",
            Self::Request => "request-time",
            Self::ControllerMutation => "tokens",
        }
    }

    /// Registers the bean of those that share `tags`; without a tag there is none.
    fn register(self, registry: &Registry, tags: &Tags) -> Option<Registered<Attributes>> {
        let (user, rows) = (sanitized(&tags.user), self.rows());
        let (row, tags) = match (user.is_empty(), tags.client_id.is_empty()) {
            (true, true) => return None,
            (false, true) => (rows.user, vec![("user", user.as_str())]),
            (true, false) => (rows.client_id, vec![("client-id", &*tags.client_id)]),
            (false, false) => {
                (rows.both, vec![("user", user.as_str()), ("client-id", &*tags.client_id)])
            }
        };
        Some(registry.attributes(row, &tags))
    }
}

/// The time of a clock in milliseconds, as windows count it.
pub fn millis(clock: &Clock) -> i64 {
    i64::try_from(clock.monotonic().as_millis()).unwrap_or(i64::MAX)
}

/// A limit that is a number, shared between those who set it and those who read it.
#[derive(Clone, Debug)]
struct Limit(Arc<AtomicU64>);

impl Limit {
    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, limit: Option<f64>) {
        self.0.store(bound(limit).to_bits(), Ordering::Relaxed);
    }
}

/// Kafka's bound where there is no limit: the largest long.
#[expect(clippy::cast_precision_loss, reason = "Kafka has it as a double too")]
fn bound(limit: Option<f64>) -> f64 {
    limit.unwrap_or(i64::MAX as f64)
}

#[derive(Debug)]
enum Used {
    Rate(SampledRate),
    Tokens(TokenBucket),
}

impl Used {
    fn value(&mut self, limit: f64, now_ms: i64) -> f64 {
        match self {
            Self::Rate(rate) => rate.per_second(now_ms),
            Self::Tokens(bucket) => bucket.tokens(limit, now_ms),
        }
    }
}

/// The use of one limit.
#[derive(Debug)]
pub struct Sensors {
    limit: Limit,
    used: Arc<Mutex<Used>>,
    /// Partitions changed per second, of the one kind that shows them.
    mutations: Option<Sensor>,
    throttle: Sensor,
    last_ms: AtomicI64,
    _bean: Option<Registered<Attributes>>,
}

impl Sensors {
    /// Nothing is used yet. With `shown` there is a bean.
    pub fn new(
        kind: Kind,
        registry: &Registry,
        windows: SampleWindows,
        tags: &Tags,
        limit: Option<f64>,
        shown: bool,
    ) -> Self {
        let clock = registry.clock().clone();
        let limit = Limit(Arc::new(AtomicU64::new(bound(limit).to_bits())));
        let used = Arc::new(Mutex::new(match kind {
            Kind::ControllerMutation => Used::Tokens(TokenBucket::new(windows)),
            _ => Used::Rate(SampledRate::new(windows)),
        }));
        let last_ms = AtomicI64::new(millis(&clock));
        let bean = if shown { kind.register(registry, tags) } else { None };
        let unseen = || Sensor::new(registry.clock().clone(), false);
        let sensor = |name| bean.as_ref().map_or_else(unseen, |bean| bean.sensor(name));
        let throttle = sensor("throttle-time");
        let mutations = (kind == Kind::ControllerMutation).then(|| sensor("mutations"));
        if let Some(bean) = &bean {
            let (limit, used) = (limit.clone(), used.clone());
            bean.callback(kind.attribute(), move || {
                Value::Double(used.lock().value(limit.get(), millis(&clock)))
            });
        }
        Self { limit, used, mutations, throttle, last_ms, _bean: bean }
    }

    /// Another limit holds from now on.
    pub fn set_limit(&self, limit: Option<f64>) {
        self.limit.set(limit);
    }

    /// When it was last used, in milliseconds.
    pub fn last_ms(&self) -> i64 {
        self.last_ms.load(Ordering::Relaxed)
    }

    /// Counts `value`; the milliseconds after which the rate would be at its limit again, 0 when it
    /// is within it. `limit` is that of the one who uses it, where strangers share this.
    pub fn record(&self, value: f64, limit: Option<f64>, now_ms: i64) -> u32 {
        self.last_ms.store(now_ms, Ordering::Relaxed);
        let limit = limit.unwrap_or_else(|| self.limit.get());
        let mut used = self.used.lock();
        match &mut *used {
            Used::Rate(rate) => {
                rate.record(value, now_ms);
                let rated = rate.per_second(now_ms);
                if rated <= limit {
                    return 0;
                }
                let window = rate.window_ms(now_ms) as f64;
                whole_ms((rated - limit) / limit * window)
            }
            Used::Tokens(bucket) => {
                bucket.spend(value, limit, now_ms);
                self.count_mutations(value);
                debt_ms(bucket.tokens(limit, now_ms), limit)
            }
        }
    }

    /// Counts `value` without a look at the limit; a negative one takes it back.
    pub fn record_unchecked(&self, value: f64, now_ms: i64) {
        self.last_ms.store(now_ms, Ordering::Relaxed);
        match &mut *self.used.lock() {
            Used::Rate(rate) => rate.record(value, now_ms),
            Used::Tokens(bucket) => bucket.spend(value, self.limit.get(), now_ms),
        }
    }

    /// Spends `value` unless there is debt already.
    ///
    /// # Errors
    /// The milliseconds after which the debt is paid.
    pub fn spend_unless_in_debt(
        &self,
        value: f64,
        limit: Option<f64>,
        now_ms: i64,
    ) -> Result<(), u32> {
        self.last_ms.store(now_ms, Ordering::Relaxed);
        let limit = limit.unwrap_or_else(|| self.limit.get());
        if let Used::Tokens(bucket) = &mut *self.used.lock() {
            let tokens = bucket.tokens(limit, now_ms);
            if tokens < 0.0 {
                return Err(debt_ms(tokens, limit));
            }
            bucket.spend(value, limit, now_ms);
        }
        self.count_mutations(value);
        Ok(())
    }

    fn count_mutations(&self, value: f64) {
        if let Some(mutations) = &self.mutations {
            mutations.record(value);
        }
    }

    /// A channel is muted for that long.
    pub fn throttled(&self, ms: u32, now_ms: i64) {
        self.last_ms.store(now_ms, Ordering::Relaxed);
        self.throttle.record(f64::from(ms));
    }
}

/// Time until a debt is paid at the rate of the limit.
fn debt_ms(tokens: f64, limit: f64) -> u32 {
    if tokens < 0.0 { whole_ms(-tokens / limit * 1000.0) } else { 0 }
}

/// Rounded as Java does it, and at most what a throttle time can say.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
fn whole_ms(ms: f64) -> u32 {
    (ms + 0.5).floor().clamp(0.0, f64::from(i32::MAX)) as u32
}

/// A user's name as Kafka puts it into tags: percent-encoded (`Sanitizer.sanitize`).
fn sanitized(user: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(user.len());
    for byte in user.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => {
                out.push(char::from(byte));
            }
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}
