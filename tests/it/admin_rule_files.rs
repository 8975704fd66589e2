//! `httpServer` of a rule file protects the admin listener as it protected the exporter, or refuses the
//! start in one line that names file, line and thing.

use std::fs;
use std::path::Path;

use crate::admin_security::{LATER, basic, plain};
use crate::pki::{Authority, TlsClient};
use crate::start_process::{Launch, until};
use crate::tidy::root;

/// Salt and hash of the exporter's own documentation, of the password `secret`.
const SHA256: &str = "      username: Prometheus\n      algorithm: SHA-256\n      \
    salt: U9i%=N+m]#i9yvUV:bA/3n4X9JdPXf=n\n      \
    passwordHash: 2bf7ed4906ac065bde39f7508d6102a6cdd7153a929ea883ff6cd04442772c99\n";

fn rule_file(home: &Path, name: &str, server: &str) -> String {
    let file = home.join(name);
    fs::write(&file, format!("lowercaseOutputName: true\n{server}rules: []\n")).unwrap();
    file.display().to_string()
}

/// Serves each file on a page of its own.
fn with(home: &Path, files: &[&str]) -> Launch {
    let sets: Vec<_> = files.iter().enumerate().map(|(at, file)| format!("s{at}={file}")).collect();
    Launch::up(home).with(&format!("metrics.rules={}", sets.join(",")))
}

#[test]
fn the_user_of_a_rule_file_may_read() {
    let home = tempfile::tempdir().unwrap();
    let text = format!("httpServer:\n  authentication:\n    basic:\n{SHA256}");
    let file = rule_file(home.path(), "a.yml", &text);
    // A second file that says the same, and one that says nothing.
    let (again, none) =
        (rule_file(home.path(), "b.yml", &text), rule_file(home.path(), "c.yml", ""));
    let server = with(home.path(), &[&file, &again, &none]).start();
    let get = |headers: &str| {
        let text =
            format!("GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
        plain(server.admin(), text.as_bytes()).unwrap()
    };
    assert!(get("").starts_with("HTTP/1.1 401 "));
    assert!(get(&basic("Prometheus", "Secret")).starts_with("HTTP/1.1 401 "));
    assert!(get(&basic("Prometheus", "secret")).starts_with("HTTP/1.1 200 "));

    // Another user needs a restart; the rules stay.
    rule_file(home.path(), "a.yml", &text.replace("Prometheus", "Thanos"));
    server.hang_up();
    until("the complaint", || {
        server
            .log()
            .contains("a.yml: line 2: httpServer: ssl and authentication are other ones than")
    });
    assert!(get(&basic("Prometheus", "secret")).starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_password_of_the_environment_is_one() {
    let home = tempfile::tempdir().unwrap();
    let text = "httpServer:\n  authentication:\n    basic: {username: me, password: '${WORD}'}\n";
    let file = rule_file(home.path(), "a.yml", text);
    let server = with(home.path(), &[&file]).env("WORD", "hunter2").start();
    let text = format!(
        "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{}\r\n",
        basic("me", "hunter2")
    );
    assert!(plain(server.admin(), text.as_bytes()).unwrap().starts_with("HTTP/1.1 200 "));
}

#[test]
fn tls_of_a_rule_file_is_spoken() {
    let home = tempfile::tempdir().unwrap();
    let authority = Authority::new("one");
    let issued = authority.server(LATER);
    fs::write(home.path().join("c.pem"), &issued.certificate).unwrap();
    fs::write(home.path().join("k.pem"), &issued.key).unwrap();
    let text = "httpServer:\n  ssl:\n    protocols: TLSv1.3\n    pem:\n      \
        certificate: {filename: c.pem}\n      privateKey: {filename: k.pem}\n";
    let file = rule_file(home.path(), "a.yml", text);
    let server = with(home.path(), &[&file]).with("admin.listeners=HTTPS://127.0.0.1:0").start();
    let client = TlsClient::new(&authority, None, &[&rustls::version::TLS13]);
    assert_eq!(client.get(server.admin(), "/metrics", "").unwrap().0, 200);
    let old = TlsClient::new(&authority, None, &[&rustls::version::TLS12]);
    assert!(old.connect(server.admin()).is_err());
}

#[test]
fn what_cannot_be_had_refuses_the_start_by_file_and_line() {
    let home = tempfile::tempdir().unwrap();
    let authority = Authority::new("one");
    fs::write(home.path().join("server.pem"), authority.server(LATER).both()).unwrap();
    let stores = root().join("tests/golden/tls");
    let store = |name: &str, password: &str, more: &str| {
        let file = stores.join(name).display().to_string();
        format!(
            "httpServer:\n  ssl:\n    keyStore: {{filename: {file}, password: {password}}}\n{more}"
        )
    };
    let sound = || store("keytool.p12", "changeit", "");
    let user = |rest: &str| format!("httpServer: {{authentication: {{basic: {{{rest}}}}}}}\n");
    let https = "admin.listeners=HTTPS://127.0.0.1:0";
    let own_tls = "admin.ssl.keystore.location=server.pem";
    let own_user = "admin.authentication.users=me=plaintext:hunter2";
    let cases: [(String, &[&str], &str); 9] = [
        (sound(), &[], "ssl: expected HTTPS in admin.listeners, found HTTP://127.0.0.1:0"),
        (sound(), &[https, own_tls], "ssl: expected none beside admin.ssl.keystore.location"),
        (
            store("keytool.p12", "hunter2", ""),
            &[https],
            "keytool.p12: its password does not open it",
        ),
        (store("keytool.jks", "changeit", ""), &[https], "keytool.jks: it is a JKS: `keytool -imp"),
        (
            store("keytool.p12", "changeit", "    certificate: {alias: me}\n"),
            &[https],
            "keytool.p12: it has no private key of the alias \"me\"",
        ),
        (
            store("keytool.p12", "'${ABSENT}'", ""),
            &[https],
            "ssl: the variable \"ABSENT\" of the env",
        ),
        (
            user("username: me, password: hunter2"),
            &[own_user],
            "authentication: expected none beside",
        ),
        (
            user("username: me, algorithm: MD5, passwordHash: hunter2"),
            &[],
            "authentication: expected one of plaintext, SHA-1",
        ),
        (
            user("username: me, algorithm: PBKDF2WithHmacSHA1, salt: a, passwordHash: '00ff'"),
            &[],
            "authentication: the hash has 2 bytes, expected 16 or 128",
        ),
    ];
    for (server, overrides, why) in &cases {
        let file = rule_file(home.path(), "a.yml", server);
        let launch = overrides
            .iter()
            .fold(with(home.path(), &[&file]), |launch, pair| launch.with(pair))
            .env("PHAROS_LOG", "error");
        let (code, told) = launch.refused();
        assert_eq!((code, told.lines().count()), (Some(1), 1), "{server}: {told}");
        let place = format!("metrics.rules: {file}: line 2: httpServer: ");
        assert!(told.contains(&place) && told.contains(why), "{told} is not {why}");
        assert!(!told.contains("hunter2") && !told.contains("changeit"), "{told}");
    }
    let other = user("username: you, password: hunter2");
    let first = rule_file(home.path(), "a.yml", &user("username: me, password: hunter2"));
    let second = rule_file(home.path(), "b.yml", &other);
    let (code, told) = with(home.path(), &[&first, &second]).env("PHAROS_LOG", "error").refused();
    assert_eq!(code, Some(1));
    assert!(
        told.contains("b.yml: line 2: httpServer: authentication: expected the same as in"),
        "{told}"
    );
    assert!(!home.path().join("pharos-data").exists(), "something was formatted");
}
