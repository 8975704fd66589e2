//! The rows of the catalogue: what a bean is called, which attributes it has, in which order,
//! and what they mean.

use crate::value::ValueType;

/// One template of beans. Rows are statics of `catalog/`; registering one makes a bean.
#[derive(Debug)]
pub struct BeanRow {
    /// The object name with `{tag}` in place of values that the registering code supplies.
    pub template: &'static str,
    /// The instrument behind it, which fixes the attributes.
    pub shape: Shape,
    /// What the numbers count.
    pub unit: &'static str,
    /// What the bean tells.
    pub meaning: &'static str,
    /// The class of apache/kafka that registers the bean of this name.
    pub source: &'static str,
}

/// What stands behind a bean.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Yammer `Meter`: a count and its rates.
    Meter {
        /// What one event is called.
        event: &'static str,
        /// The unit that rates are per.
        rate_unit: RateUnit,
    },
    /// Yammer `Histogram`: count, extremes, mean and percentiles of whole numbers.
    Histogram,
    /// Yammer `Timer` in milliseconds: a meter of calls and a histogram of their durations.
    Timer {
        /// What one event is called.
        event: &'static str,
    },
    /// Yammer `Gauge`: one attribute `Value`.
    Gauge(ValueType),
    /// A bean of Kafka's own metrics library: any number of attributes.
    Attributes(&'static [AttributeRow]),
}

/// The unit of a meter's rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateUnit {
    /// Events per second.
    Seconds,
    /// Events per nanosecond: meters of idle time, whose events are nanoseconds.
    Nanoseconds,
}

/// One attribute of a [`Shape::Attributes`] bean.
#[derive(Debug)]
pub struct AttributeRow {
    /// The attribute's name.
    pub name: &'static str,
    /// Where its value comes from.
    pub from: Origin,
    /// What it tells; also its description in HELP lines.
    pub meaning: &'static str,
}

/// Where an attribute gets its value.
#[derive(Debug, Clone, Copy)]
pub enum Origin {
    /// A figure of the bean's sensor of that name.
    Sensor(&'static str, Stat),
    /// A gauge or callback that the registering code sets.
    Gauge(ValueType),
}

/// A figure of a sensor (`org.apache.kafka.common.metrics.stats`). Windowed ones cover the last
/// 30 to 60 seconds; without a value in them rates and histograms read 0 and the others NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stat {
    /// Sum of values per second (`Rate`).
    Rate,
    /// Number of values per second (`Rate` of a `WindowedCount`).
    CountRate,
    /// Sum of values, which are nanoseconds, over the nanoseconds that passed.
    Ratio,
    /// Sum of all values ever (`CumulativeSum`).
    Total,
    /// Number of values ever (`CumulativeCount`).
    Count,
    /// Mean of the window (`Avg`).
    Avg,
    /// Largest of the window (`Max`).
    Max,
    /// Smallest of the window (`Min`).
    Min,
    /// The value below which this share (0 to 1) of the window lies; within 1.6 %.
    Quantile(f64),
    /// As [`Stat::Max`], of a `KafkaMetricHistogram`: 0 without a value.
    HistogramMax,
    /// As [`Stat::Quantile`], of a `KafkaMetricHistogram`: 0 without a value.
    HistogramQuantile(f64),
}

impl Stat {
    /// What the figure is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rate => "Rate",
            Self::CountRate => "CountRate",
            Self::Ratio => "Ratio",
            Self::Total => "Total",
            Self::Count => "Count",
            Self::Avg => "Avg",
            Self::Max => "Max",
            Self::Min => "Min",
            Self::Quantile(_) => "Quantile",
            Self::HistogramMax => "HistogramMax",
            Self::HistogramQuantile(_) => "HistogramQuantile",
        }
    }

    /// Whether the sensor must keep its values by size.
    pub(crate) fn by_size(self) -> bool {
        matches!(self, Self::Quantile(_) | Self::HistogramQuantile(_))
    }
}

impl Origin {
    /// The figure of a sensor that it shows; empty for a gauge.
    pub fn figure(self) -> &'static str {
        match self {
            Self::Sensor(_, stat) => stat.name(),
            Self::Gauge(_) => "",
        }
    }
}

