//! Whole configurations, from files and environments as people write them.

use proptest::prelude::*;

use crate::*;

fn environment(pairs: &[(&str, &str)]) -> Result<(BrokerConfig, Vec<Warning>), ConfigError> {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    BrokerConfig::load(Sources::new(Mode::Server).environment(pairs))
}

fn listeners(config: &BrokerConfig) -> Vec<String> {
    config.endpoints().listeners.iter().map(|l| l.address.to_string()).collect()
}

fn advertised(config: &BrokerConfig) -> Vec<String> {
    config.endpoints().advertised.iter().map(|a| a.address.to_string()).collect()
}

fn refused(overrides: &[&str]) -> String {
    BrokerConfig::defaults(overrides).map(|_| ()).expect_err("was accepted").to_string()
}

#[test]
fn up_differs_from_kafka_as_its_table_says() {
    let (config, warnings) = BrokerConfig::load(Sources::new(Mode::Up)).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(listeners(&config), ["PLAINTEXT://:9092", "CONTROLLER://localhost:0"]);
    assert_eq!(advertised(&config), ["PLAINTEXT://localhost:9092", "CONTROLLER://localhost:0"]);
    assert_eq!(config.log_dirs(), [std::path::Path::new("./pharos-data")]);
    assert_eq!(config.metadata_log_dir(), std::path::Path::new("./pharos-data"));
    assert_eq!(config.get(&rows::OFFSETS_TOPIC_REPLICATION_FACTOR), 1);
    assert_eq!(config.get(&rows::GROUP_INITIAL_REBALANCE_DELAY_MS), 0);
    assert_eq!(config.node_id(), 0);
    assert_eq!(config.admin_listeners().first().unwrap().to_string(), "HTTP://:9404");
    assert!(config.roles().broker && config.roles().controller);
    let (server, _) = BrokerConfig::load(Sources::new(Mode::Server)).unwrap();
    assert_eq!(advertised(&server), ["PLAINTEXT://:9092", "CONTROLLER://localhost:9093"]);
    assert_eq!(server.get(&rows::GROUP_INITIAL_REBALANCE_DELAY_MS), 3000);
}

#[test]
fn a_zookeeper_era_environment_works_unchanged() {
    let (config, warnings) = environment(&[
        ("KAFKA_BROKER_ID", "1"),
        ("KAFKA_ZOOKEEPER_CONNECT", "zookeeper:2181"),
        ("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://broker:29092,PLAINTEXT_HOST://localhost:9092"),
        ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT"),
        ("KAFKA_INTER_BROKER_LISTENER_NAME", "PLAINTEXT"),
        ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1"),
        ("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0"),
    ])
    .unwrap();
    assert_eq!(config.node_id(), 1);
    assert_eq!(
        listeners(&config),
        ["PLAINTEXT://:29092", "PLAINTEXT_HOST://:9092", "CONTROLLER://localhost:0"]
    );
    let handed_out = advertised(&config);
    assert_eq!(
        handed_out.get(..2).unwrap(),
        ["PLAINTEXT://broker:29092", "PLAINTEXT_HOST://localhost:9092"]
    );
    assert_eq!(config.endpoints().inter_broker, "PLAINTEXT");
    let lines: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["accepted without effect: zookeeper.connect (there is no ZooKeeper here)"]);
}

#[test]
fn a_malformed_listener_is_one_line() {
    let error = environment(&[("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT:://broker:29092")]);
    assert_eq!(
        error.map(|_| ()).unwrap_err().to_string(),
        "environment variable KAFKA_ADVERTISED_LISTENERS: \
         advertised.listeners=PLAINTEXT:://broker:29092: \
         expected NAME://host:port, the host possibly empty"
    );
}

#[test]
fn kafkas_own_server_properties_is_accepted() {
    let text = "process.roles=broker,controller\nnode.id=1\n\
        controller.quorum.bootstrap.servers=localhost:9093\n\
        listeners=PLAINTEXT://:9092,CONTROLLER://:9093\n\
        inter.broker.listener.name=PLAINTEXT\n\
        advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n\
        controller.listener.names=CONTROLLER\n\
        listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,\
        SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL\n\
        num.network.threads=3\nlog.dirs=/tmp/kraft-combined-logs\nnum.partitions=1\n\
        offsets.topic.replication.factor=1\n";
    let sources = Sources::new(Mode::Server).text("server.properties", text);
    let (config, warnings) = BrokerConfig::load(sources).unwrap();
    assert_eq!(listeners(&config), ["PLAINTEXT://:9092", "CONTROLLER://:9093"]);
    assert_eq!(advertised(&config), ["PLAINTEXT://localhost:9092", "CONTROLLER://localhost:9093"]);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
}

