//! Names of OpenTelemetry as names of Prometheus, as OpenTelemetry itself translates them: words
//! of letters and digits joined by `_`, the unit at the end, then `_total` for what only grows and
//! `_ratio` for gauges without dimension.

/// Longest name that is translated.
const MAX_NAME: usize = 200;

/// Units that have a word (UCUM, to Prometheus' base names).
const UNITS: &[(&str, &str)] = &[
    ("ms", "milliseconds"),
    ("s", "seconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("min", "minutes"),
    ("h", "hours"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("%", "percent"),
];

/// The name of a family; `None` for names that are empty or too long.
pub(crate) fn translate(name: &str, unit: &str, counts: bool) -> Option<String> {
    if name.len() > MAX_NAME {
        return None;
    }
    let mut words: Vec<&str> =
        name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let first = words.first()?;
    let leading = if first.starts_with(|c: char| c.is_ascii_digit()) { "_" } else { "" };
    if let Some((_, unit)) = UNITS.iter().find(|(known, _)| *known == unit)
        && !words.contains(unit)
    {
        words.push(unit);
    }
    let suffix = match (counts, unit) {
        (true, _) => Some("total"),
        (false, "1") => Some("ratio"),
        (false, _) => None,
    };
    if let Some(suffix) = suffix {
        words.retain(|word| *word != suffix);
        words.push(suffix);
    }
    Some(format!("{leading}{}", words.join("_")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_opentelemetrys() {
        let cases = [
            (
                ("org.apache.kafka.producer.record.send.total", "", true),
                "org_apache_kafka_producer_record_send_total",
            ),
            (
                ("org.apache.kafka.consumer.poll.idle.ratio.avg", "", false),
                "org_apache_kafka_consumer_poll_idle_ratio_avg",
            ),
            (
                ("org.apache.kafka.producer.connection.creation.rate", "1", false),
                "org_apache_kafka_producer_connection_creation_rate_ratio",
            ),
            (
                ("org.apache.kafka.producer.node.request.latency.avg", "ms", false),
                "org_apache_kafka_producer_node_request_latency_avg_milliseconds",
            ),
            (("a.total.count", "1", true), "a_count_total"),
            (("a-b..c", "parsecs", false), "a_b_c"),
            (("9.a", "", false), "_9_a"),
        ];
        for ((name, unit, counts), expected) in cases {
            assert_eq!(translate(name, unit, counts).as_deref(), Some(expected));
        }
        assert_eq!(translate("...", "", false), None);
        assert_eq!(translate(&"a".repeat(MAX_NAME + 1), "", false), None);
    }
}
