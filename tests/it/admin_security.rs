//! The admin listener behind TLS, certificates of clients, passwords, and names of hosts: who may read
//! does, who may not gets nothing, and no secret is told anywhere.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::pki::{Authority, Issued, TlsClient};
use crate::start_process::{HANG_GUARD, Launch, Server, until};

/// A year in which all of this is over, and one that is over.
pub const LATER: i32 = 2099;
const OVER: i32 = 2021;

/// A launch whose admin listener speaks TLS, with certificates of `authority`.
pub fn secure(home: &Path, authority: &Authority) -> Launch {
    let file = home.join("server.pem");
    fs::write(&file, authority.server(LATER).both()).unwrap();
    Launch::up(home)
        .with("admin.listeners=HTTPS://127.0.0.1:0")
        .with(&format!("admin.ssl.keystore.location={}", file.display()))
}

pub fn basic(user: &str, password: &str) -> String {
    format!("authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:{password}")))
}

/// A number on the page of native families.
fn number(page: &str, series: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in {page}")).parse().unwrap()
}

fn refused(client: &TlsClient, address: &str, reason: &str) -> f64 {
    let (status, page) = client.get(address, "/metrics/native", "").unwrap();
    assert_eq!(status, 200);
    number(&page, &format!("pharos_admin_refused_total{{reason=\"{reason}\"}}"))
}

/// What is answered to bytes on a socket without TLS, until its end.
pub fn plain(address: &str, bytes: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(HANG_GUARD))?;
    stream.write_all(bytes)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map(|_| answer)
}

#[test]
fn both_versions_of_tls_are_spoken_and_a_plain_request_is_told_so() {
    let home = tempfile::tempdir().unwrap();
    let authority = Authority::new("one");
    let mut server = secure(home.path(), &authority).start();
    let address = server.admin().to_owned();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = TlsClient::new(&authority, None, &[version]);
        let (status, page) = client.get(&address, "/metrics/native", "").unwrap();
        assert_eq!(status, 200, "{version:?}");
        // 2099-01-01.
        let expiry = "pharos_certificate_expiry_timestamp_seconds{listener=\"admin\"}";
        assert_eq!(number(&page, expiry), 4_070_908_800.0);
    }
    let told = plain(&address, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert!(told.starts_with("HTTP/1.1 400 "), "{told}");
    assert!(told.contains("this port is spoken to by TLS"), "{told}");
    let long = [b"POST / HTTP/1.1\r\n\r\n".as_slice(), &[b'x'; 50_000]].concat();
    assert!(plain(&address, &long).unwrap().starts_with("HTTP/1.1 400 "), "a clean end");

    let stranger = TlsClient::plain(&Authority::new("two"));
    assert!(stranger.get(&address, "/", "").is_err(), "it does not know who signed");
    let client = TlsClient::plain(&authority);
    until("the refusals", || refused(&client, &address, "handshake") >= 1.0);
    assert_eq!(refused(&client, &address, "plain"), 2.0);
    server.is_unharmed();
}

#[test]
fn only_the_versions_and_suites_that_are_named_are_spoken() {
    let home = tempfile::tempdir().unwrap();
    let authority = Authority::new("one");
    let server = secure(home.path(), &authority)
        .with("admin.ssl.enabled.protocols=TLSv1.3")
        .with("admin.ssl.cipher.suites=TLS_CHACHA20_POLY1305_SHA256")
        .start();
    let old = TlsClient::new(&authority, None, &[&rustls::version::TLS12]);
    assert!(old.connect(server.admin()).is_err());
    let stream = TlsClient::plain(&authority).connect(server.admin()).unwrap();
    let suite = stream.conn.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(format!("{suite:?}"), "TLS13_CHACHA20_POLY1305_SHA256");
}

