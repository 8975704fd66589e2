//! Reads OpenTelemetry's MetricsData (opentelemetry/proto/metrics/v1/metrics.proto) in place.
//!
//! Clients send it and nobody vouches for them: so nothing is built from it, and its figures are
//! handed on as they are met. Histograms and summaries, which no client sends, are passed over.

use prost::DecodeError;
use prost::encoding::{WireType, decode_key, decode_varint};

/// One figure of a push.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample<'a> {
    /// Name with dots, as `org.apache.kafka.consumer.fetch.manager.fetch.rate`.
    pub(crate) name: &'a str,
    /// Unit in UCUM; may be empty.
    pub(crate) unit: &'a str,
    /// What the number means.
    pub(crate) kind: Kind,
    /// The number.
    pub(crate) value: f64,
    /// `group_id` among the attributes of the client; may be empty.
    pub(crate) group: &'a str,
}

/// What a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The present value.
    Gauge,
    /// What a sum has grown by since the last push.
    Delta,
    /// A sum since the client's start.
    Cumulative,
}

/// Why bytes are no MetricsData.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OtlpError {
    /// The frame of a field is broken.
    #[error("malformed protobuf")]
    Malformed(#[from] DecodeError),
    /// A field reaches beyond the bytes.
    #[error("a field of {0} bytes is cut off")]
    Truncated(u64),
    /// A name is not UTF-8.
    #[error("a text is not UTF-8")]
    Text(#[from] std::str::Utf8Error),
    /// Groups are no part of this format.
    #[error("a field has the wire type {0:?}")]
    WireType(WireType),
}

/// AggregationTemporality.DELTA
const DELTA: u64 = 1;

/// A field's value.
#[derive(Clone, Copy)]
enum Field<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Fixed32,
    Bytes(&'a [u8]),
}

/// The fields of one message.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, len: u64) -> Result<&'a [u8], OtlpError> {
        let split = usize::try_from(len).ok().and_then(|len| self.0.split_at_checked(len));
        let (taken, rest) = split.ok_or(OtlpError::Truncated(len))?;
        self.0 = rest;
        Ok(taken)
    }

    fn read(&mut self) -> Result<(u32, Field<'a>), OtlpError> {
        let (tag, wire_type) = decode_key(&mut self.0)?;
        let field = match wire_type {
            WireType::Varint => Field::Varint(decode_varint(&mut self.0)?),
            WireType::SixtyFourBit => Field::Fixed64(self.take(8)?.try_into().unwrap_or_default()),
            WireType::ThirtyTwoBit => {
                self.take(4)?;
                Field::Fixed32
            }
            WireType::LengthDelimited => {
                let len = decode_varint(&mut self.0)?;
                Field::Bytes(self.take(len)?)
            }
            group => return Err(OtlpError::WireType(group)),
        };
        Ok((tag, field))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Field<'a>), OtlpError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_err() {
            self.0 = &[];
        }
        Some(read)
    }
}

/// Calls `each` for every figure of a MetricsData.
///
/// # Errors
/// [`OtlpError`] at the first field that breaks the format; figures before it were handed on.
pub(crate) fn samples<'a>(
    metrics_data: &'a [u8],
    each: &mut impl FnMut(Sample<'a>),
) -> Result<(), OtlpError> {
    for field in Fields(metrics_data) {
        if let (1, Field::Bytes(resource_metrics)) = field? {
            of_resource(resource_metrics, each)?;
        }
    }
    Ok(())
}

fn of_resource<'a>(
    resource_metrics: &'a [u8],
    each: &mut impl FnMut(Sample<'a>),
) -> Result<(), OtlpError> {
    let mut group = "";
    // The resource may follow its metrics.
    for field in Fields(resource_metrics) {
        if let (1, Field::Bytes(resource)) = field? {
            group = group_of(resource)?.unwrap_or(group);
        }
    }
    for field in Fields(resource_metrics) {
        let (2, Field::Bytes(scope_metrics)) = field? else { continue };
        for field in Fields(scope_metrics) {
            if let (2, Field::Bytes(metric)) = field? {
                of_metric(metric, group, each)?;
            }
        }
    }
    Ok(())
}

