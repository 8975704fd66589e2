//! Beans: an object name and the attributes that read its instruments.

use std::sync::{Arc, OnceLock};

use metrics::Gauge;
use pharos_base::Clock;

use crate::instruments::{GaugeCell, Histogram, Meter, Sensor, Snapshot, StartTime, Text, Timer};
use crate::object_name::ObjectName;
use crate::row::{AttributeInfo, AttributeRow, BeanRow, Origin, RateUnit, Shape, Stat};
use crate::value::{Value, ValueType};

/// A registered bean.
pub struct Bean {
    pub(crate) id: u64,
    name: ObjectName,
    row: &'static BeanRow,
    source: Source,
    registered: Option<StartTime>,
}

/// Buffers that one reader of many beans reuses.
#[derive(Debug, Default)]
pub struct Scratch {
    numbers: Vec<i64>,
}

/// A callback that a gauge reads.
pub type Callback = Box<dyn Fn() -> Value + Send + Sync>;

/// What a bean reads.
pub(crate) enum Source {
    Meter(Meter),
    Histogram(Histogram),
    Timer(Timer),
    Gauge(Arc<GaugeCell>, ValueType),
    Text(Text),
    Callback(Callback),
    Attributes(Attributes),
}

impl Bean {
    /// A bean whose instruments are new.
    pub(crate) fn new(
        id: u64,
        name: ObjectName,
        row: &'static BeanRow,
        source: Source,
        clock: &Clock,
    ) -> Self {
        Self { id, name, row, source, registered: StartTime::now(clock) }
    }

    /// Its object name.
    pub fn name(&self) -> &ObjectName {
        &self.name
    }

    /// The catalogue's row.
    pub fn row(&self) -> &'static BeanRow {
        self.row
    }

    /// Its attributes in MBeanInfo order.
    pub fn attributes(&self) -> Vec<AttributeInfo> {
        self.row.attributes()
    }

    /// Since when the attribute `at` counts: of an instrument, since the bean was registered; what a
    /// callback or a gauge tells may have begun at any time.
    pub(crate) fn started(&self, at: usize) -> Option<StartTime> {
        let counts = match &self.source {
            Source::Meter(_) | Source::Histogram(_) | Source::Timer(_) => true,
            Source::Attributes(attributes) => attributes.is_of_sensor(at),
            Source::Gauge(..) | Source::Text(_) | Source::Callback(_) => false,
        };
        self.registered.filter(|_| counts)
    }

    /// Appends the value of every attribute, in order.
    pub fn read(&self, scratch: &mut Scratch, out: &mut Vec<Value>) {
        match &self.source {
            Source::Meter(meter) => {
                let (event, unit) = match self.row.shape {
                    Shape::Meter { event, rate_unit } => (event, rate_unit),
                    _ => ("events", RateUnit::Seconds),
                };
                out.push(constant(event));
                push_meter(out, meter, unit);
            }
            Source::Histogram(histogram) => {
                let seen = histogram.snapshot(&mut scratch.numbers);
                out.push(Value::Long(i64::try_from(seen.count).unwrap_or(i64::MAX)));
                push_spread(out, &seen);
            }
            Source::Timer(timer) => {
                let event = match self.row.shape {
                    Shape::Timer { event } => event,
                    _ => "calls",
                };
                out.push(constant("MILLISECONDS"));
                out.push(constant(event));
                push_meter(out, timer.meter(), RateUnit::Seconds);
                push_spread(out, &timer.snapshot_ms(&mut scratch.numbers));
            }
            Source::Gauge(cell, value_type) => out.push(value_type.of(cell.get())),
            Source::Text(text) => out.push(Value::Text(text.get())),
            Source::Callback(callback) => out.push(callback()),
            Source::Attributes(attributes) => attributes.read(out),
        }
    }
}

/// A bean in the order of object names.
#[derive(Debug)]
pub(crate) struct ByName(pub(crate) Arc<Bean>);

impl std::borrow::Borrow<str> for ByName {
    fn borrow(&self) -> &str {
        self.0.name.as_str()
    }
}

impl Ord for ByName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.name.as_str().cmp(other.0.name.as_str())
    }
}

impl PartialOrd for ByName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByName {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for ByName {}

impl std::fmt::Debug for Bean {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bean({})", self.name)
    }
}

/// The text values that beans repeat; each is allocated once for the process.
fn constant(text: &'static str) -> Value {
    static KNOWN: OnceLock<parking_lot::RwLock<Vec<Arc<str>>>> = OnceLock::new();
    let known = KNOWN.get_or_init(Default::default);
    let find = |known: &[Arc<str>]| known.iter().find(|have| &***have == text).cloned();
    if let Some(have) = find(&known.read()) {
        return Value::Text(have);
    }
    let mut known = known.write();
    // Another thread may have come first.
    let text = find(&known).unwrap_or_else(|| {
        let new: Arc<str> = Arc::from(text);
        known.push(new.clone());
        new
    });
    Value::Text(text)
}

