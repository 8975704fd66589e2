//! `pharos explain`: no series of a loaded page is unknown.

use std::collections::BTreeSet;
use std::process::Command;

use pharos_explain::{Known, Queries, explain};
use pharos_metrics::Generation;

use crate::start_process::{Launch, Server};
use crate::start_wire::{batch, fetch};
use pharos_protocol::batch::BatchOptions;
use pharos_protocol::messages::FetchResponse;

/// A node of which records were asked in every way that a plain client knows.
fn loaded(home: &std::path::Path) -> Server {
    let server = Launch::up(home).start();
    let mut wire = server.connect();
    for topic in ["orders", "payments.v2"] {
        assert_eq!(wire.create_topic(topic, 2, &[]).unwrap(), 0);
        let sent = batch(BatchOptions::default(), &[("k", "v")]);
        assert_eq!(wire.produce(topic, 0, &sent).unwrap().0, 0);
        let _: FetchResponse = wire.call(&fetch(topic, 0, 0, 1 << 20), 12).unwrap();
    }
    server
}

/// `name{labels}` of every sample.
fn series(page: &str) -> BTreeSet<&str> {
    let samples = page.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    samples.filter_map(|line| line.rsplit_once(' ')).map(|(series, _)| series).collect()
}

#[test]
fn no_series_of_a_loaded_page_is_unknown() {
    let home = tempfile::tempdir().unwrap();
    let server = loaded(home.path());
    let known = Known::built_in(Generation::V1).unwrap();
    let queries = Queries::default();
    for page in ["/metrics", "/metrics/default", "/metrics/confluent", "/metrics/native"] {
        let text = server.page(page);
        let series = series(&text);
        assert!(series.len() > 100, "{page} has {} series", series.len());
        let unknown: Vec<_> = series
            .iter()
            .filter_map(|series| explain(&known, &queries, series).err())
            .map(|error| error.to_string())
            .collect();
        assert!(unknown.is_empty(), "{page}: {} of {}: {unknown:#?}", unknown.len(), series.len());
    }
}

#[test]
fn the_program_explains_what_is_asked() {
    let ask = |series: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pharos"));
        let output = command.args(["explain", series]).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.code())
    };
    let (told, code) = ask("kafka_server_brokertopicmetrics_messagesin_total{topic=\"orders\"}");
    assert_eq!(code, Some(0), "{told}");
    for line in [
        "  bean       kafka.server:type=BrokerTopicMetrics,name=MessagesInPerSec,topic={topic}",
        "  attribute  Count",
        "  rule       default.yml, rule ",
        "  meaning    ",
        "  truth      ",
        "  read by    grafana/dashboards/throughput.json: panel \"Records in by topic\", query A",
    ] {
        assert!(told.lines().any(|have| have.starts_with(line)), "{line}: {told}");
    }
    assert_eq!(ask("kafka_nothing").1, Some(1));
}