#[test]
fn certificates_of_clients_are_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let trust = home.path().join("clients.pem");
    fs::write(&trust, clients.pem()).unwrap();
    let launch = secure(home.path(), &servers)
        .with(&format!("admin.ssl.truststore.location={}", trust.display()));
    let good = clients.client(LATER);
    let bad: [(&str, Option<Issued>); 3] = [
        ("none", None),
        ("expired", Some(clients.client(OVER))),
        ("of somebody else", Some(Authority::new("clients").client(LATER))),
    ];
    let mut server = launch.clone().with("admin.ssl.client.auth=required").start();
    let known = TlsClient::new(&servers, Some(&good), rustls::ALL_VERSIONS);
    let address = server.admin().to_owned();
    let mut tries = 0.0;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for (what, own) in &bad {
            let client = TlsClient::new(&servers, own.as_ref(), &[version]);
            let answer = client.get(&address, "/health/live", "");
            assert!(answer.is_err(), "{what} {version:?}: {answer:?}");
            tries += 1.0;
        }
    }
    until("the refusals", || refused(&known, &address, "certificate") == tries);
    let log = server.log();
    let told = log.lines().filter(|line| line.contains("one that the trust store does not know"));
    assert_eq!(told.count(), 1, "once a minute: {log}");
    server.kill();

    let server = launch.with("admin.ssl.client.auth=requested").start();
    let address = server.admin();
    assert_eq!(known.get(address, "/health/live", "").unwrap().0, 200);
    let without = TlsClient::plain(&servers);
    assert_eq!(without.get(address, "/health/live", "").unwrap().0, 200);
    let expired = TlsClient::new(&servers, bad[1].1.as_ref(), rustls::ALL_VERSIONS);
    assert!(expired.get(address, "/health/live", "").is_err());
}

#[test]
fn a_new_certificate_is_shown_without_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let server = secure(home.path(), &first).with("admin.lifecycle.enable=true").start();
    let (old, new) = (TlsClient::plain(&first), TlsClient::plain(&second));
    let address = server.admin();
    let serves = |client: &TlsClient| client.get(address, "/health/live", "").is_ok();
    assert!(serves(&old) && !serves(&new));
    let file = home.path().join("server.pem");
    let issued = second.server(LATER);
    // Another's key: the old stays.
    fs::write(&file, format!("{}{}", issued.certificate, first.server(LATER).key)).unwrap();
    server.hang_up();
    until("the complaint", || {
        server.log().contains("the admin listener's old certificate stays: ")
    });
    assert!(serves(&old) && !serves(&new));
    let told = server.log();
    let told = told.lines().find(|line| line.contains("old certificate stays")).unwrap();
    assert!(told.contains("server.pem: the private key does not belong to the first"), "{told}");
    fs::write(&file, issued.both()).unwrap();
    // Nobody asks: it is looked at from time to time.
    until("the new certificate", || serves(&new));
    assert!(!serves(&old));
    until("the event", || {
        new.get(address, "/events", "").unwrap().1.contains("the certificate is read anew")
    });
}

/// Handshakes that nobody ends, more than there may be at once, from the first byte on and before it.
#[test]
fn handshakes_that_nobody_ends_starve_nobody() {
    let home = tempfile::tempdir().unwrap();
    let authority = Authority::new("one");
    let mut server = secure(home.path(), &authority).start();
    let address = server.admin().to_owned();
    let client = TlsClient::plain(&authority);
    assert_eq!(client.get(&address, "/health/live", "").unwrap().0, 200);
    let before = server.resident_bytes();
    let mut held: Vec<_> = (0..200).map(|_| TcpStream::connect(&address).unwrap()).collect();
    for stream in held.iter_mut().step_by(2) {
        // The head of a record of 16 kB that never comes.
        stream.write_all(&[0x16, 3, 1, 0x40, 0]).unwrap();
    }
    for _ in 0..10 {
        assert_eq!(client.get(&address, "/health/live", "").unwrap().0, 200);
    }
    until("the refusals", || refused(&client, &address, "slow_handshake") >= 100.0);
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes");
    drop(held);
    server.is_unharmed();
}