#[test]
fn endpoints_are_checked_as_a_whole() {
    let cases: &[(&[&str], &str)] = &[
        (
            &["listeners=PLAINTEXT://:1,X://:1"],
            "X://:1: expected a port other than that of PLAINTEXT://:1",
        ),
        (
            &["listeners=PLAINTEXT://:1,PLAINTEXT://:2"],
            "expected a different name for each listener",
        ),
        (&["listeners="], "expected NAME://host:port"),
        (&["listeners=SSL://:9092"], "expected PLAINTEXT for listener SSL: SSL is not available"),
        (&["listeners=INTERNAL://:9092"], "expected an entry for listener INTERNAL"),
        (&["listener.security.protocol.map=PLAINTEXT"], "expected NAME:PROTOCOL"),
        (&["advertised.listeners=PLAINTEXT://0.0.0.0:9092"], "expected a host that others can"),
        (
            &["advertised.listeners=OTHER://h:1", "listeners=PLAINTEXT://:1"],
            "only names that listeners has",
        ),
        (&["inter.broker.listener.name=X"], "expected the name of an advertised listener"),
        (
            &["process.roles=broker,controller", "listeners=PLAINTEXT://:1"],
            "named CONTROLLER for the controller role",
        ),
        (&["listeners=CONTROLLER://:1"], "expected a listener for clients"),
        (&["process.roles=broker"], "clusters of several nodes are not available"),
        (&["controller.quorum.voters=1@a:1,2@b:2"], "clusters of several nodes are not available"),
        (&["controller.quorum.voters=1@a"], "expected id@host:port"),
        (&["controller.quorum.voters=7@a:1"], "expected node.id 0 instead of 7"),
        (&["admin.listeners=FTP://:1"], "expected HTTP:// or HTTPS://host:port"),
        (&["admin.listeners=HTTP://:9092"], "expected a port other than that of PLAINTEXT://:9092"),
        (&["node.id=1", "broker.id=2"], "expected the same number as node.id, 1"),
    ];
    for (overrides, expected) in cases {
        let error = refused(overrides);
        assert!(error.contains(expected), "{overrides:?}: {error}");
    }
}

#[test]
fn ports_chosen_by_the_system_may_repeat_and_families_may_share_one() {
    let sound = [
        &["listeners=PLAINTEXT://:0,CONTROLLER://:0"][..],
        &[
            "listeners=PLAINTEXT://127.0.0.1:9092,SIX://[::1]:9092",
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SIX:PLAINTEXT",
        ],
        &["listeners=PLAINTEXT://0.0.0.0:9092"],
    ];
    for overrides in sound {
        BrokerConfig::defaults(overrides).unwrap_or_else(|e| panic!("{e}"));
    }
}

#[test]
fn keys_that_belong_together_are_checked_together() {
    let cases: &[(&[&str], &str)] = &[
        (&["log.retention.ms=0"], "log.retention.ms=0: expected -1 or at least 1"),
        (&["log.retention.hours=0"], "log.retention.hours=0: expected -1 or at least 1"),
        (&["log.dirs=a,a"], "log.dirs=a,a: expected each directory once"),
        (&["log.dirs=a,,b"], "no empty one"),
        (&["broker.session.timeout.ms=3000"], "at least twice broker.heartbeat.interval.ms, 2000"),
        (&["replica.fetch.wait.max.ms=40000"], "at most replica.lag.time.max.ms, 30000"),
        (&["group.consumer.session.timeout.ms=10"], "from group.consumer.min.session.timeout.ms"),
        (&["queued.max.request.bytes=5"], "expected at least socket.request.max.bytes"),
        (&["max.connections.per.ip.overrides=a"], "expected host:limit"),
        (&["offsets.topic.compression.codec=5"], "expected a codec from 0 to 4"),
        (&["group.coordinator.rebalance.protocols=consumer"], "expected classic, and no share"),
        (
            &["group.coordinator.rebalance.protocols=classic,share"],
            "expected classic, and no share",
        ),
        (&["controller.quorum.bootstrap.servers=a:1,b:1"], "expected one address"),
        (
            &["log.dirs=a,b", "cordoned.log.dirs=b,a"],
            "expected a directory left for new partitions",
        ),
        (&["metrics.native.histograms=maybe"], "expected true or false"),
    ];
    for (overrides, expected) in cases {
        let error = refused(overrides);
        assert!(error.contains(expected), "{overrides:?}: {error}");
    }
}

