//! DescribeConfigs and IncrementalAlterConfigs against what Apache Kafka 4.3.1 answered.

use std::collections::BTreeMap;

use crate::*;

const DESCRIBED: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/configs/describe.tsv"));
const ALTERED: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/configs/alter.tsv"));

/// Keys of a broker that are described otherwise on purpose.
const DIFFERENT: &[(&str, &str)] = &[
    ("min.insync.replicas", "Kafka gives it a dynamic default for eligible leader replicas"),
    ("sasl.enabled.mechanisms", "its value was refused here"),
    ("ssl.keystore.password", "its value was refused here"),
    ("log.retention.hours", "Kafka falls back to the default once milliseconds are dynamic"),
    ("nonsense", "unknown keys are refused here"),
    ("nonsense.two", "unknown keys are refused here"),
    ("leader.replication.throttled.rate", "throttles are refused here"),
    ("leader.replication.throttled.replicas", "throttles are refused here"),
    ("local.retention.bytes", "remote storage is refused here"),
    ("local.retention.ms", "remote storage is refused here"),
    ("remote.log.copy.disable", "remote storage is refused here"),
];

/// Alterations that Kafka accepts and we refuse, since they ask for something absent.
const REFUSED_HERE: &[&str] = &[
    "SET:local.retention.ms=10",
    "SET:local.retention.ms=604800001",
    "SET:local.retention.bytes=5",
    "SET:remote.log.copy.disable=true",
    "SET:leader.replication.throttled.replicas=*",
    "SET:leader.replication.throttled.replicas=0:1",
    "SET:cordoned.log.dirs=*",
    "SET:nonsense=1",
    "SET:nonsense.two=5",
    "SET:leader.replication.throttled.rate=1000",
];

fn lines(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect())
}

/// The node that was asked: the referee's own properties and the values in the golden's head.
fn broker() -> BrokerConfig {
    let given = lines_of("fresh")
        .filter(|line| line[0] == "broker-fresh" && line[3] == "STATIC_BROKER_CONFIG")
        .filter(|line| line[1] != "node.rack.unknown" && !is_different(line[1]))
        .map(|line| (line[1], line[2]));
    let text: String = given.map(|(key, value)| format!("{key}={value}\n")).collect();
    let text = text + "node.rack.unknown=zz\nlog.retention.hours=100\n";
    BrokerConfig::load(Sources::new(Mode::Server).text("golden", &text)).unwrap().0
}

fn lines_of(state: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    lines(DESCRIBED).filter(move |line| line[0].ends_with(state))
}

fn is_different(key: &str) -> bool {
    DIFFERENT.iter().any(|(different, _)| *different == key)
}

fn source_name(source: ConfigSource) -> &'static str {
    match source {
        ConfigSource::Topic => "DYNAMIC_TOPIC_CONFIG",
        ConfigSource::DynamicBroker => "DYNAMIC_BROKER_CONFIG",
        ConfigSource::DynamicDefaultBroker => "DYNAMIC_DEFAULT_BROKER_CONFIG",
        ConfigSource::StaticBroker => "STATIC_BROKER_CONFIG",
        ConfigSource::Default => "DEFAULT_CONFIG",
        ConfigSource::ClientMetrics => "DYNAMIC_CLIENT_METRICS_CONFIG",
        ConfigSource::Group => "DYNAMIC_GROUP_CONFIG",
    }
}

fn text(described: &Described) -> String {
    let null = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_owned());
    let synonyms: Vec<_> = described
        .synonyms
        .iter()
        .map(|s| format!("{}:{}={}", source_name(s.source), s.name, null(&s.value)))
        .collect();
    [
        described.name.clone(),
        null(&described.value),
        source_name(described.source).to_owned(),
        described.sensitive.to_string(),
        described.read_only.to_string(),
        described.kind.map_or("UNKNOWN".to_owned(), |kind| kind.name().to_uppercase()),
        synonyms.join(" "),
    ]
    .join("\t")
}

fn compare(state: &'static str, described: &[Described]) {
    let ours: Vec<_> = described
        .iter()
        .filter(|d| !is_different(&d.name))
        .filter(|d| !rows::broker_row(&d.name).is_some_and(rows::is_own))
        .map(text)
        .collect();
    let kafkas: Vec<_> = lines_of(state)
        .filter(|line| line[0] == state && !is_different(line[1]))
        .map(|line| line[1..].join("\t"))
        .collect();
    for (kafka, our) in kafkas.iter().zip(&ours) {
        assert_eq!(our, kafka, "{state}");
    }
    assert_eq!(ours.len(), kafkas.len(), "{state}");
}

#[test]
fn a_fresh_node_describes_itself_as_kafka_does() {
    let broker = broker();
    let none = Overrides::new();
    compare("broker-fresh", &broker.describe_broker());
    compare("topic-fresh", &broker.describe(Resource::Topic, &none));
    compare("group-fresh", &broker.describe(Resource::Group, &none));
    compare("cm-fresh", &broker.describe(Resource::ClientMetrics, &none));
    assert_eq!(broker.describe_cluster(), []);
}

