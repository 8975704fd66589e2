//! The registry of one node: beans and native families, for as long as their handles live.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::{Arc, Weak};
use std::time::Duration;

use metrics::Gauge;
use parking_lot::{Mutex, RwLock};
use pharos_base::Clock;

use crate::bean::{Attributes, Bean, ByName, Source};
use crate::bean_counts::BeanCounts;
use crate::instruments::{GaugeCell, Histogram, Histograms, Meter, Text, Timer, WeakMeter};
use crate::native::{Families, Family, FamilyRow, SeriesGuard};
use crate::object_name::{ObjectName, push_tag_value};
use crate::row::{BeanRow, Shape};
use crate::value::{Value, ValueType};

/// Owns what a node exposes. Clones share it; several nodes in one process have one each.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    clock: Clock,
    state: RwLock<State>,
    meters: Mutex<Vec<WeakMeter>>,
    families: Families,
    counts: BeanCounts,
}

#[derive(Default)]
struct State {
    next_id: u64,
    beans: BTreeSet<ByName>,
    listeners: Vec<Weak<dyn Listener>>,
}

/// Told when beans come and go. Calls come from any thread, with the registry locked, so they
/// only take notes; the work is done in [`Listener::settle`].
pub(crate) trait Listener: Send + Sync {
    fn added(&self, bean: &Arc<Bean>);
    fn removed(&self, id: u64);
    fn settle(&self);
}

/// A handle whose bean or series exists until it drops.
pub struct Registered<T> {
    handle: T,
    _guard: Guard,
}

/// What ends with a handle.
enum Guard {
    Nothing,
    Bean(Weak<Inner>, Arc<Bean>),
    /// Boxed, for beans are the many.
    Series(Box<SeriesGuard>),
}

impl<T> Registered<T> {
    pub(crate) fn series(handle: T, guard: SeriesGuard) -> Self {
        Self { handle, _guard: Guard::Series(Box::new(guard)) }
    }

    /// A handle that nothing shows.
    pub fn detached(handle: T) -> Self {
        Self { handle, _guard: Guard::Nothing }
    }
}

impl<T> Deref for Registered<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.handle
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        match self {
            Self::Nothing => {}
            Self::Bean(registry, bean) => remove(registry, bean),
            Self::Series(series) => series.leave(),
        }
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Registered<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Registered").field(&self.handle).finish()
    }
}

impl Registry {
    /// An empty registry.
    pub fn new(clock: Clock) -> Self {
        Self::with_native_histograms(clock, false)
    }

    /// An empty registry, whose histograms are shown in their native form to who reads protobuf
    /// when `native` says so.
    pub fn with_native_histograms(clock: Clock, native: bool) -> Self {
        Self(Arc::new(Inner {
            families: Families::new(clock.clone(), native),
            clock,
            state: RwLock::default(),
            meters: Mutex::default(),
            counts: BeanCounts::default(),
        }))
    }

    /// How many beans and attributes there are, for beans that tell it.
    pub fn bean_counts(&self) -> BeanCounts {
        self.0.counts.clone()
    }

    /// The clock that its instruments read.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// A bean of a [`Shape::Meter`] row. `tags` are the template's placeholders and
    /// their values, in its order.
    pub fn meter(&self, row: &'static BeanRow, tags: &[(&str, &str)]) -> Registered<Meter> {
        let meter = Meter::new(self.0.clock.clone());
        self.sweep(&meter);
        if !matches!(row.shape, Shape::Meter { .. }) {
            wrong(row, ());
        }
        self.insert(row, tags, Source::Meter(meter.clone()), meter)
    }

    /// A bean of a [`Shape::Histogram`] row.
    pub fn histogram(&self, row: &'static BeanRow, tags: &[(&str, &str)]) -> Registered<Histogram> {
        if !matches!(row.shape, Shape::Histogram) {
            wrong(row, ());
        }
        let histogram = Histogram::new(self.0.clock.clone());
        self.insert(row, tags, Source::Histogram(histogram.clone()), histogram)
    }