fn push_meter(out: &mut Vec<Value>, meter: &Meter, unit: RateUnit) {
    let rates = meter.rates();
    let (name, scale) = match unit {
        RateUnit::Seconds => ("SECONDS", 1.0),
        RateUnit::Nanoseconds => ("NANOSECONDS", 1e-9),
    };
    out.push(Value::Long(i64::try_from(meter.count()).unwrap_or(i64::MAX)));
    out.push(constant(name));
    for rate in [rates.mean, rates.one_minute, rates.five_minutes, rates.fifteen_minutes] {
        out.push(Value::Double(rate * scale));
    }
}

fn push_spread(out: &mut Vec<Value>, seen: &Snapshot) {
    let [p50, p75, p95, p98, p99, p999] = seen.percentiles;
    for value in [seen.min, seen.max, p50, seen.mean, seen.std_dev, p75, p95, p98, p99, p999] {
        out.push(Value::Double(value));
    }
}

/// The cells of a bean of Kafka's own metrics library.
#[derive(Clone)]
pub struct Attributes(Arc<Cells>);

struct Cells {
    rows: &'static [AttributeRow],
    sensors: Vec<(&'static str, Sensor)>,
    /// One per row.
    values: Vec<Cell>,
    clock: Clock,
}

enum Cell {
    Sensor(usize, Stat),
    Number(Arc<GaugeCell>, ValueType, OnceLock<Callback>),
    Text(Text, OnceLock<Callback>),
}

impl Attributes {
    pub(crate) fn new(clock: Clock, rows: &'static [AttributeRow]) -> Self {
        let mut sensors: Vec<(&'static str, Sensor)> = Vec::new();
        let mut values = Vec::with_capacity(rows.len());
        for row in rows {
            values.push(match row.from {
                Origin::Sensor(name, stat) => {
                    let at = sensors.iter().position(|(have, _)| *have == name);
                    Cell::Sensor(
                        at.unwrap_or_else(|| {
                            let quantiles = needs_quantiles(rows, name);
                            sensors.push((name, Sensor::new(clock.clone(), quantiles)));
                            sensors.len() - 1
                        }),
                        stat,
                    )
                }
                Origin::Gauge(ValueType::Text | ValueType::TimeUnit) => {
                    Cell::Text(Text::new(""), OnceLock::new())
                }
                Origin::Gauge(value_type) => {
                    Cell::Number(GaugeCell::new(0.0), value_type, OnceLock::new())
                }
            });
        }
        Self(Arc::new(Cells { rows, sensors, values, clock }))
    }

    /// The sensor of that name. A name that the row does not have gives a sensor that no
    /// attribute shows.
    pub fn sensor(&self, name: &str) -> Sensor {
        let found = self.0.sensors.iter().find(|(have, _)| *have == name);
        debug_assert!(found.is_some(), "no sensor {name}");
        found.map_or_else(|| Sensor::new(self.0.clock.clone(), false), |(_, have)| have.clone())
    }

    /// The gauge of that attribute; a handle without effect when there is none.
    pub fn gauge(&self, attribute: &str) -> Gauge {
        match self.cell(attribute) {
            Some(Cell::Number(cell, ..)) => cell.handle(),
            _ => Gauge::noop(),
        }
    }

    /// The text of that attribute; a handle without effect when there is none.
    pub fn text(&self, attribute: &str) -> Text {
        match self.cell(attribute) {
            Some(Cell::Text(text, _)) => text.clone(),
            _ => Text::new(""),
        }
    }

    /// Lets an attribute read `callback` from now on; the first one given stays.
    pub fn callback(&self, attribute: &str, callback: impl Fn() -> Value + Send + Sync + 'static) {
        if let Some(Cell::Number(_, _, slot) | Cell::Text(_, slot)) = self.cell(attribute) {
            let _first_stays = slot.set(Box::new(callback));
        }
    }

    fn cell(&self, attribute: &str) -> Option<&Cell> {
        let at = self.0.rows.iter().position(|row| row.name == attribute);
        debug_assert!(at.is_some(), "no attribute {attribute}");
        self.0.values.get(at?)
    }

    fn is_of_sensor(&self, at: usize) -> bool {
        matches!(self.0.values.get(at), Some(Cell::Sensor(..)))
    }

    fn read(&self, out: &mut Vec<Value>) {
        for cell in &self.0.values {
            out.push(match cell {
                Cell::Sensor(at, stat) => {
                    let sensor = self.0.sensors.get(*at);
                    sensor.map_or(Value::Null, |(_, sensor)| Value::Double(sensor.figure(*stat)))
                }
                Cell::Number(cell, value_type, callback) => {
                    callback.get().map_or_else(|| value_type.of(cell.get()), |read| read())
                }
                Cell::Text(text, callback) => {
                    callback.get().map_or_else(|| Value::Text(text.get()), |read| read())
                }
            });
        }
    }
}

impl std::fmt::Debug for Attributes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Attributes({})", self.0.rows.len())
    }
}

fn needs_quantiles(rows: &[AttributeRow], sensor: &str) -> bool {
    let of = |row: &AttributeRow| matches!(row.from, Origin::Sensor(name, stat) if name == sensor && stat.by_size());
    rows.iter().any(of)
}