/// The text of the attribute `group_id`.
fn group_of(resource: &[u8]) -> Result<Option<&str>, OtlpError> {
    for field in Fields(resource) {
        let (1, Field::Bytes(attribute)) = field? else { continue };
        let (mut key, mut value) = (&[][..], None);
        for field in Fields(attribute) {
            match field? {
                (1, Field::Bytes(text)) => key = text,
                (2, Field::Bytes(any)) => value = Some(any),
                _ => {}
            }
        }
        if key != b"group_id" {
            continue;
        }
        for field in Fields(value.unwrap_or_default()) {
            if let (1, Field::Bytes(text)) = field? {
                return Ok(Some(std::str::from_utf8(text)?));
            }
        }
    }
    Ok(None)
}

fn of_metric<'a>(
    metric: &'a [u8],
    group: &'a str,
    each: &mut impl FnMut(Sample<'a>),
) -> Result<(), OtlpError> {
    let (mut name, mut unit, mut data) = ("", "", None);
    for field in Fields(metric) {
        match field? {
            (1, Field::Bytes(text)) => name = std::str::from_utf8(text)?,
            (3, Field::Bytes(text)) => unit = std::str::from_utf8(text)?,
            (5, Field::Bytes(gauge)) => data = Some((Kind::Gauge, gauge)),
            (7, Field::Bytes(sum)) => data = Some((kind_of_sum(sum)?, sum)),
            _ => {}
        }
    }
    let Some((kind, points)) = data else { return Ok(()) };
    for field in Fields(points) {
        let (1, Field::Bytes(point)) = field? else { continue };
        if let Some(value) = value_of(point)? {
            each(Sample { name, unit, kind, value, group });
        }
    }
    Ok(())
}

/// A sum that may fall is shown like a gauge.
fn kind_of_sum(sum: &[u8]) -> Result<Kind, OtlpError> {
    let (mut temporality, mut monotonic) = (0, false);
    for field in Fields(sum) {
        match field? {
            (2, Field::Varint(value)) => temporality = value,
            (3, Field::Varint(value)) => monotonic = value != 0,
            _ => {}
        }
    }
    Ok(match (monotonic, temporality) {
        (false, _) => Kind::Gauge,
        (true, DELTA) => Kind::Delta,
        (true, _) => Kind::Cumulative,
    })
}

fn value_of(number_data_point: &[u8]) -> Result<Option<f64>, OtlpError> {
    let mut value = None;
    for field in Fields(number_data_point) {
        match field? {
            (4, Field::Fixed64(bytes)) => value = Some(f64::from_le_bytes(bytes)),
            (6, Field::Fixed64(bytes)) => value = Some(i64::from_le_bytes(bytes) as f64),
            (_, Field::Fixed32 | Field::Fixed64(_) | Field::Varint(_) | Field::Bytes(_)) => {}
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::testing::{delta, gauge, push_of};
    use prost::Message;

    fn read(bytes: &[u8]) -> Result<Vec<Sample<'_>>, OtlpError> {
        let mut found = Vec::new();
        samples(bytes, &mut |sample| found.push(sample)).map(|()| found)
    }

    #[test]
    fn what_opentelemetry_writes_is_read() {
        let push =
            push_of("g1", vec![gauge("org.apache.kafka.a.rate", 1.5), delta("b.total", 3.0)]);
        let bytes = push.encode_to_vec();
        let found = read(&bytes).unwrap();
        let expected =
            [("org.apache.kafka.a.rate", Kind::Gauge, 1.5), ("b.total", Kind::Delta, 3.0)];
        for (sample, (name, kind, value)) in found.iter().zip(expected) {
            assert_eq!(*sample, Sample { name, unit: "", kind, value, group: "g1" });
        }
        assert_eq!(found.len(), 2);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }

        #[test]
        fn a_cut_push_is_read_or_refused(at in 0usize..200) {
            let push = push_of("g", vec![gauge("a", 1.0), delta("b", 2.0)]).encode_to_vec();
            let _ = read(&push[..at.min(push.len())]);
        }
    }
}
