//! What the network counts, under Kafka's names.
//!
//! A *processor* is a network thread in Kafka. Here it is a number: the connections of a listener
//! are dealt to its processors in turn, and their traffic counts there. The idle figures of
//! processor n are those of worker n (modulo the workers) of the runtime that serves.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pharos_metrics::catalog::{native, network, sockets};
use pharos_metrics::{
    Attributes, Counter, Gauge, Meter, OTHER, Registered, Registry, Sensor, Stat, Value,
};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::budget::Budget;
use crate::close::CloseReason;

/// Client software that is told apart, over all listeners and processors; the rest is one.
const MAX_CLIENT_SOFTWARE: usize = 1000;

/// What a connection's client is called before it has said so, as in Kafka.
const UNKNOWN: &str = "unknown";

/// How often the runtime's workers are asked how busy they were.
const IDLE_SAMPLE: Duration = Duration::from_secs(1);

/// The numbers of a listener's processors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Processors {
    pub(crate) first: u32,
    pub(crate) count: u32,
    /// They count apart from those of other listeners, and have no beans without a listener tag.
    pub(crate) own: bool,
}

/// The beans of one processor.
pub(crate) struct ProcessorMetrics {
    pub(crate) id: u32,
    /// Whole requests received, with their sizes on the wire.
    pub(crate) received: Sensor,
    /// Whole replies sent, with their sizes on the wire.
    pub(crate) sent: Sensor,
    /// Reads and writes of whole messages.
    pub(crate) network_io: Sensor,
    /// Replies that are ready while the peer or an earlier reply holds them up.
    pub(crate) response_queue: Registered<Gauge>,
    created: Sensor,
    closed: Sensor,
    connections: Gauge,
    waited: Sensor,
    worked: Sensor,
    _beans: (Registered<Attributes>, Registered<()>),
}

impl ProcessorMetrics {
    fn new(registry: &Registry, listener: &str, id: u32, own: bool) -> Self {
        let number = id.to_string();
        let row = &sockets::SOCKET_SERVER_METRICS_BY_LISTENER_NETWORK_PROCESSOR;
        let tags = [("listener", listener), ("networkProcessor", number.as_str())];
        let bean = registry.attributes(row, &tags);
        let row = &network::REQUEST_CHANNEL_RESPONSE_QUEUE_SIZE_BY_PROCESSOR;
        let response_queue = if own {
            Registered::detached(Gauge::noop())
        } else {
            registry.gauge(row, &[("processor", number.as_str())])
        };
        let waited = bean.sensor("select");
        let idle = waited.clone();
        let tags = [("networkProcessor", number.as_str())];
        let idle_bean = if own {
            Registered::detached(())
        } else {
            let idle = move || Value::Double(share(&idle));
            registry.gauge_fn(&network::PROCESSOR_IDLE_PERCENT, &tags, idle)
        };
        Self {
            id,
            received: bean.sensor("bytes-received"),
            sent: bean.sensor("bytes-sent"),
            network_io: bean.sensor("network-io"),
            response_queue,
            created: bean.sensor("connection-created"),
            closed: bean.sensor("connection-closed"),
            connections: bean.gauge("connection-count"),
            waited,
            worked: bean.sensor("io"),
            _beans: (bean, idle_bean),
        }
    }

    /// Its worker was busy and idle for so long since the last time.
    pub(crate) fn spent(&self, worked: Duration, waited: Duration) {
        self.worked.record(nanos(worked));
        self.waited.record(nanos(waited));
    }

    pub(crate) fn open(&self) {
        self.created.record(1.0);
        self.connections.increment(1.0);
    }

    pub(crate) fn close(&self) {
        self.closed.record(1.0);
        self.connections.decrement(1.0);
    }
}

/// The beans of one listener.
pub(crate) struct ListenerMetrics {
    pub(crate) processors: Vec<Arc<ProcessorMetrics>>,
    /// Accepted connections, with those that were refused at once.
    pub(crate) accepted: Sensor,
    /// Delays of accepting under a rate limit, in milliseconds.
    pub(crate) accept_throttle: Sensor,
    /// Delays of closing connections of an address above its rate, in milliseconds.
    pub(crate) address_throttle: Sensor,
    /// Nanoseconds in which nothing was accepted because of limits.
    pub(crate) blocked: Registered<Meter>,
    /// By reason, in the order of [`CloseReason::LABELS`].
    closed: Vec<Registered<Counter>>,
    _bean: Registered<Attributes>,
}

