//! Rule files are read anew when someone asks who may, and what is broken changes nothing.

use std::fs;

use crate::start_process::{Launch, Server, until};

fn rules(name: &str) -> String {
    format!(
        "rules:\n- pattern: 'kafka.server<type=KafkaServer, name=BrokerState><>Value'\n  name: {name}\n"
    )
}

fn shows(server: &Server, name: &str) -> bool {
    server.page("/metrics/own").lines().any(|line| line == format!("{name} 3.0"))
}

fn successful(server: &Server) -> f64 {
    server.metric("pharos_rules_last_reload_successful", "page=\"own\"")
}

fn last_success(server: &Server) -> f64 {
    server.metric("pharos_rules_last_reload_success_timestamp_seconds", "page=\"own\"")
}

fn events(server: &Server) -> f64 {
    server.metric("pharos_events_total", "kind=\"reload\"")
}

#[test]
fn rules_are_read_anew_and_what_is_broken_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("own.yml");
    fs::write(&file, rules("one")).unwrap();
    let server = Launch::up(home.path())
        .with(&format!("metrics.rules=own={}", file.display()))
        .with("admin.lifecycle.enable=true")
        .start();
    assert!(shows(&server, "one"));
    assert_eq!((successful(&server), events(&server)), (1.0, 0.0));
    let began = last_success(&server);

    fs::write(&file, rules("two")).unwrap();
    assert_eq!(server.answer("POST", "/-/reload").0, 200);
    assert!(shows(&server, "two") && !shows(&server, "one"));
    assert_eq!((successful(&server), events(&server)), (1.0, 1.0));
    let second = last_success(&server);
    assert!(second >= began);

    let costly = "client-id=(?:(?:.+)+)+!><>|kafka.server<type=None";
    let broken = [
        ("rules: [".to_owned(), "is not YAML"),
        ("rules: 5\n".to_owned(), "line 1: rules: expected a list"),
        (
            rules("x").replace("name: x", "nmae: x"),
            r#"line 2: rule 1: the key \"nmae\" is unknown: a start ignores it, a reload refuses"#,
        ),
        ("rules:\n- pattern: '(a'\n  name: x\n".to_owned(), "line 2: rule 1: pattern"),
        (
            format!("rules:\n- pattern: '{costly}'\n  name: x\n"),
            "line 2: rule 1: the pattern takes",
        ),
        (format!("# {}\n{}", "x".repeat(10 << 20), rules("x")), "is larger than"),
    ];
    for (at, (text, why)) in broken.iter().enumerate() {
        fs::write(&file, text).unwrap();
        let (status, body) = server.answer("POST", "/-/reload");
        assert_eq!(status, 500, "{why}: {body}");
        assert!(body.contains(&format!("{}: {why}", file.display())), "{why}: {body}");
        assert!(shows(&server, "two"), "{why}");
        assert_eq!((successful(&server), events(&server)), (0.0, 2.0 + at as f64), "{why}");
        assert_eq!(last_success(&server), second, "{why}");
    }
    fs::remove_file(&file).unwrap();
    assert_eq!(server.answer("POST", "/-/reload").0, 500);
    assert!(shows(&server, "two"));

    // What means nothing here is taken with a warning, as at a start.
    fs::write(&file, format!("ssl: true\n{}", rules("three"))).unwrap();
    server.hang_up();
    until("the rules", || shows(&server, "three"));
    assert!(server.log().contains("own.yml: ssl is ignored: "), "{}", server.log());
    until("the event", || events(&server) == 9.0);
    assert_eq!(successful(&server), 1.0);
    let told = server.page("/events");
    assert!(told.contains("the rules of own are read anew"), "{told}");
    let complaints = server.log();
    let complaints = complaints.lines().filter(|line| line.contains("the old rules stay: "));
    assert_eq!(complaints.count(), 7);
}

#[test]
fn nobody_reloads_who_may_not() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("own.yml");
    fs::write(&file, rules("one")).unwrap();
    let server =
        Launch::up(home.path()).with(&format!("metrics.rules=own={}", file.display())).start();
    fs::write(&file, rules("two")).unwrap();
    let (status, body) = server.answer("POST", "/-/reload");
    assert_eq!(status, 403, "{body}");
    assert!(body.contains("admin.lifecycle.enable"), "{body}");
    assert_eq!(server.answer("GET", "/-/reload").0, 405);
    assert!(shows(&server, "one") && !shows(&server, "two"));
    assert_eq!(events(&server), 0.0);
}
