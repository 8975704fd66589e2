//! Native families over the wire: what a client moves is what their series show, to the unit.

use pharos_protocol::batch::BatchOptions;
use pharos_protocol::messages::FetchResponse;

use crate::start_process::{Launch, Server, until};
use crate::start_wire::{batch, fetch};

/// The value of exactly this series on `/metrics`; 0 would be a series too.
fn series(server: &Server, name: &str) -> Option<f64> {
    let page = server.page("/metrics");
    let mut lines = page.lines().filter_map(|line| line.rsplit_once(' '));
    lines.find(|(series, _)| *series == name).map(|(_, value)| value.parse().unwrap())
}

/// Waits for what is counted only after an answer has left.
fn reaches(server: &Server, name: &str, value: f64) {
    until(name, || series(server, name) == Some(value));
}

#[test]
fn produce_and_fetch_move_the_series_by_what_was_moved() {
    let home = tempfile::tempdir().unwrap();
    let server = Launch::up(home.path()).start();
    let produced = r#"pharos_partition_results_total{request="Produce",outcome="#;
    // Objectives read these: they stand at 0 before anyone produces.
    for outcome in ["ok", "client_error", "server_error"] {
        assert_eq!(series(&server, &format!("{produced}\"{outcome}\"}}")), Some(0.0));
    }
    let requests = r#"pharos_request_duration_seconds_count{request="Produce"}"#;
    assert_eq!(series(&server, requests), Some(0.0));

    let mut wire = server.connect();
    assert_eq!(wire.create_topic("t", 2, &[]).unwrap(), 0);
    let bytes_in = r#"pharos_partition_bytes_in_total{topic="t",partition="1"}"#;
    let bytes_out = r#"pharos_partition_bytes_out_total{topic="t",partition="1"}"#;
    assert_eq!((series(&server, bytes_in), series(&server, bytes_out)), (Some(0.0), Some(0.0)));

    let records = batch(BatchOptions::default(), &[("a", "1"), ("b", "2"), ("c", "3")]);
    for _ in 0..2 {
        assert_eq!(wire.produce("t", 1, &records).unwrap().0, 0);
    }
    assert_ne!(wire.produce("absent", 0, &records).unwrap().0, 0);
    let answer: FetchResponse = wire.call(&fetch("t", 1, 0, 1 << 20), 11).unwrap();
    let fetched = answer.responses[0].partitions[0].records.as_ref().unwrap().len();
    assert_eq!(fetched, 2 * records.len());

    reaches(&server, bytes_in, 2.0 * records.len() as f64);
    reaches(&server, bytes_out, fetched as f64);
    reaches(&server, &format!("{produced}\"ok\"}}"), 2.0);
    reaches(&server, &format!("{produced}\"client_error\"}}"), 1.0);
    reaches(
        &server,
        r#"pharos_partition_results_total{request="FetchConsumer",outcome="ok"}"#,
        1.0,
    );
    reaches(&server, requests, 3.0);
    reaches(&server, r#"pharos_request_duration_seconds_count{request="FetchConsumer"}"#, 1.0);
    reaches(&server, r#"pharos_request_duration_seconds_count{request="CreateTopics"}"#, 1.0);
    assert_eq!(series(&server, r#"pharos_request_duration_seconds_count{request="Fetch"}"#), None);
    reaches(
        &server,
        r#"pharos_request_phase_duration_seconds_count{request="Produce",phase="local"}"#,
        3.0,
    );
    reaches(&server, "pharos_fetch_record_age_seconds_count", 1.0);
    reaches(&server, r#"pharos_fetch_record_age_seconds_bucket{le="3600.0"}"#, 1.0);

    let sizes = series(&server, r#"pharos_response_size_bytes_sum{request="FetchConsumer"}"#);
    assert!(sizes.unwrap() > fetched as f64 && sizes.unwrap() < fetched as f64 + 200.0);

    // What happened is told in order: the start, then the topic.
    let events: serde_json::Value = serde_json::from_str(&server.page("/events")).unwrap();
    let told = |index: usize, field: &str| events["events"][index][field].clone();
    assert_eq!((told(0, "id"), told(0, "kind")), (1.into(), "recovery".into()));
    let last = events["events"].as_array().unwrap().len() - 1;
    assert_eq!((told(last, "kind"), told(last, "subject")), ("topic".into(), "t".into()));
    assert_eq!(told(last, "text"), "was created with 2 partitions");
    assert_eq!(series(&server, r#"pharos_events_total{kind="topic"}"#), Some(1.0));
    let after: serde_json::Value =
        serde_json::from_str(&server.page(&format!("/events?after={}", told(last, "id")))).unwrap();
    assert_eq!(after["events"], serde_json::json!([]));

    // With one broker nothing is skewed.
    for dimension in ["leaders", "replicas"] {
        let topic = format!(r#"pharos_topic_skew_ratio{{topic="t",dimension="{dimension}"}}"#);
        assert_eq!(series(&server, &topic), Some(1.0));
        let cluster = format!(r#"pharos_cluster_skew_ratio{{dimension="{dimension}"}}"#);
        assert_eq!(series(&server, &cluster), Some(1.0));
    }
}

/// Fields of a file of `/proc/PID`, from the one after `key`; the first word without one.
fn of_process(id: u32, file: &str, key: &str) -> Vec<f64> {
    let text = std::fs::read_to_string(format!("/proc/{id}/{file}")).unwrap();
    let (_, rest) = text.split_once(key).unwrap();
    let line = rest.lines().next().unwrap();
    line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

#[test]
#[cfg(target_os = "linux")]
fn the_process_is_shown_as_the_system_sees_it() {
    const TICKS_PER_SECOND: f64 = 100.0;
    const PAGE_BYTES: f64 = 4096.0;
    let now = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.unwrap().as_secs_f64()
    };
    let home = tempfile::tempdir().unwrap();
    let before = now();
    let mut server = Launch::up(home.path()).start();
    let after = now();
    let id = server.process().id();
    // The system tells its own start in whole seconds.
    let started = series(&server, "process_start_time_seconds").unwrap();
    assert!((before - 1.5..=after + 1.5).contains(&started), "{before} {started} {after}");

    // After the name in brackets: state, ten more, then user and system time.
    let ticks = || of_process(id, "stat", ") ")[10..12].iter().sum::<f64>() / TICKS_PER_SECOND;
    let (least, shown, most) = (ticks(), series(&server, "process_cpu_seconds_total"), ticks());
    assert!((least..=most).contains(&shown.unwrap()), "{least} {shown:?} {most}");
    assert!(most > 0.0);

    let limit = of_process(id, "limits", "Max open files")[0];
    assert_eq!(series(&server, "process_max_fds"), Some(limit));
    let virtual_bytes = || of_process(id, "statm", "")[0] * PAGE_BYTES;
    until("virtual memory", || {
        let (least, shown, most) =
            (virtual_bytes(), series(&server, "process_virtual_memory_bytes"), virtual_bytes());
        least == most && shown == Some(most)
    });

    // What scrapes and timers open now and then is gone again a moment later.
    let open = || std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count();
    let files = |server: &_| series(server, "process_open_fds").unwrap();
    let idle = (0..5).map(|_| files(&server)).fold(f64::INFINITY, f64::min);
    let sockets: Vec<_> = (0..40).map(|_| server.socket()).collect();
    until("open sockets", || open() >= 40);
    reaches(&server, "process_open_fds", idle + 40.0);
    drop(sockets);
    reaches(&server, "process_open_fds", idle);
}