fn change(text: &str) -> Change {
    let (operation, pair) = text.split_once(':').unwrap();
    let (name, value) = pair.split_once('=').unwrap();
    let operation = match operation {
        "SET" => Operation::Set,
        "DELETE" => Operation::Delete,
        "APPEND" => Operation::Append,
        "SUBTRACT" => Operation::Subtract,
        other => panic!("{other}"),
    };
    let value = Some(value.to_owned()).filter(|value| value != "<null>");
    Change { name: name.to_owned(), operation, value }
}

#[test]
fn alterations_are_accepted_and_refused_as_by_kafka() {
    let mut broker = broker();
    let mut states: BTreeMap<(&str, &str), Overrides> = BTreeMap::new();
    for line in lines(ALTERED) {
        let [resource, name, operations, expected] = line[..] else { panic!("{line:?}") };
        let target = match (resource, name) {
            ("TOPIC", "t") => Target::Of(Resource::Topic),
            ("GROUP", "g") => Target::Of(Resource::Group),
            ("CLIENT_METRICS", "m" | "m2") => Target::Of(Resource::ClientMetrics),
            ("BROKER", "1") => Target::Broker,
            ("BROKER", "") => Target::Cluster,
            _ => continue, // names are checked by those who own them
        };
        if operations.contains("min.insync.replicas=2") || operations.starts_with("DELETE:min.") {
            continue; // eligible leader replicas
        }
        let changes: Vec<_> = operations.split(" ; ").map(change).collect();
        let current = states.entry((resource, name)).or_default();
        let outcome = target.alter(current, &changes, &broker);
        let class = match &outcome {
            Ok(_) => "ok",
            Err(Refusal::InvalidConfig(_)) => "InvalidConfigurationException",
            Err(Refusal::InvalidRequest(_)) => "InvalidRequestException",
        };
        if REFUSED_HERE.contains(&operations) {
            assert!(outcome.is_err(), "{operations}");
        } else {
            assert_eq!(class, expected, "{resource} {name} {operations}: {outcome:?}");
        }
        if let Ok(altered) = outcome {
            *current = altered.overrides;
        }
        let of = |name| states.get(&("BROKER", name)).cloned().unwrap_or_default();
        broker = broker.with_dynamic(of(""), of("1"));
    }
    let of = |resource, name| states.get(&(resource, name)).cloned().unwrap_or_default();
    compare("broker-after", &broker.describe_broker());
    compare("cluster-after", &broker.describe_cluster());
    compare("topic-after", &broker.describe(Resource::Topic, &of("TOPIC", "t")));
    compare("group-after", &broker.describe(Resource::Group, &of("GROUP", "g")));
    compare("cm-after", &broker.describe(Resource::ClientMetrics, &of("CLIENT_METRICS", "m")));
}

#[test]
fn an_alteration_names_what_changed() {
    let broker = broker();
    let current = Overrides::from([
        ("retention.ms".to_owned(), "1".to_owned()),
        ("flush.ms".to_owned(), "2".to_owned()),
    ]);
    let topic = Target::Of(Resource::Topic);
    let changes =
        ["SET:retention.ms=1", "DELETE:flush.ms=", "APPEND:cleanup.policy=compact"].map(change);
    let altered = topic.alter(&current, &changes, &broker).unwrap();
    let expected = [
        ("cleanup.policy".to_owned(), Some("delete,compact".to_owned())),
        ("flush.ms".to_owned(), None),
    ];
    assert_eq!(altered.changes, expected);
    let replaced =
        topic.replace(&current, &[("flush.ms".to_owned(), Some("3".to_owned()))], &broker).unwrap();
    let expected =
        [("flush.ms".to_owned(), Some("3".to_owned())), ("retention.ms".to_owned(), None)];
    assert_eq!(replaced.changes, expected);
}

#[test]
fn a_new_topics_values_are_checked() {
    let broker = broker();
    let entry = |key: &str, value: Option<&str>| (key.to_owned(), value.map(str::to_owned));
    let create = |entries: &[_]| Target::create_topic(entries, &broker);
    assert!(create(&[entry("retention.ms", Some("5"))]).is_ok());
    for (bad, words) in [
        (entry("retention.ms", None), "Null value not supported for topic configs: retention.ms"),
        (entry("nonsense", Some("1")), "Unknown topic config name: nonsense"),
        (
            entry("retention.ms", Some("abc")),
            "Invalid value abc for configuration retention.ms: Not a number of type LONG",
        ),
        (
            entry("min.insync.replicas", Some("0")),
            "Invalid value 0 for configuration min.insync.replicas: Value must be at least 1",
        ),
        (
            entry("min.cleanable.dirty.ratio", Some("1.5")),
            "Invalid value 1.5 for configuration min.cleanable.dirty.ratio: Value must be no more than 1",
        ),
        (
            entry("cleanup.policy", Some("maybe")),
            "Invalid value maybe for configuration cleanup.policy: String must be one of: compact, delete",
        ),
        (
            entry("preallocate", Some("maybe")),
            "Invalid value maybe for configuration preallocate: Expected value to be either true or false",
        ),
        (
            entry("remote.storage.enable", Some("true")),
            "Invalid value true for configuration remote.storage.enable: expected false: remote storage not available",
        ),
    ] {
        assert_eq!(create(&[bad]), Err(Refusal::InvalidConfig(words.to_owned())));
    }
}