#[test]
fn the_admin_listener_is_protected_as_a_whole_or_not_at_all() {
    let tls = "admin.listeners=HTTPS://:1";
    let cases: &[(&[&str], &str)] = &[
        (
            &["admin.authentication.users=a=plaintext:b", "admin.authentication.users.file=f"],
            "admin.authentication.users.file=f: expected no file beside",
        ),
        (&["admin.ssl.keystore.location=f"], "f: expected an address HTTPS://host:port in admin."),
        (&["admin.ssl.keystore.key=hunter2"], "key=[hidden]: expected an address HTTPS://"),
        (&["admin.ssl.client.auth=required"], "expected an address HTTPS://host:port"),
        (
            &[tls, "admin.ssl.keystore.location=f", "admin.ssl.keystore.key=hunter2"],
            "location=f: expected no file beside a chain or key in PEM",
        ),
        (
            &[tls, "admin.ssl.keystore.key=hunter2"],
            "key=[hidden]: expected admin.ssl.keystore.certificate.chain beside it",
        ),
        (
            &[tls, "admin.ssl.keystore.certificate.chain=hunter2"],
            "chain=[hidden]: expected admin.ssl.keystore.key beside it",
        ),
        (
            &[tls, "admin.ssl.keystore.location=f", "admin.ssl.keystore.password=hunter2"],
            "password=[hidden]: expected none for PEM: see admin.ssl.key.password",
        ),
        (&[tls, "admin.ssl.keystore.type=JKS"], "type=JKS: expected PEM or PKCS12: `keytool -imp"),
        (&[tls, "admin.ssl.truststore.type=JKS"], "type=JKS: expected PEM or PKCS12: `keytool -"),
        (&[tls, "admin.ssl.client.auth=required"], "expected admin.ssl.truststore.location beside"),
        (
            &[tls, "admin.ssl.truststore.location=f"],
            "location=f: expected admin.ssl.client.auth=required or requested beside it",
        ),
        (
            &[
                tls,
                "admin.ssl.client.auth=requested",
                "admin.ssl.truststore.location=f",
                "admin.ssl.truststore.certificates=hunter2",
            ],
            "location=f: expected no file beside certificates in PEM",
        ),
        (
            &[
                tls,
                "admin.ssl.client.auth=required",
                "admin.ssl.truststore.type=PKCS12",
                "admin.ssl.truststore.certificates=hunter2",
            ],
            "certificates=[hidden]: expected the type PEM",
        ),
        (&[tls, "admin.ssl.enabled.protocols=TLSv1.1"], "expected a list of TLSv1.2, TLSv1.3"),
    ];
    for (overrides, expected) in cases {
        let error = refused(overrides);
        assert!(error.contains(expected), "{overrides:?}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    BrokerConfig::defaults(&["admin.listeners=https://:1,HTTP://:2"]).unwrap();
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let env = [("KAFKA_NUM_PARTITIONS", "2"), ("KAFKA_NUM_IO_THREADS", "2")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let sources = Sources::new(Mode::Server)
        .text("f", "num.partitions=1\nnum.io.threads=1\nmessage.max.bytes=1")
        .environment(env)
        .overrides(["num.partitions=3"])
        .unwrap();
    let (config, _) = BrokerConfig::load(sources).unwrap();
    assert_eq!(config.get(&rows::NUM_PARTITIONS), 3);
    assert_eq!(config.get(&rows::NUM_IO_THREADS), 2);
    assert_eq!(config.get(&rows::MESSAGE_MAX_BYTES), 1);
}

#[test]
fn unknown_keys_are_named_with_the_nearest_known_one() {
    let sources = Sources::new(Mode::Server).text("f", "\nnum.partition=1\nwhat.is.this=2");
    let (_, warnings) = BrokerConfig::load(sources).unwrap();
    let lines: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "f line 2: unknown key num.partition is ignored, did you mean num.partitions?",
            "f line 3: unknown key what.is.this is ignored",
            "offsets.topic.replication.factor=3 is above the number of brokers, 1: its topic cannot be \
             made, and what needs it waits for ever",
        ]
    );
}

#[test]
fn cluster_ids_have_22_characters() {
    let (config, _) = environment(&[("CLUSTER_ID", "MkU3OEVBNTcwNTJENDM2Qk")]).unwrap();
    assert_eq!(config.cluster_id(), Some("MkU3OEVBNTcwNTJENDM2Qk"));
    let error = environment(&[("CLUSTER_ID", "short")]).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("CLUSTER_ID=short: expected 22 characters"), "{error}");
}