/// Descriptions that Yammer's beans carry (`JmxReporter` of metrics-core 2).
pub const YAMMER_DESCRIPTION: &str = "Attribute exposed for management";

/// Attributes of a meter, in the order of its MBeanInfo.
pub const METER_ATTRIBUTES: [(&str, ValueType); 7] = [
    ("EventType", ValueType::Text),
    ("Count", ValueType::Long),
    ("RateUnit", ValueType::TimeUnit),
    ("MeanRate", ValueType::Double),
    ("OneMinuteRate", ValueType::Double),
    ("FiveMinuteRate", ValueType::Double),
    ("FifteenMinuteRate", ValueType::Double),
];

/// Attributes of a histogram, in the order of its MBeanInfo.
pub const HISTOGRAM_ATTRIBUTES: [(&str, ValueType); 11] = [
    ("Count", ValueType::Long),
    ("Min", ValueType::Double),
    ("Max", ValueType::Double),
    ("50thPercentile", ValueType::Double),
    ("Mean", ValueType::Double),
    ("StdDev", ValueType::Double),
    ("75thPercentile", ValueType::Double),
    ("95thPercentile", ValueType::Double),
    ("98thPercentile", ValueType::Double),
    ("99thPercentile", ValueType::Double),
    ("999thPercentile", ValueType::Double),
];

/// Attributes of a timer, in the order of its MBeanInfo.
pub const TIMER_ATTRIBUTES: [(&str, ValueType); 18] = [
    ("LatencyUnit", ValueType::TimeUnit),
    ("EventType", ValueType::Text),
    ("Count", ValueType::Long),
    ("RateUnit", ValueType::TimeUnit),
    ("MeanRate", ValueType::Double),
    ("OneMinuteRate", ValueType::Double),
    ("FiveMinuteRate", ValueType::Double),
    ("FifteenMinuteRate", ValueType::Double),
    ("Min", ValueType::Double),
    ("Max", ValueType::Double),
    ("50thPercentile", ValueType::Double),
    ("Mean", ValueType::Double),
    ("StdDev", ValueType::Double),
    ("75thPercentile", ValueType::Double),
    ("95thPercentile", ValueType::Double),
    ("98thPercentile", ValueType::Double),
    ("99thPercentile", ValueType::Double),
    ("999thPercentile", ValueType::Double),
];

/// One attribute of a bean as MBeanInfo shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttributeInfo {
    /// The attribute's name.
    pub name: &'static str,
    /// Its type.
    pub value_type: ValueType,
    /// Its description in HELP lines.
    pub description: &'static str,
    /// What it tells.
    pub meaning: &'static str,
}

impl BeanRow {
    /// The attributes in MBeanInfo order.
    pub fn attributes(&self) -> Vec<AttributeInfo> {
        let yammer = |list: &[(&'static str, ValueType)]| {
            list.iter()
                .map(|&(name, value_type)| AttributeInfo {
                    name,
                    value_type,
                    description: YAMMER_DESCRIPTION,
                    meaning: self.meaning,
                })
                .collect()
        };
        match self.shape {
            Shape::Meter { .. } => yammer(&METER_ATTRIBUTES),
            Shape::Histogram => yammer(&HISTOGRAM_ATTRIBUTES),
            Shape::Timer { .. } => yammer(&TIMER_ATTRIBUTES),
            Shape::Gauge(value_type) => yammer(&[("Value", value_type)]),
            Shape::Attributes(rows) => rows
                .iter()
                .map(|row| AttributeInfo {
                    name: row.name,
                    value_type: match row.from {
                        Origin::Sensor(..) => ValueType::Double,
                        Origin::Gauge(value_type) => value_type,
                    },
                    description: row.meaning,
                    meaning: row.meaning,
                })
                .collect(),
        }
    }

    /// The tags that the template leaves open, in its order.
    pub fn tags(&self) -> impl Iterator<Item = &'static str> {
        self.template.split('{').skip(1).filter_map(|part| part.split('}').next())
    }
}
