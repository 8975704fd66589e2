//! Three cases of every class, and files in which nothing is wrong.

use super::*;

fn findings(text: &str) -> Vec<Finding> {
    check(text, "f.yml", Generation::V1, None).unwrap().findings
}

/// A rule per line: pattern, name and what else it says.
fn file(rules: &[(&str, &str)]) -> String {
    let rules = rules.iter().map(|(pattern, rest)| format!("- pattern: '{pattern}'\n  {rest}\n"));
    format!("lowercaseOutputName: true\nrules:\n{}", rules.collect::<String>())
}

const VALUE: &str = "kafka.server<type=ReplicaManager, name=LeaderCount><>Value";

#[test]
fn every_class_is_found_and_nothing_else() {
    let cases: &[(Class, [String; 3])] = &[
        (
            Class::UnknownKey,
            [
                file(&[(VALUE, "name: a\n  lables: {x: y}")]),
                format!("lowerCaseOutputName: true\n{}", file(&[(VALUE, "name: a")])),
                file(&[(VALUE, "name: a\n  typ: GAUGE")]),
            ],
        ),
        (
            Class::EmptySelection,
            [
                format!("includeObjectNames: ['kafka.sever:*', 'kafka.server:*']\n{}", file(&[(VALUE, "name: a")])),
                format!("whitelistObjectNames: ['kafka.server:type=ReplicaManger,*', '*:*']\n{}", file(&[(VALUE, "name: a")])),
                format!(
                    "excludeObjectNameAttributes: {{'kafka.server:type=ReplicaManager,*': [Count]}}\n{}",
                    file(&[(VALUE, "name: a")])
                ),
            ],
        ),
        (
            Class::ObjectNameForm,
            [
                file(&[("kafka.server:type=ReplicaManager, name=LeaderCount", "name: a")]),
                file(&[("^kafka\\.(\\w+):type=(\\w+),name=(\\w+)><>Value", "name: a_$1_$2_$3")]),
                file(&[("kafka.network:type=RequestMetrics", "name: a")]),
            ],
        ),
        (
            Class::PropertyOrder,
            [
                file(&[("kafka.server<name=LeaderCount, type=ReplicaManager><>Value", "name: a")]),
                file(&[("kafka.network<type=RequestMetrics, request=(\\w+), name=TotalTimeMs><>Count", "name: a\n  labels: {request: \"$1\"}")]),
                file(&[("kafka.server<type=BrokerTopicMetrics, topic=(.+), name=BytesInPerSec><>Count", "name: a\n  labels: {topic: \"$1\"}")]),
            ],
        ),
        (
            Class::DeadRule,
            [
                file(&[("kafka.server<type=ReplicaManger, name=LeaderCount><>Value", "name: a")]),
                file(&[("kafka.connect<type=connect-worker-metrics><>task-count", "name: a")]),
                file(&[("kafka.server<type=ReplicaManager, name=LeaderCount><>Count", "name: a")]),
            ],
        ),
        (
            Class::ShadowedRule,
            [
                file(&[("kafka.server<type=ReplicaManager, name=(\\w+)><>Value", "name: a_$1"), (VALUE, "name: b")]),
                "rules:\n- name: ''\n  pattern: '.*'\n- {}\n".to_owned(),
                "rules:\n- pattern: 'kafka.(.+)'\n- pattern: 'kafka.log<type=Log, name=Size, topic=(.+), partition=(.+)><>Value'\n  name: x\n".to_owned(),
            ],
        ),
        (
            Class::NoSample,
            [
                file(&[("kafka.server<type=raft-metrics><>current-state", "name: a")]),
                file(&[("kafka.server<type=app-info><>version: (.+)", "name: a\n  value: $1")]),
                file(&[("kafka.server<type=ReplicaManager, name=(LeaderCount)><>Value", "name: a\n  value: $1")]),
            ],
        ),
        (
            Class::BadReference,
            [
                file(&[("kafka.server<type=ReplicaManager, name=(LeaderCount)><>Value", "name: a_$2")]),
                file(&[("kafka.server<type=ReplicaManager, name=(?<which>LeaderCount)><>Value", "name: a_${name}")]),
                file(&[(VALUE, "name: a\n  labels: {x: \"$1\"}")]),
            ],
        ),
        (
            Class::BadLabel,
            [
                file(&[(VALUE, "name: a\n  labels: {x: }")]),
                file(&[(VALUE, "name: a\n  labels: {a-b: x, a.b: y}")]),
                file(&[(VALUE, "name: a\n  labels: {\"a:b\": x}")]),
            ],
        ),
        (
            Class::AttributePrefix,
            [
                file(&[("kafka.server<type=group-coordinator-metrics><>(group-completed-rebalance)", "name: a")]),
                file(&[("kafka.server<type=raft-metrics><>(commit-latency|election-latency)", "name: a_$1")]),
                file(&[("kafka.network<type=RequestMetrics, name=TotalTimeMs, request=(\\w+)><>(99)", "name: a\n  labels: {request: \"$1\"}")]),
            ],
        ),
        (
            Class::SeriesCollision,
            [
                file(&[("kafka.server<type=BrokerTopicMetrics, name=BytesInPerSec, topic=.+><>Count", "name: a")]),
                file(&[("kafka.network<type=RequestMetrics, name=RequestsPerSec, request=(\\w+), version=\\d+><>Count", "name: a\n  labels: {request: \"$1\"}")]),
                file(&[
                    (VALUE, "name: a"),
                    ("kafka.server<type=ReplicaManager, name=PartitionCount><>Value", "name: a"),
                ]),
            ],
        ),
        (
            Class::GreedyCapture,
            [
                file(&[("(\\d+)><>IdlePercent|(\\d+)><>Value", "name: ''")]),
                file(&[("kafka.network<type=Processor, name=IdlePercent, .*(\\d+)><>Value", "name: ''")]),
                file(&[("partition=.*(\\d+)><>Value", "name: ''")]),
            ],
        ),
        (
            Class::MixedTypes,
            [
                file(&[
                    ("kafka.server<type=BrokerTopicMetrics, name=BytesInPerSec><>Count", "name: a_total\n  type: COUNTER"),
                    (VALUE, "name: a\n  type: GAUGE\n  labels: {x: y}"),
                ]),
                file(&[
                    ("kafka.server<type=BrokerTopicMetrics, name=BytesInPerSec><>Count", "name: a\n  type: COUNTER"),
                    ("kafka.server<type=BrokerTopicMetrics, name=BytesOutPerSec><>Count", "name: a\n  labels: {x: y}"),
                ]),
                file(&[
                    ("kafka.network<type=RequestMetrics, name=TotalTimeMs, request=(\\w+)><>Count", "name: a\n  type: COUNTER\n  labels: {request: \"$1\"}"),
                    ("kafka.network<type=RequestMetrics, name=TotalTimeMs, request=(\\w+)><>Mean", "name: a\n  labels: {request: \"$1\", x: mean}"),
                ]),
            ],
        ),
        (
            Class::CounterOfGauge,
            [
                file(&[("kafka.server<type=BrokerTopicMetrics, name=BytesInPerSec><>OneMinuteRate", "name: a\n  type: COUNTER")]),
                file(&[("kafka.network<type=RequestMetrics, name=TotalTimeMs, request=(\\w+)><>99thPercentile", "name: a\n  type: COUNTER\n  labels: {request: \"$1\"}")]),
                file(&[("kafka.server<type=ReplicaManager, name=UnderReplicatedPartitions><>Value", "name: a\n  type: COUNTER")]),
            ],
        ),
        (
            Class::CostlyPattern,
            [
                file(&[("kafka.server<type=BrokerTopicMetrics, name=BytesInPerSec, topic=((\\w+)+)><>Count", "name: a\n  labels: {topic: \"$1\"}"), ("kafka.server<type=BrokerTopicMetrics, name=BytesOutPerSec, topic=(?:(\\w+)+)!?><>Cuont|kafka.server<type=BrokerTopicMetrics, name=BytesOutPerSec><>Count", "name: b")]),
                file(&[("topic=(?:a*)*b><>Count|kafka.server<type=ReplicaManager, name=LeaderCount><>Value", "name: a")]),
                file(&[("client-id=(?:(?:.+)+)+!><>|kafka.server<type=ReplicaManager, name=LeaderCount><>Value", "name: a")]),
            ],
        ),
    ];
    let mut wrong = Vec::new();
    for class in Class::ALL {
        assert!(cases.iter().any(|(have, _)| *have == class), "{} has no cases", class.name());
    }
    for (class, files) in cases {
        for text in files {
            let found = findings(text);
            if found.is_empty() || found.iter().any(|finding| finding.class != *class) {
                wrong.push(format!("{}: {text}{found:#?}", class.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn sound_files_have_nothing_wrong() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/beans/");
    let read = |name: &str| std::fs::read_to_string(format!("{golden}{name}")).unwrap();
    let dump = read("beans-broker-single.tsv");
    for (file, text) in crate::rules::BUILT_IN {
        for generation in [Generation::V0, Generation::V1] {
            let checked = check(text, file, generation, None).unwrap();
            assert!(checked.findings.is_empty(), "{:#?}", checked.findings);
        }
    }
    for file in ["default.yml", "lowercase.yml"] {
        let checked =
            check(&read(&format!("broker-rules/{file}")), file, Generation::V1, Some(&dump));
        let findings = checked.unwrap().findings;
        assert!(findings.is_empty(), "{findings:#?}");
    }
}

#[test]
fn a_finding_is_one_line_with_file_line_class_and_rule() {
    let found = findings("rules:\n- pattern: 'kafka.server<type=ReplicaManger'\n  name: x\n");
    assert_eq!(
        found.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["f.yml:2: dead-rule: rule 1: it matches no bean"]
    );
    assert!(check("rules: 5", "f.yml", Generation::V1, None).is_err());
}

#[test]
fn matches_names_and_lineage_are_told() {
    let text = file(&[(
        "kafka.server<type=ReplicaManager, name=LeaderCount><>Value",
        "name: leaders_total",
    )]);
    let checked = check(&text, "f.yml", Generation::V1, None).unwrap();
    let bean = "kafka.server:type=ReplicaManager,name=LeaderCount";
    assert_eq!(checked.matches, [[(bean.to_owned(), 1)]]);
    let (old, new) = ("leaders_total".to_owned(), "leaders".to_owned());
    assert_eq!(checked.renamed, [Renamed { rule: 1, old, new }]);
    let [one] = checked.lineage.as_slice() else { panic!("{:?}", checked.lineage) };
    assert_eq!((one.template.as_str(), one.rule, one.name.as_str()), (bean, 1, "leaders"));
}

#[test]
fn what_replaces_a_set_that_works_leaves_no_doubt() {
    let costly = "client-id=(?:(?:.+)+)+!><>|kafka.server<type=None";
    for (text, why) in [
        (file(&[(VALUE, "nmae: a")]), "line 3: rule 1: the key \"nmae\" is unknown: a start i"),
        (file(&[(VALUE, "name: a"), (costly, "name: b")]), "line 5: rule 2: the pattern takes"),
        ("rules: []\nnone: 1\n".to_owned(), "line 2: the key \"none\" is unknown"),
        ("rules: [".to_owned(), "is not YAML: "),
        (file(&[("(a", "name: a")]), "line 3: rule 1: pattern \"(a\""),
        (
            file(&[(&format!("(a{}", "b".repeat(1 << 20)), "name: a")]),
            "line 3: rule 1: pattern \"(ab",
        ),
        (format!("rules: []\n{}: 1\n", "n".repeat(900)), "line 2: the key \"nnn"),
        ("lowercaseOutputName: 5\n".to_owned(), "line 1: lowercaseOutputName: expected"),
        ("x".repeat(10 * 1024 * 1024), "is larger than"),
        ("httpServer: none\n".to_owned(), "line 1: httpServer: expected a map"),
        ("httpServer: {ssl: {}}".to_owned(), "line 1: httpServer: ssl.keyStore.fi"),
        ("httpServer:\n  authentication:\n    basic: {}\n".to_owned(), "line 1: httpServer: auth"),
    ] {
        let error = RuleSet::parse_strictly(&text, "f.yml", Generation::V1).unwrap_err();
        let told = error.to_string();
        assert!(told.starts_with(&format!("f.yml: {why}")), "{told}");
        assert_eq!(told.lines().count(), 1);
        assert!(told.len() < 600, "{} bytes", told.len());
        let taken = RuleSet::parse(&text, "f.yml", Generation::V1).is_ok();
        assert_eq!(taken, told.contains("a reload refuses the file"), "{told}");
        assert!(!told.contains("and ignored") && !told.contains("is given up"), "{told}");
    }
    for (file, text) in crate::rules::BUILT_IN {
        RuleSet::parse_strictly(text, file, Generation::V1).unwrap();
    }
}

#[test]
fn what_means_nothing_here_is_told() {
    let text = "startDelaySeconds: 3\nhttpServer: {threads: {maximum: 5}}\nssl: true\nrules: []\n";
    let rules = RuleSet::parse(text, "f.yml", Generation::V1).unwrap();
    let told = rules.warnings();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("ssl is ignored: "), "{told:?}");
    assert!(told[1].starts_with("httpServer.threads is ignored: "), "{told:?}");
}