    /// Beans of [`Shape::Histogram`] rows with the same tags, which are updated together.
    pub fn histograms<const N: usize>(
        &self,
        rows: [&'static BeanRow; N],
        tags: &[(&str, &str)],
    ) -> (Histograms, [Registered<()>; N]) {
        let histograms = Histograms::new(self.0.clock.clone(), N);
        let mut columns = 0..;
        let beans = rows.map(|row| {
            if !matches!(row.shape, Shape::Histogram) {
                wrong(row, ());
            }
            let column = histograms.column(columns.next().unwrap_or(0));
            self.insert(row, tags, Source::Histogram(column), ())
        });
        (histograms, beans)
    }

    /// A bean of a [`Shape::Timer`] row.
    pub fn timer(&self, row: &'static BeanRow, tags: &[(&str, &str)]) -> Registered<Timer> {
        let timer = Timer::new(self.0.clock.clone());
        self.sweep(timer.meter());
        if !matches!(row.shape, Shape::Timer { .. }) {
            wrong(row, ());
        }
        self.insert(row, tags, Source::Timer(timer.clone()), timer)
    }

    /// A bean of a [`Shape::Gauge`] row that holds a number, 0 at first.
    pub fn gauge(&self, row: &'static BeanRow, tags: &[(&str, &str)]) -> Registered<Gauge> {
        let cell = GaugeCell::new(0.0);
        let handle = cell.handle();
        self.insert(row, tags, Source::Gauge(cell, gauge_type(row)), handle)
    }

    /// A bean of a [`Shape::Gauge`] row that holds a text.
    pub fn text(
        &self,
        row: &'static BeanRow,
        tags: &[(&str, &str)],
        text: &str,
    ) -> Registered<Text> {
        let text = Text::new(text);
        gauge_type(row);
        self.insert(row, tags, Source::Text(text.clone()), text)
    }

    /// A bean of a [`Shape::Gauge`] row that asks `read` whenever it is read. The callback runs
    /// on the scrape's thread: it must be quick and must not wait for the data path.
    pub fn gauge_fn(
        &self,
        row: &'static BeanRow,
        tags: &[(&str, &str)],
        read: impl Fn() -> Value + Send + Sync + 'static,
    ) -> Registered<()> {
        gauge_type(row);
        self.insert(row, tags, Source::Callback(Box::new(read)), ())
    }

    /// A bean of a [`Shape::Attributes`] row.
    pub fn attributes(
        &self,
        row: &'static BeanRow,
        tags: &[(&str, &str)],
    ) -> Registered<Attributes> {
        let rows = match row.shape {
            Shape::Attributes(rows) => rows,
            _ => wrong(row, &[][..]),
        };
        let attributes = Attributes::new(self.0.clock.clone(), rows);
        self.insert(row, tags, Source::Attributes(attributes.clone()), attributes)
    }

    /// A native family; the same row gives the same family.
    pub fn family(&self, row: &'static FamilyRow) -> Family {
        self.0.families.family(row)
    }

    pub(crate) fn families(&self) -> &Families {
        &self.0.families
    }

    /// Ticks every meter that is due and lets rule sets take in new beans. Call it about once a
    /// second, away from the data path.
    pub fn tick(&self) {
        let now = self.0.clock.monotonic();
        self.tick_meters(now);
        let listeners = self.0.state.read().listeners.clone();
        for listener in listeners.iter().filter_map(Weak::upgrade) {
            listener.settle();
        }
    }

    fn tick_meters(&self, now: Duration) {
        self.0.meters.lock().retain(|meter| meter.tick(now));
    }

    /// Number of beans.
    pub fn len(&self) -> usize {
        self.0.state.read().beans.len()
    }

    /// True before the first bean.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Beans whose object name starts with `prefix`, in order of their names.
    pub fn beans(&self, prefix: &str) -> Vec<Arc<Bean>> {
        let state = self.0.state.read();
        state
            .beans
            .range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded))
            .map(|ByName(bean)| bean)
            .take_while(|bean| bean.name().as_str().starts_with(prefix))
            .cloned()
            .collect()
    }

    /// The bean of that object name.
    pub fn bean(&self, name: &str) -> Option<Arc<Bean>> {
        self.0.state.read().beans.get(name).map(|ByName(bean)| bean.clone())
    }

    /// The value of one attribute now; what tests and `/health` ask.
    pub fn read(&self, name: &str, attribute: &str) -> Option<Value> {
        let bean = self.bean(name)?;
        let at = bean.attributes().iter().position(|have| have.name == attribute)?;
        let mut values = Vec::new();
        bean.read(&mut crate::bean::Scratch::default(), &mut values);
        values.into_iter().nth(at)
    }

    /// Tells `listener` of every bean there is and of every change from now on.
    pub(crate) fn listen(&self, listener: &Arc<dyn Listener>) {
        let mut state = self.0.state.write();
        for ByName(bean) in &state.beans {
            listener.added(bean);
        }
        state.listeners.retain(|have| have.strong_count() > 0);
        state.listeners.push(Arc::downgrade(listener));
    }

    fn sweep(&self, meter: &Meter) {
        self.0.meters.lock().push(meter.downgrade());
    }

    fn insert<T>(
        &self,
        row: &'static BeanRow,
        tags: &[(&str, &str)],
        source: Source,
        handle: T,
    ) -> Registered<T> {
        let text = fill(row, tags);
        let name = match ObjectName::parse(&text) {
            Ok(name) => name,
            Err(error) => {
                tracing::error!(%error, "bean is not shown");
                return Registered::detached(handle);
            }
        };
        let mut state = self.0.state.write();
        state.next_id += 1;
        let id = state.next_id;
        let bean = Arc::new(Bean::new(id, name, row, source, &self.0.clock));
        self.0.counts.add(row, 1);
        if let Some(ByName(old)) = state.beans.replace(ByName(bean.clone())) {
            self.0.counts.add(old.row(), -1);
            state.tell(|listener| listener.removed(old.id));
        }
        state.tell(|listener| listener.added(&bean));
        drop(state);
        Registered { handle, _guard: Guard::Bean(Arc::downgrade(&self.0), bean) }
    }
}