impl ListenerMetrics {
    fn new(registry: &Registry, name: &str, processors: Processors) -> Self {
        let tags = [("listener", name)];
        let bean = registry.attributes(&sockets::SOCKET_SERVER_METRICS_BY_LISTENER, &tags);
        let closed = registry.family(&native::PHAROS_CONNECTIONS_CLOSED_TOTAL);
        let reasons = CloseReason::LABELS.iter();
        Self {
            processors: (processors.first..processors.first.saturating_add(processors.count))
                .map(|id| Arc::new(ProcessorMetrics::new(registry, name, id, processors.own)))
                .collect(),
            accepted: bean.sensor("accept"),
            accept_throttle: bean.sensor("accept-throttle"),
            address_throttle: bean.sensor("ip-accept-throttle"),
            blocked: registry.meter(&network::ACCEPTOR_ACCEPTOR_BLOCKED_PERCENT, &tags),
            closed: reasons.map(|reason| closed.counter(&[name, reason])).collect(),
            _bean: bean,
        }
    }

    pub(crate) fn closed(&self, reason: &CloseReason) {
        if let Some(count) = self.closed.get(reason.index()) {
            count.increment(1);
        }
    }

    pub(crate) fn block(&self, time: Duration) {
        if !time.is_zero() {
            self.blocked.mark(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        }
    }
}

/// The beans of a server.
pub(crate) struct ServerMetrics {
    registry: Registry,
    /// Requests that wait whole in a buffer until the one before them has taken effect.
    pub(crate) request_queue: Registered<Gauge>,
    /// Replies that wait, over all processors.
    pub(crate) response_queue: Registered<Gauge>,
    /// Accepted connections, over all listeners.
    pub(crate) accepted: Sensor,
    listeners: Arc<Mutex<Vec<Arc<ListenerMetrics>>>>,
    software: Mutex<HashMap<SoftwareKey, Software>>,
    _beans: (Registered<Attributes>, Vec<Registered<()>>),
}

type SoftwareKey = (Arc<str>, Arc<str>, Arc<str>, u32);

impl ServerMetrics {
    pub(crate) fn new(registry: &Registry, pool: Option<Arc<Budget>>) -> Self {
        let bean = registry.attributes(&sockets::SOCKET_SERVER_METRICS, &[]);
        let listeners: Arc<Mutex<Vec<Arc<ListenerMetrics>>>> = Arc::default();
        if let Some(pool) = &pool {
            let millis = bean.sensor("memory-pool-depleted");
            let nanos_of_it = bean.sensor("memory-pool-depleted-ns");
            pool.on_dry_spell(move |spell| {
                millis.record(spell.as_secs_f64() * 1000.0);
                nanos_of_it.record(nanos(spell));
            });
        }
        let available = pool.clone();
        let of_all = listeners.clone();
        let gauges = vec![
            registry.gauge_fn(
                &network::SOCKET_SERVER_NETWORK_PROCESSOR_AVG_IDLE_PERCENT,
                &[],
                move || Value::Double(mean_idle(&of_all.lock())),
            ),
            registry.gauge_fn(&network::SOCKET_SERVER_MEMORY_POOL_AVAILABLE, &[], move || {
                let free = |pool: &Arc<Budget>| to_i64(pool.limit().saturating_sub(pool.used()));
                Value::Long(available.as_ref().map_or(i64::MAX, free))
            }),
            registry.gauge_fn(&network::SOCKET_SERVER_MEMORY_POOL_USED, &[], move || {
                Value::Long(pool.as_ref().map_or(0, |pool| to_i64(pool.used())))
            }),
            // Nothing has to authenticate again before SASL is spoken.
            registry.gauge_fn(
                &network::SOCKET_SERVER_EXPIRED_CONNECTIONS_KILLED_COUNT,
                &[],
                || Value::Double(0.0),
            ),
        ];
        Self {
            registry: registry.clone(),
            request_queue: registry.gauge(&network::REQUEST_CHANNEL_REQUEST_QUEUE_SIZE, &[]),
            response_queue: registry.gauge(&network::REQUEST_CHANNEL_RESPONSE_QUEUE_SIZE, &[]),
            accepted: bean.sensor("broker-accept"),
            listeners,
            software: Mutex::default(),
            _beans: (bean, gauges),
        }
    }

