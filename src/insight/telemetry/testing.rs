//! Pushes as OpenTelemetry's own crate writes them.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, MetricsData, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

fn point(value: f64) -> NumberDataPoint {
    NumberDataPoint {
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

fn metric(name: &str, data: metric::Data) -> Metric {
    Metric { name: name.to_owned(), data: Some(data), ..Metric::default() }
}

pub(crate) fn gauge(name: &str, value: f64) -> Metric {
    metric(name, metric::Data::Gauge(Gauge { data_points: vec![point(value)] }))
}

pub(crate) fn delta(name: &str, value: f64) -> Metric {
    sum(name, value, 1)
}

pub(crate) fn cumulative(name: &str, value: f64) -> Metric {
    sum(name, value, 2)
}

fn sum(name: &str, value: f64, aggregation_temporality: i32) -> Metric {
    let sum = Sum { data_points: vec![point(value)], aggregation_temporality, is_monotonic: true };
    metric(name, metric::Data::Sum(sum))
}

pub(crate) fn push_of(group: &str, metrics: Vec<Metric>) -> MetricsData {
    let value = any_value::Value::StringValue(group.to_owned());
    let attribute = KeyValue {
        key: "group_id".to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    };
    let resource = Resource { attributes: vec![attribute], ..Resource::default() };
    let scope = ScopeMetrics { metrics, ..ScopeMetrics::default() };
    let of_resource = ResourceMetrics {
        resource: Some(resource),
        scope_metrics: vec![scope],
        ..ResourceMetrics::default()
    };
    MetricsData { resource_metrics: vec![of_resource] }
}
