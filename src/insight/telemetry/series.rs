//! What clients pushed, as families of the names that OpenTelemetry gives them.
//!
//! One counter per label set takes in the growth that all instances tell, so that it never falls
//! when one leaves; a gauge shows the largest of the live instances. A series leaves three push
//! intervals after its last push.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use pharos_base::TopicId;
use pharos_metrics::{
    Counter, Family, FamilyKind, FamilyRow, Gauge, MAX_LABEL_VALUE, OTHER, Owner, Registered,
    Registry,
};

use super::name::translate;
use super::otlp::{Kind, Sample};

/// What Kafka's clients push; other names are not shown.
const PREFIX: &str = "org.apache.kafka.";
/// Families of pushed names in one process.
const MAX_FAMILIES: usize = 512;
/// Series of one family before folding.
const MAX_SERIES_PER_FAMILY: usize = 2_000;
/// Series of all families; what comes beyond goes into one of its family.
const MAX_SERIES: usize = 50_000;
/// Values of gauges and cumulative sums that are remembered, over all series and instances.
const MAX_VALUES: usize = 200_000;
/// Push intervals after which a series leaves.
const EXPIRY_INTERVALS: i64 = 3;

/// The series of all clients.
#[derive(Debug)]
pub(crate) struct ClientSeries {
    registry: Registry,
    families: HashMap<&'static str, (Family, HashMap<Labels, Point>)>,
    series: usize,
    values: usize,
}

/// Client id and group.
type Labels = (Arc<str>, Arc<str>);

#[derive(Debug)]
struct Point {
    series: Series,
    values: HashMap<TopicId, Value>,
    expires_ms: i64,
}

#[derive(Debug)]
enum Series {
    Gauge(Registered<Gauge>),
    /// With the part of a whole number that is not counted yet.
    Counter(Registered<Counter>, f64),
}

#[derive(Clone, Copy, Debug)]
struct Value {
    number: f64,
    expires_ms: i64,
}

/// Who pushed, and until when that holds.
#[derive(Clone, Debug)]
pub(crate) struct Pusher {
    pub(crate) instance: TopicId,
    pub(crate) client_id: Arc<str>,
    pub(crate) now_ms: i64,
    pub(crate) interval_ms: i32,
}

impl ClientSeries {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self { registry: registry.clone(), families: HashMap::new(), series: 0, values: 0 }
    }

    /// Takes in one figure.
    pub(crate) fn take(&mut self, pusher: &Pusher, sample: &Sample<'_>) {
        if !sample.name.starts_with(PREFIX) || !sample.value.is_finite() {
            return;
        }
        let counts = sample.kind != Kind::Gauge;
        let Some(name) = translate(sample.name, sample.unit, counts) else { return };
        let Some(row) = row(name, counts) else { return };
        let registry = &self.registry;
        let (family, points) =
            self.families.entry(row.name).or_insert_with(|| (registry.family(row), HashMap::new()));
        let mut labels = (pusher.client_id.clone(), Arc::from(label(sample.group)));
        if !points.contains_key(&labels) {
            if self.series >= MAX_SERIES {
                labels = (OTHER.into(), OTHER.into());
            }
            self.series += usize::from(!points.contains_key(&labels));
        }
        let expiry_ms = i64::from(pusher.interval_ms) * EXPIRY_INTERVALS;
        let expires_ms = pusher.now_ms.saturating_add(expiry_ms);
        let point = points.entry(labels).or_insert_with_key(|(client_id, group)| {
            let labels: [&str; 2] = [client_id, group];
            let series = match counts {
                true => Series::Counter(family.counter(&labels), 0.0),
                false => Series::Gauge(family.gauge(&labels)),
            };
            Point { series, values: HashMap::new(), expires_ms }
        });
        point.expires_ms = point.expires_ms.max(expires_ms);
        let known = point.values.get(&pusher.instance).map(|value| value.number);
        if sample.kind != Kind::Delta {
            if known.is_none() && self.values >= MAX_VALUES {
                return;
            }
            self.values += usize::from(known.is_none());
            point.values.insert(pusher.instance, Value { number: sample.value, expires_ms });
        }
        match sample.kind {
            Kind::Gauge => point.show(),
            Kind::Delta => point.grow(sample.value),
            // A sum that fell began anew.
            Kind::Cumulative => match known {
                Some(known) if known <= sample.value => point.grow(sample.value - known),
                _ => point.grow(sample.value),
            },
        }
    }

    /// Lets go of what was not pushed for too long.
    pub(crate) fn expire(&mut self, now_ms: i64) {
        let (mut series, mut values) = (0, 0);
        self.families.retain(|_, (_, points)| {
            points.retain(|_, point| {
                let before = point.values.len();
                point.values.retain(|_, value| value.expires_ms > now_ms);
                if point.values.len() < before {
                    point.show();
                }
                let stays = point.expires_ms > now_ms;
                values += if stays { point.values.len() } else { 0 };
                stays
            });
            series += points.len();
            !points.is_empty()
        });
        self.series = series;
        self.values = values;
    }
}

/// A client's own words as a label value; nobody's honest name is longer than the limit.
pub(crate) fn label(text: &str) -> &str {
    if text.len() <= MAX_LABEL_VALUE { text } else { OTHER }
}

impl Point {
    /// The largest value of live instances.
    fn show(&self) {
        let Series::Gauge(gauge) = &self.series else { return };
        let largest = self.values.values().map(|value| value.number).reduce(f64::max);
        if let Some(largest) = largest {
            gauge.set(largest);
        }
    }

    fn grow(&mut self, by: f64) {
        let Series::Counter(counter, rest) = &mut self.series else { return };
        *rest += by.max(0.0);
        let whole = rest.trunc();
        // A number beyond u64 saturates.
        counter.increment(whole as u64);
        *rest -= whole;
    }
}

/// The row of a pushed name, made once for the process; `None` when there are too many names, or
/// the name stands for the other kind already.
pub(super) fn row(name: String, counts: bool) -> Option<&'static FamilyRow> {
    static ROWS: OnceLock<Mutex<BTreeMap<&'static str, &'static FamilyRow>>> = OnceLock::new();
    let kind = if counts { FamilyKind::Counter } else { FamilyKind::Gauge };
    let mut rows = ROWS.get_or_init(Mutex::default).lock();
    if let Some(row) = rows.get(name.as_str()) {
        return (row.kind == kind).then_some(row);
    }
    if rows.len() >= MAX_FAMILIES {
        return None;
    }
    // Families live as long as the process, as those of the catalogue do.
    let name: &'static str = name.leak();
    let row: &'static FamilyRow = Box::leak(Box::new(FamilyRow {
        name,
        kind,
        labels: &["client_id", "consumergroup"],
        unit: "as pushed",
        owner: Owner::Node,
        limit: MAX_SERIES_PER_FAMILY,
        meaning: "Pushed by clients (KIP-714).",
    }));
    rows.insert(name, row);
    Some(row)
}