#[test]
fn errors_stay_on_one_short_line_and_hide_secrets() {
    let long = format!("num.partitions=a\nb{}", "x".repeat(500));
    let error = refused(&[&long]);
    assert!(!error.contains('\n') && error.len() < 300, "{error}");
    let error = refused(&["ssl.key.password=hunter2"]);
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn dynamic_layers_lie_over_the_static_ones() {
    let config = BrokerConfig::defaults(&["message.max.bytes=10"]).unwrap();
    let layer = |key: &str, value: &str| Overrides::from([(key.to_owned(), value.to_owned())]);
    let cluster = config.with_dynamic(layer("message.max.bytes", "20"), Overrides::new());
    assert_eq!(cluster.get(&rows::MESSAGE_MAX_BYTES), 20);
    let both =
        cluster.with_dynamic(layer("message.max.bytes", "20"), layer("message.max.bytes", "30"));
    assert_eq!(both.get(&rows::MESSAGE_MAX_BYTES), 30);
    let none = both.with_dynamic(Overrides::new(), Overrides::new());
    assert_eq!(none.get(&rows::MESSAGE_MAX_BYTES), 10);
}

#[test]
fn a_listener_has_limits_of_its_own() {
    let (config, warnings) = environment(&[
        ("KAFKA_LISTENER_NAME_PLAINTEXT_MAX_CONNECTIONS", "5"),
        ("KAFKA_LISTENER_NAME_PLAINTEXT_NUM_NETWORK_THREADS", "5"),
        ("KAFKA_LISTENER_NAME_PLAINTEXT_LOG_DIR", "/x"),
        ("KAFKA_LISTENER_NAME_OTHER_MAX_CONNECTIONS", "5"),
        ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1"),
    ])
    .unwrap();
    let lines: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "accepted without effect: listener.name.plaintext.num.network.threads \
             (threads follow the processor count)",
            "environment variable KAFKA_LISTENER_NAME_OTHER_MAX_CONNECTIONS: \
             listener.name.other.max.connections is ignored: there is no such listener \
             (names are in lower case here)",
            "environment variable KAFKA_LISTENER_NAME_PLAINTEXT_LOG_DIR: \
             listener.name.plaintext.log.dir is ignored: the key has one value for all listeners",
        ]
    );
    assert_eq!(config.of_listener("PLAINTEXT", &rows::MAX_CONNECTIONS), Some(5));
    assert_eq!(config.of_listener("CONTROLLER", &rows::MAX_CONNECTIONS), None);

    let key = "listener.name.plaintext.max.connections";
    let set = |value: &str| Change {
        name: key.to_owned(),
        operation: Operation::Set,
        value: Some(value.to_owned()),
    };
    let altered = Target::Cluster.alter(&Overrides::new(), &[set("7")], &config).unwrap();
    let config = config.with_dynamic(altered.overrides, Overrides::new());
    assert_eq!(config.of_listener("PLAINTEXT", &rows::MAX_CONNECTIONS), Some(7));
    let described = config.describe_broker().into_iter().find(|entry| entry.name == key).unwrap();
    assert_eq!(described.value.as_deref(), Some("7"));
    assert!(!described.read_only && !described.sensitive);
    assert!(Target::Cluster.alter(&Overrides::new(), &[set("-1")], &config).is_err());
}