    pub(crate) fn add_listener(&self, name: &str, processors: Processors) -> Arc<ListenerMetrics> {
        let listener = ListenerMetrics::new(&self.registry, name, processors);
        let listener = Arc::new(listener);
        self.listeners.lock().push(listener.clone());
        listener
    }

    /// Counts a connection under what its client says that it is; until it says so, as unknown.
    /// The count is taken back when the return value drops.
    pub(crate) fn software(
        &self,
        software: Option<(&Arc<str>, &Arc<str>)>,
        listener: &Arc<str>,
        processor: u32,
    ) -> SoftwareCount {
        let mut known = self.software.lock();
        let (name, version) = match software {
            Some((name, version)) => (name.clone(), version.clone()),
            None => (UNKNOWN.into(), UNKNOWN.into()),
        };
        let mut key = (name, version, listener.clone(), processor);
        if known.len() >= MAX_CLIENT_SOFTWARE && !known.contains_key(&key) {
            key = (OTHER.into(), OTHER.into(), listener.clone(), processor);
        }
        let software = known.entry(key).or_insert_with_key(|(name, version, listener, processor)| {
            let tags = [
                ("clientSoftwareName", &**name),
                ("clientSoftwareVersion", &**version),
                ("listener", &**listener),
                ("networkProcessor", &*processor.to_string()),
            ];
            let bean = self.registry.attributes(
                &sockets::SOCKET_SERVER_METRICS_BY_CLIENT_SOFTWARE_NAME_CLIENT_SOFTWARE_VERSION_LISTENER_NETWORK_PROCESSOR,
                &tags,
            );
            Software { connections: bean.gauge("connections"), _bean: bean }
        });
        software.connections.increment(1.0);
        SoftwareCount(software.connections.clone())
    }
}

/// Connections of one client software; stays at 0 when they have left, as in Kafka.
struct Software {
    connections: Gauge,
    _bean: Registered<Attributes>,
}

/// One connection among those of its client software.
pub(crate) struct SoftwareCount(Gauge);

impl Drop for SoftwareCount {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// Records every second how busy the workers of `runtime` were, for the processors of `listener`.
pub(crate) async fn sample_idle(listener: Arc<ListenerMetrics>, runtime: Handle) {
    let workers = runtime.metrics().num_workers().max(1);
    let mut seen: Vec<_> = (0..workers).map(|worker| busy(&runtime, worker)).collect();
    let mut last = Instant::now();
    loop {
        tokio::time::sleep(IDLE_SAMPLE).await;
        let now = Instant::now();
        let elapsed = now - std::mem::replace(&mut last, now);
        let worked: Vec<_> = seen
            .iter_mut()
            .enumerate()
            .map(|(worker, seen)| {
                let busy = busy(&runtime, worker);
                busy.saturating_sub(std::mem::replace(seen, busy)).min(elapsed)
            })
            .collect();
        for (processor, worked) in listener.processors.iter().zip(worked.iter().cycle()) {
            processor.spent(*worked, elapsed - *worked);
        }
    }
}

fn busy(runtime: &Handle, worker: usize) -> Duration {
    runtime.metrics().worker_total_busy_duration(worker)
}

/// Share of time, as Kafka bounds it: rounding may bring it above 1.
fn share(sensor: &Sensor) -> f64 {
    sensor.figure(Stat::Ratio).clamp(0.0, 1.0)
}

fn mean_idle(listeners: &[Arc<ListenerMetrics>]) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for processor in listeners.iter().flat_map(|listener| &listener.processors) {
        sum += share(&processor.waited);
        count += 1.0;
    }
    if count == 0.0 { 1.0 } else { sum / count }
}

#[expect(clippy::cast_precision_loss, reason = "exact below 2^53: 104 days in one sample")]
fn nanos(time: Duration) -> f64 {
    time.as_nanos() as f64
}

fn to_i64(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