#[test]
fn passwords_are_asked_for_but_of_probes() {
    let home = tempfile::tempdir().unwrap();
    let users = home.path().join("users");
    // `secret`, by PBKDF2 with 1,000 iterations.
    fs::write(
        &users,
        "# who may read\nprometheus=PBKDF2WithHmacSHA256:1000:a8df899f3c4f204d967e0ad63c092987c10055ebb017b3d9d28add218d4f7aad:salt\nme=plaintext:a:b\n",
    )
    .unwrap();
    let server = Launch::up(home.path())
        .with(&format!("admin.authentication.users.file={}", users.display()))
        .with("admin.lifecycle.enable=true")
        .start();
    let ask = |path: &str, headers: &str| request(&server, "GET", path, headers);
    for path in ["/health/live", "/health/ready", "/-/healthy", "/-/ready"] {
        let told = ask(path, "");
        // Groups may still be loading.
        assert!(["200", "503"].contains(&&told[9..12]), "{path}: {told}");
    }
    for path in ["/", "/metrics", "/metrics/native", "/beans", "/events", "/api/config", "/none"] {
        let told = ask(path, "");
        assert!(told.starts_with("HTTP/1.1 401 "), "{path}: {told}");
        assert!(told.contains("www-authenticate: Basic realm=\"pharos\""), "{told}");
        assert!(!ask(path, &basic("prometheus", "secret")).starts_with("HTTP/1.1 401 "), "{path}");
    }
    assert!(ask("/metrics", &basic("me", "a:b")).starts_with("HTTP/1.1 200 "));
    let wrong = [
        basic("prometheus", "Secret"),
        basic("prometheus", ""),
        basic("nobody", "secret"),
        basic("me", "a"),
        "authorization: Bearer secret\r\n".to_owned(),
        "authorization: Basic !\r\n".to_owned(),
    ];
    for headers in &wrong {
        assert!(ask("/metrics", headers).starts_with("HTTP/1.1 401 "), "{headers}");
    }
    let told = request(&server, "POST", "/-/reload", "");
    assert!(told.starts_with("HTTP/1.1 401 "), "{told}");
    let page = ask("/metrics/native", &basic("me", "a:b"));
    let count =
        |reason: &str| number(&page, &format!("pharos_admin_refused_total{{reason=\"{reason}\"}}"));
    assert_eq!((count("wrong_credentials"), count("no_credentials")), (6.0, 8.0));
    let log = server.log();
    let told = log.lines().filter(|line| line.contains("credentials are wrong"));
    assert_eq!(told.count(), 1, "once a minute: {log}");

    fs::write(&users, "me=plaintext:other\n").unwrap();
    until("the other users", || ask("/metrics", &basic("me", "other")).contains(" 200 "));
    assert!(ask("/metrics", &basic("me", "a:b")).starts_with("HTTP/1.1 401 "));
    assert!(ask("/metrics", &basic("prometheus", "secret")).starts_with("HTTP/1.1 401 "));
}

fn request(server: &Server, method: &str, path: &str, headers: &str) -> String {
    let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    plain(server.admin(), format!("{head}{headers}\r\n").as_bytes()).unwrap()
}

#[test]
fn a_host_that_could_never_be_one_refuses_the_start() {
    let home = tempfile::tempdir().unwrap();
    for wrong in ["https://metrics.example.org", "metrics.example.org:9404", "."] {
        let launch = Launch::up(home.path()).with(&format!("admin.allowed.hosts={wrong}"));
        let (code, told) = launch.env("PHAROS_LOG", "error").refused();
        assert_eq!((code, told.lines().count()), (Some(1), 1), "{told}");
        let expected = format!("admin.allowed.hosts: {wrong:?} is no name of a host: expected ");
        assert!(told.contains(&expected), "{told}");
    }
}

#[test]
fn names_of_others_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let server =
        Launch::up(home.path()).with("admin.allowed.hosts=metrics.example.org,.svc.x.org").start();
    let get = |host: &str, headers: &str| {
        let text = format!(
            "GET /health/live HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}\r\n"
        );
        let answer = plain(server.admin(), text.as_bytes()).unwrap();
        answer.split(' ').nth(1).unwrap().parse::<u16>().unwrap()
    };
    for host in ["localhost:9404", "127.0.0.1", "[::1]:9404", "broker:9404", "a.b.svc.x.org"] {
        assert_eq!(get(host, ""), 200, "{host}");
        assert_eq!(get(host, &format!("origin: http://{host}\r\n")), 200, "{host}");
        assert_eq!(get(host, "origin: http://evil.example\r\n"), 403, "{host}");
        assert_eq!(get(host, "origin: null\r\n"), 403, "{host}");
        assert_eq!(get(host, "origin: https://metrics.example.org\r\n"), 200, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example:9404", "a@evil.example"] {
        assert_eq!(get(host, ""), 421, "{host}");
    }
    let page = server.page("/metrics/native");
    let count =
        |reason: &str| number(&page, &format!("pharos_admin_refused_total{{reason=\"{reason}\"}}"));
    assert_eq!((count("host"), count("origin")), (3.0, 10.0));
    let log = server.log();
    assert!(
        log.contains("admin.allowed.hosts adds some") && !log.contains("evil.example"),
        "{log}"
    );
}