#[test]
fn what_a_listener_cannot_have_is_refused_by_name() {
    let (tls, sasl) = ("TLS not available", "SASL not available");
    for (pair, why) in [
        ("listener.name.x.ssl.keystore.password=hunter2", tls),
        ("listener.name.x.scram-sha-256.sasl.jaas.config=hunter2", sasl),
        ("listener.name.plaintext.max.connections=many", "expected a 32-bit integer"),
    ] {
        let error = refused(&[pair]);
        let key = pair.split('=').next().unwrap();
        assert!(error.contains(why) && error.contains(key), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_flood_of_unknown_keys_is_named_up_to_a_limit() {
    let text: String = (0..5000).map(|n| format!("k{n}=1\n")).collect();
    let (_, warnings) = BrokerConfig::load(Sources::new(Mode::Up).text("f", &text)).unwrap();
    assert_eq!(warnings.len(), 101);
    assert_eq!(warnings.last().unwrap().to_string(), "4900 more unknown keys are ignored");
}

#[test]
fn opentelemetrys_variables_are_read_and_checked() {
    let (config, _) = environment(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")]).unwrap();
    assert_eq!(config.get(&rows::OTEL_EXPORTER_OTLP_ENDPOINT), Some("http://c:4318"));
    let error = refused(&["otel.exporter.otlp.endpoint=https://c:4318"]);
    assert!(error.contains("expected http://host:port"), "{error}");
    let (config, _) = environment(&[("OTEL_BSP_SCHEDULE_DELAY", "250")]).unwrap();
    assert_eq!(config.get(&rows::OTEL_BSP_SCHEDULE_DELAY), 250);
    for wrong in ["otel.traces.sampler.arg=1.5", "otel.bsp.max.queue.size=0"] {
        let error = refused(&[wrong]);
        assert!(error.contains("expected"), "{error}");
    }
}

#[test]
fn what_was_given_does_not_print() {
    let sources = Sources::new(Mode::Server).overrides(["some.password=hunter2"]).unwrap();
    assert!(!format!("{sources:?}").contains("hunter2"));
    let (config, _) = BrokerConfig::load(sources).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Any value of any key is accepted, or refused in one line that names the key.
    #[test]
    fn no_value_of_any_key_breaks_loading(
        index in 0..rows::broker().len(),
        text in prop_oneof![
            "\\PC{0,30}",
            "[0-9-]{0,22}",
            "[A-Z]{0,5}[:/@,]{0,4}[a-z0-9.]{0,8}[:]?[0-9]{0,6}",
            Just("\n\r\u{0}".to_owned()),
        ],
    ) {
        let name = rows::broker()[index].name;
        let argument = format!("{name}={text}");
        let sources = Sources::new(Mode::Server).overrides([argument.as_str()]).unwrap();
        if let Err(error) = BrokerConfig::load(sources) {
            let line = error.to_string();
            prop_assert!(!line.contains(['\n', '\r']), "{line}");
            prop_assert!(line.contains("expected "), "{line}");
        }
    }
}

#[test]
fn empty_values_of_optional_listener_keys_count_as_not_given() {
    let (config, _) = environment(&[
        ("KAFKA_ADVERTISED_LISTENERS", ""),
        ("KAFKA_INTER_BROKER_LISTENER_NAME", " "),
        ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", ""),
        ("KAFKA_BROKER_RACK", ""),
    ])
    .unwrap();
    assert_eq!(advertised(&config), ["PLAINTEXT://:9092", "CONTROLLER://localhost:9093"]);
    assert_eq!(config.get(&rows::BROKER_RACK), None);
}

/// The listeners of a node of three are sound; what is refused is the quorum of three.
#[test]
fn a_node_of_three_is_refused_by_the_name_of_its_voters() {
    let pairs = [
        ("KAFKA_NODE_ID", "1"),
        (
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
            "CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT,EXTERNAL:PLAINTEXT",
        ),
        ("KAFKA_LISTENERS", "INTERNAL://:29092,CONTROLLER://kafka1:29093,EXTERNAL://0.0.0.0:9092"),
        ("KAFKA_ADVERTISED_LISTENERS", "INTERNAL://:29092,EXTERNAL://127.0.0.1:9097"),
        ("KAFKA_PROCESS_ROLES", "broker,controller"),
        ("KAFKA_INTER_BROKER_LISTENER_NAME", "INTERNAL"),
        ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
        ("CLUSTER_ID", "MkU3OEVBNTcwNTJENDM2Qk"),
        ("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@kafka1:29093"),
    ];
    let (config, _) = environment(&pairs).unwrap();
    assert_eq!(
        advertised(&config),
        ["INTERNAL://:29092", "EXTERNAL://127.0.0.1:9097", "CONTROLLER://kafka1:29093"]
    );
    let mut three = pairs;
    three[8].1 = "1@kafka1:29093,2@kafka2:29093,3@kafka3:29093";
    let error = environment(&three).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("controller.quorum.voters=1@kafka1:29093,2@"), "{error}");
    assert!(error.contains("expected one voter"), "{error}");
}
