//! No secret is told: not in the log, not by DescribeConfigs, not on any page, not in what tools and
//! refusals print, however it was given.

use std::fs;
use std::process::Command;

use pharos_protocol::messages::{
    DescribeConfigsRequest, DescribeConfigsResponse, describe_configs_request,
};

use crate::admin_security::{LATER, basic};
use crate::pki::{Authority, TlsClient};
use crate::start_process::{Launch, Server};
use crate::tidy::root;

/// Pages that anybody can ask for.
const PAGES: [&str; 14] = [
    "/",
    "/metrics",
    "/metrics/default",
    "/metrics/native",
    "/metrics/s",
    "/beans",
    "/events",
    "/api/config",
    "/api/now",
    "/api/explain?series=pharos_admin_refused_total",
    "/api/groups",
    "/api/topics",
    "/health/ready",
    "/nothing",
];

#[test]
fn no_secret_is_told_anywhere() {
    let home = tempfile::tempdir().unwrap();
    let authority = Authority::new("one");
    let issued = authority.server(LATER);
    // The middle of the key, which no certificate shares.
    let of_key: String = issued.key.lines().skip(1).take(1).collect();
    let stores = root().join("tests/golden/tls");
    fs::write(home.path().join("rules.yml"), "rules: []\n").unwrap();
    let secrets =
        ["hunter2-word", "hunter2-unknown", "hunter2-sasl", "hunter2-try", of_key.as_str()];
    let server = Launch::up(home.path())
        .with("metrics.rules=s=rules.yml")
        .with("admin.listeners=HTTPS://127.0.0.1:0")
        .with("admin.authentication.users=me=plaintext:hunter2-word")
        .with(&format!("admin.ssl.keystore.certificate.chain={}", issued.certificate))
        .with(&format!("admin.ssl.keystore.key={}", issued.key))
        .with("some.password=hunter2-unknown")
        .with("listener.name.plaintext.ssl.some.password=hunter2-sasl")
        .env("PHAROS_LOG", "debug")
        .start();
    let client = TlsClient::plain(&authority);
    let mut told = Vec::new();
    for path in PAGES {
        let answer = client.get(server.admin(), path, &basic("me", "hunter2-word")).unwrap();
        assert!(answer.0 != 401, "{path}: {answer:?}");
        told.push((path.to_owned(), answer.1));
        let refused = client.get(server.admin(), path, &basic("me", "hunter2-try")).unwrap();
        told.push((format!("{path} refused"), refused.1));
    }
    let settings = &told.iter().find(|(path, _)| path == "/api/config").unwrap().1;
    assert!(settings.contains("admin.ssl.keystore.key"), "{settings}");
    told.push(("DescribeConfigs".to_owned(), described(&server)));
    told.push(("the log".to_owned(), server.log()));
    told.push((
        "the ready file".to_owned(),
        fs::read_to_string(home.path().join("ready.json")).unwrap(),
    ));
    drop(server);

    let refusals = [
        vec!["admin.authentication.users=hunter2-word"],
        vec![
            "admin.authentication.users=me=plaintext:hunter2-word,you",
            "admin.authentication.users.file=x",
        ],
        vec!["admin.ssl.keystore.key=hunter2-word"],
        vec!["admin.listeners=HTTPS://:0", "admin.ssl.keystore.password=hunter2-word"],
        vec!["ssl.keystore.password=hunter2-word"],
        vec!["sasl.jaas.config=hunter2-sasl"],
    ];
    for overrides in refusals {
        let launch =
            overrides.iter().fold(Launch::up(home.path()), |launch, pair| launch.with(pair));
        let (code, text) = launch.env("PHAROS_LOG", "debug").refused();
        assert_eq!(code, Some(1), "{overrides:?}: {text}");
        told.push((overrides.join(" "), text));
    }
    let with_secrets = home.path().join("secret.yml");
    let store = stores.join("keytool.p12");
    let text = format!(
        "httpServer:\n  authentication:\n    basic: {{username: me, password: hunter2-word}}\n  ssl:\n    \
         keyStore: {{filename: {}, password: hunter2-sasl}}\nrules: []\n",
        store.display()
    );
    fs::write(&with_secrets, text).unwrap();
    for arguments in [
        vec!["rules", "check", "secret.yml", "--verbose"],
        vec!["explain", "pharos_admin_refused_total", "--rules", "secret.yml"],
        vec!["up", "--override", "metrics.rules=secret.yml"],
    ] {
        let ran = Command::new(env!("CARGO_BIN_EXE_pharos"))
            .args(&arguments)
            .args(if arguments[0] == "up" {
                &["--override", "listeners=PLAINTEXT://127.0.0.1:0"][..]
            } else {
                &[]
            })
            .current_dir(home.path())
            .env_clear()
            .output()
            .unwrap();
        let both = [ran.stdout, ran.stderr].concat();
        told.push((arguments.join(" "), String::from_utf8(both).unwrap()));
    }
    for (what, text) in &told {
        for secret in secrets {
            assert!(!text.contains(secret), "{what} tells {secret}: {text}");
        }
    }
}

fn described(server: &Server) -> String {
    let resource = describe_configs_request::DescribeConfigsResource {
        resource_type: 4,
        resource_name: "0".to_owned(),
        configuration_keys: None,
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        include_documentation: true,
    };
    let answer: DescribeConfigsResponse = server.connect().call(&request, 4).unwrap();
    let told = format!("{answer:?}");
    assert!(told.contains("admin.ssl.keystore.key"), "{told}");
    told
}