#[cfg(test)]
impl Registry {
    /// The bean of a row, whatever its shape, and what keeps it.
    pub(crate) fn of_any_shape(
        &self,
        row: &'static BeanRow,
        tags: &[(&str, &str)],
    ) -> Box<dyn std::any::Any> {
        match row.shape {
            Shape::Meter { .. } => Box::new(self.meter(row, tags)),
            Shape::Histogram => Box::new(self.histogram(row, tags)),
            Shape::Timer { .. } => Box::new(self.timer(row, tags)),
            Shape::Gauge(ValueType::Text) => Box::new(self.text(row, tags, "t")),
            Shape::Gauge(_) => Box::new(self.gauge(row, tags)),
            Shape::Attributes(_) => Box::new(self.attributes(row, tags)),
        }
    }
}

impl State {
    fn tell(&self, tell: impl Fn(&dyn Listener)) {
        for listener in self.listeners.iter().filter_map(Weak::upgrade) {
            tell(&*listener);
        }
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Registry({} beans)", self.len())
    }
}

/// Removes the bean unless a newer one of that name has taken its place.
fn remove(registry: &Weak<Inner>, bean: &Bean) {
    let Some(inner) = registry.upgrade() else { return };
    let mut state = inner.state.write();
    let name = bean.name().as_str();
    if state.beans.get(name).is_some_and(|ByName(have)| have.id == bean.id) {
        state.beans.remove(name);
        inner.counts.add(bean.row(), -1);
        state.tell(|listener| listener.removed(bean.id));
    }
}

/// The template with its placeholders filled, values quoted as Kafka quotes them.
pub(crate) fn fill(row: &BeanRow, tags: &[(&str, &str)]) -> String {
    let mut tags = tags.iter();
    let mut text = String::with_capacity(row.template.len() + 16);
    let mut rest = row.template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let (placeholder, after) = after.split_once('}').unwrap_or((after, ""));
        let tag = tags.next();
        debug_assert_eq!(tag.map(|tag| tag.0), Some(placeholder), "tags of {}", row.template);
        push_tag_value(&mut text, tag.map(|tag| tag.1).unwrap_or_default());
        rest = after;
    }
    text.push_str(rest);
    debug_assert!(tags.next().is_none(), "too many tags for {}", row.template);
    text
}

fn gauge_type(row: &'static BeanRow) -> ValueType {
    match row.shape {
        Shape::Gauge(value_type) => value_type,
        _ => wrong(row, ValueType::Double),
    }
}

/// A row of another shape was registered: a mistake that tests see; in production the bean shows
/// what it can.
fn wrong<T>(row: &BeanRow, instead: T) -> T {
    debug_assert!(false, "{} has another shape", row.template);
    instead
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{broker_topics, network, node, sockets};

    fn registry() -> Registry {
        Registry::new(Clock::simulated(0).0)
    }

    #[test]
    fn a_bean_lives_as_long_as_its_handle() {
        let registry = registry();
        let tags = [("topic", "a/b")];
        let meter = registry.meter(&broker_topics::BYTES_IN_PER_SEC_BY_TOPIC, &tags);
        meter.mark(7);
        let name = "kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec,topic=\"a/b\"";
        assert_eq!(registry.read(name, "Count"), Some(Value::Long(7)));
        assert_eq!(registry.read(name, "RateUnit"), Some(Value::text("SECONDS")));
        let newer = registry.meter(&broker_topics::BYTES_IN_PER_SEC_BY_TOPIC, &tags);
        drop(meter);
        assert_eq!(registry.read(name, "Count"), Some(Value::Long(0)));
        drop(newer);
        assert!(registry.is_empty());
    }

    #[test]
    fn the_longest_names_that_clients_may_have_are_names_of_beans() {
        let registry = registry();
        let longest = "\"".repeat(32_767);
        let row = &sockets::SOCKET_SERVER_METRICS_BY_CLIENT_SOFTWARE_NAME_CLIENT_SOFTWARE_VERSION_LISTENER_NETWORK_PROCESSOR;
        let tags = [
            ("clientSoftwareName", longest.as_str()),
            ("clientSoftwareVersion", longest.as_str()),
            ("listener", "PLAINTEXT"),
            ("networkProcessor", "0"),
        ];
        let bean = registry.attributes(row, &tags);
        bean.gauge("connections").set(1.0);
        assert_eq!(registry.len(), 1);
    }

    #[test]
    fn attributes_read_sensors_gauges_and_texts() {
        let registry = registry();
        let tags = [("listener", "PLAINTEXT"), ("networkProcessor", "0")];
        let row = &sockets::SOCKET_SERVER_METRICS_BY_LISTENER_NETWORK_PROCESSOR;
        let socket = registry.attributes(row, &tags);
        socket.sensor("bytes-received").record(100.0);
        socket.gauge("connection-count").set(3.0);
        let name = "kafka.server:type=socket-server-metrics,listener=PLAINTEXT,networkProcessor=0";
        for (attribute, want) in [
            ("incoming-byte-total", Value::Double(100.0)),
            ("response-total", Value::Double(1.0)),
            ("connection-count", Value::Double(3.0)),
            ("request-total", Value::Double(0.0)),
        ] {
            assert_eq!(registry.read(name, attribute), Some(want), "{attribute}");
        }
        let info = registry.attributes(&node::APP_INFO, &[]);
        info.text("version").set("4.3.1");
        assert_eq!(
            registry.read("kafka.server:type=app-info", "version"),
            Some(Value::text("4.3.1"))
        );
    }

    #[test]
    fn every_row_can_be_registered_and_reads_every_attribute() {
        let registry = registry();
        for row in crate::catalog::rows_of_beans() {
            let tags: Vec<_> = row.tags().map(|tag| (tag, "x")).collect();
            let before = registry.len();
            let handle = registry.of_any_shape(row, &tags);
            assert_eq!(registry.len(), before + 1, "{}", row.template);
            let bean = registry.beans("").pop().unwrap();
            let mut values = Vec::new();
            bean.read(&mut crate::bean::Scratch::default(), &mut values);
            assert_eq!(values.len(), bean.attributes().len(), "{}", row.template);
            assert!(!row.meaning.is_empty() && !row.source.is_empty(), "{}", row.template);
            drop(handle);
        }
    }

    #[test]
    fn ticks_reach_every_live_meter() {
        let (clock, hand) = Clock::simulated(0);
        let registry = Registry::new(clock);
        let tags = [("request", "Produce"), ("version", "9")];
        let meter = registry.meter(&network::REQUEST_METRICS_REQUESTS_PER_SEC, &tags);
        meter.mark(50);
        hand.advance(Duration::from_secs(5));
        registry.tick();
        assert_eq!(meter.rates().one_minute, 10.0);
    }
}
