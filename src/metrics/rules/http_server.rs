//! `httpServer` of a rule file: who may read the exporter's pages, and by what TLS. It is told as it
//! stands there; whether it can be had is a matter of the listener.

use pharos_base::Secret;

use super::config::{Result, expected};
use super::yaml::Yaml;

/// What a rule file says of the server that shows its pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpServer {
    /// The line of `httpServer`, from 1; 0 when it cannot be told.
    pub line: usize,
    /// `authentication.basic`.
    pub basic: Option<BasicUser>,
    /// `ssl`.
    pub ssl: Option<Ssl>,
}

/// The user who may read. Name and password may be `${VARIABLE}` of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BasicUser {
    /// `username`.
    pub username: String,
    /// `algorithm`; plaintext where not given.
    pub algorithm: String,
    /// `password`, or `passwordHash`.
    pub password: Secret,
    /// `salt`; empty where not given.
    pub salt: String,
    /// `iterations`.
    pub iterations: Option<u32>,
    /// `keyLength`.
    pub key_length: Option<u32>,
}

/// TLS of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssl {
    /// The server's own certificate.
    pub identity: SslIdentity,
    /// Who signs certificates of those who connect; they must show one where it is given.
    pub trust_store: Option<SslStore>,
    /// `protocols`; empty where not given.
    pub protocols: Vec<String>,
    /// `ciphers`; empty where not given.
    pub ciphers: Vec<String>,
}

/// Where the server's own certificate lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SslIdentity {
    /// `keyStore`.
    Store {
        /// The store.
        store: SslStore,
        /// `certificate.alias`.
        alias: Option<String>,
    },
    /// `pem`.
    Pem {
        /// `certificate.filename`.
        certificate: String,
        /// `privateKey.filename`.
        key: String,
        /// `privateKey.password`.
        password: Option<Secret>,
    },
}

/// A store of Java's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SslStore {
    /// `filename`.
    pub filename: String,
    /// `password`.
    pub password: Secret,
}

/// Reads `httpServer`. What would protect pages and cannot is refused: it must not be thought to.
pub(super) fn read(yaml: &Yaml, warnings: &mut Vec<String>) -> Result<Option<HttpServer>> {
    let server = match yaml.get("httpServer") {
        None | Some(Yaml::Null) => return Ok(None),
        Some(server @ Yaml::Map(_)) => server,
        Some(other) => return Err(expected("httpServer", "a map", other)),
    };
    for (key, _) in server.entries() {
        let key = key.scalar().unwrap_or_default();
        if !matches!(key.as_str(), "ssl" | "authentication") {
            let why = "admin.listeners says where and how pages are served";
            warnings.push(format!("httpServer.{key} is ignored: {why}"));
        }
    }
    let place = |message: String| format!("httpServer: {message}");
    let basic = server.get("authentication").map(authentication).transpose().map_err(place)?;
    let ssl = server.get("ssl").map(|node| ssl(node, warnings)).transpose().map_err(place)?;
    let given = basic.is_some() || ssl.is_some();
    Ok(given.then_some(HttpServer { line: 0, basic, ssl }))
}

fn authentication(node: &Yaml) -> Result<BasicUser> {
    let place = "authentication";
    known(node, place, &["basic", "plugin"])?;
    if node.get("plugin").is_some() {
        return Err(format!("{place}.plugin is refused: a Java class cannot be loaded"));
    }
    let place = "authentication.basic";
    let basic = node.get("basic").unwrap_or(&Yaml::Null);
    let keys =
        ["username", "password", "passwordHash", "salt", "algorithm", "iterations", "keyLength"];
    known(basic, place, &keys)?;
    let text = |key: &str| text(basic, place, key);
    let number = |key: &str| {
        let Some(value) = basic.get(key) else { return Ok(None) };
        let number = value.scalar().and_then(|text| text.trim().parse().ok());
        let wrong = || expected(&format!("{place}.{key}"), "a number from 1", value);
        number.filter(|number| *number > 0).map(Some).ok_or_else(wrong)
    };
    let algorithm = text("algorithm")?.unwrap_or_else(|| "plaintext".to_owned());
    let plain = algorithm.eq_ignore_ascii_case("plaintext");
    let key = if plain { "password" } else { "passwordHash" };
    let missing = |key: &str| format!("{place}.{key} is missing");
    Ok(BasicUser {
        username: text("username")?.ok_or_else(|| missing("username"))?,
        password: Secret::new(text(key)?.ok_or_else(|| missing(key))?),
        salt: text("salt")?.unwrap_or_default(),
        iterations: number("iterations")?,
        key_length: number("keyLength")?,
        algorithm,
    })
}

fn ssl(node: &Yaml, warnings: &mut Vec<String>) -> Result<Ssl> {
    let keys =
        ["keyStore", "trustStore", "certificate", "pem", "mutualTLS", "protocols", "ciphers"];
    known(node, "ssl", &keys)?;
    let mutual = match node.get("mutualTLS").map(|value| (value, value.scalar())) {
        None => false,
        Some((_, Some(word))) if word.eq_ignore_ascii_case("true") => true,
        Some((_, Some(word))) if word.eq_ignore_ascii_case("false") => false,
        Some((other, _)) => return Err(expected("ssl.mutualTLS", "a boolean", other)),
    };
    let trust_store = match node.get("trustStore") {
        None if mutual => return Err("ssl.trustStore.filename is missing: no JVM gives one".into()),
        Some(trusted) if mutual => Some(store(trusted, "ssl.trustStore")?),
        Some(_) => {
            warnings.push("httpServer.ssl.trustStore is ignored: mutualTLS is not true".into());
            None
        }
        None => None,
    };
    Ok(Ssl {
        identity: identity(node)?,
        trust_store,
        protocols: words(node, "protocols")?,
        ciphers: words(node, "ciphers")?,
    })
}

fn identity(node: &Yaml) -> Result<SslIdentity> {
    let alias = match node.get("certificate") {
        None => None,
        Some(certificate) => {
            known(certificate, "ssl.certificate", &["alias"])?;
            text(certificate, "ssl.certificate", "alias")?
        }
    };
    let Some(pem) = node.get("pem") else {
        let store = store(node.get("keyStore").unwrap_or(&Yaml::Null), "ssl.keyStore")?;
        return Ok(SslIdentity::Store { store, alias });
    };
    if node.get("keyStore").is_some() || alias.is_some() {
        return Err("ssl.pem excludes ssl.keyStore and ssl.certificate".into());
    }
    known(pem, "ssl.pem", &["certificate", "privateKey"])?;
    let part = |key: &str, keys: &[&str]| {
        let place = format!("ssl.pem.{key}");
        let node = pem.get(key).unwrap_or(&Yaml::Null);
        known(node, &place, keys)?;
        let file = text(node, &place, "filename")?;
        let file = file.ok_or_else(|| format!("{place}.filename is missing"))?;
        Ok::<_, String>((file, text(node, &place, "password")?.map(Secret::new)))
    };
    let (certificate, _) = part("certificate", &["filename"])?;
    let (key, password) = part("privateKey", &["filename", "password"])?;
    Ok(SslIdentity::Pem { certificate, key, password })
}

fn store(node: &Yaml, place: &str) -> Result<SslStore> {
    known(node, place, &["filename", "type", "password"])?;
    let missing = |key: &str| format!("{place}.{key} is missing: no JVM gives one");
    let filename = text(node, place, "filename")?.ok_or_else(|| missing("filename"))?;
    let password = text(node, place, "password")?.ok_or_else(|| missing("password"))?;
    // Java reads either format under either name.
    match text(node, place, "type")?.map(|kind| kind.to_ascii_uppercase()).as_deref() {
        None | Some("JKS" | "PKCS12") => Ok(SslStore { filename, password: Secret::new(password) }),
        Some(_) => Err(format!("{place}.type is refused: expected PKCS12")),
    }
}

/// A text that is not blank, or none. A secret may be among them: what is wrong is not told.
fn text(node: &Yaml, place: &str, key: &str) -> Result<Option<String>> {
    match node.get(key) {
        None => Ok(None),
        Some(Yaml::Text(text)) if !text.trim().is_empty() => Ok(Some(text.clone())),
        Some(other) => {
            let found = if matches!(other, Yaml::Text(_)) { "a blank one" } else { other.kind() };
            Err(format!("{place}.{key}: expected a text, found {found}"))
        }
    }
}

/// Words separated by commas, or a list of them.
fn words(node: &Yaml, key: &str) -> Result<Vec<String>> {
    let text = match node.get(key) {
        None => return Ok(Vec::new()),
        Some(Yaml::Text(text)) => text.clone(),
        Some(Yaml::List(list)) => {
            list.iter().filter_map(Yaml::scalar).collect::<Vec<_>>().join(",")
        }
        Some(other) => return Err(expected(&format!("ssl.{key}"), "a text", other)),
    };
    Ok(text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect())
}

/// Refuses whatever is no map, or has keys that are none of `keys`.
fn known(node: &Yaml, place: &str, keys: &[&str]) -> Result<()> {
    if !matches!(node, Yaml::Map(_) | Yaml::Null) {
        return Err(format!("{place}: expected a map, found {}", node.kind()));
    }
    let mut names = node.entries().iter().map(|(key, _)| key.scalar().unwrap_or_default());
    match names.find(|name| !keys.contains(&name.as_str())) {
        Some(name) => Err(format!("{place}: the key {name:?} is unknown")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Generation, RuleSet};

    fn parse(text: &str) -> std::result::Result<RuleSet, String> {
        RuleSet::parse(text, "f.yml", Generation::V1).map_err(|error| error.to_string())
    }

    #[test]
    fn what_protects_the_exporter_is_told_as_it_stands() {
        let text = "rules: []\n\nhttpServer:\n  authentication:\n    basic:\n      username: Prometheus\n      \
            algorithm: PBKDF2WithHmacSHA256\n      passwordHash: 'A1:0E'\n      salt: 'a:b'\n      \
            iterations: 1000\n      keyLength: 16\n  ssl:\n    mutualTLS: true\n    \
            protocols: TLSv1.3, TLSv1.2\n    ciphers: [TLS_AES_256_GCM_SHA384]\n    \
            keyStore: {filename: s.p12, password: changeit}\n    \
            trustStore: {filename: t.p12, type: pkcs12, password: changeit}\n    \
            certificate: {alias: localhost}\n";
        let rules = parse(text).unwrap();
        assert_eq!(rules.warnings(), [""; 0]);
        let found = rules.http_server().unwrap();
        let store = |filename: &str| SslStore {
            filename: filename.to_owned(),
            password: Secret::new("changeit"),
        };
        let wanted = HttpServer {
            line: 3,
            basic: Some(BasicUser {
                username: "Prometheus".to_owned(),
                algorithm: "PBKDF2WithHmacSHA256".to_owned(),
                password: Secret::new("A1:0E"),
                salt: "a:b".to_owned(),
                iterations: Some(1000),
                key_length: Some(16),
            }),
            ssl: Some(Ssl {
                identity: SslIdentity::Store {
                    store: store("s.p12"),
                    alias: Some("localhost".to_owned()),
                },
                trust_store: Some(store("t.p12")),
                protocols: vec!["TLSv1.3".to_owned(), "TLSv1.2".to_owned()],
                ciphers: vec!["TLS_AES_256_GCM_SHA384".to_owned()],
            }),
        };
        assert_eq!(found, &wanted);
        assert!(!format!("{found:?}").contains("changeit"));

        let pem = "httpServer:\n  ssl:\n    pem:\n      certificate: {filename: c.pem}\n      \
            privateKey: {filename: k.pem}\n    trustStore: {filename: t}\n";
        let rules = parse(pem).unwrap();
        assert!(rules.warnings()[0].starts_with("httpServer.ssl.trustStore is ignored: "));
        let identity = &rules.http_server().unwrap().ssl.as_ref().unwrap().identity;
        let (certificate, key) = ("c.pem".to_owned(), "k.pem".to_owned());
        assert_eq!(identity, &SslIdentity::Pem { certificate, key, password: None });
        assert!(parse("httpServer: {threads: {maximum: 5}}\n").unwrap().http_server().is_none());
    }

    #[test]
    fn what_would_protect_and_cannot_is_refused_by_name() {
        for (server, why) in [
            ("ssl: {}", "ssl.keyStore.filename is missing: no JVM gives one"),
            ("ssl: {keyStore: {filename: f}}", "ssl.keyStore.password is missing"),
            (
                "ssl: {keyStore: {filename: f, password: hunter2, type: BKS}}",
                "ssl.keyStore.type is",
            ),
            (
                "ssl: {keyStore: {filename: f, password: 5}}",
                "ssl.keyStore.password: expected a text",
            ),
            (
                "ssl: {keyStore: {filename: ' '}}",
                "ssl.keyStore.filename: expected a text, found a b",
            ),
            ("ssl: {keyStore: hunter2}", "ssl.keyStore: expected a map, found a text"),
            ("ssl: {keystore: {}}", "ssl: the key \"keystore\" is unknown"),
            ("ssl: {mutualTLS: perhaps}", "ssl.mutualTLS: expected a boolean"),
            ("ssl: {mutualTLS: true}", "ssl.trustStore.filename is missing"),
            ("ssl: {pem: {}}", "ssl.pem.certificate.filename is missing"),
            ("ssl: {pem: {}, keyStore: {}}", "ssl.pem excludes"),
            (
                "ssl: {protocols: 5, pem: {certificate: {filename: c}, privateKey: {filename: k}}}",
                "ssl.pr",
            ),
            ("authentication: {}", "authentication.basic.username is missing"),
            ("authentication: {plugin: {class: a.B}}", "authentication.plugin is refused"),
            (
                "authentication: {environment: {}}",
                "authentication: the key \"environment\" is unknown",
            ),
            ("authentication: {basic: {username: a}}", "authentication.basic.password is missing"),
            (
                "authentication: {basic: {username: a, password: hunter2, algorithm: SHA-1}}",
                "authentication.basic.passwordHash is missing",
            ),
            (
                "authentication: {basic: {username: a, password: hunter2, iterations: 0}}",
                "authentication.basic.iterations: expected a number from 1",
            ),
        ] {
            let told = parse(&format!("# one\nhttpServer: {{{server}}}\n")).unwrap_err();
            assert!(told.starts_with(&format!("f.yml: line 2: httpServer: {why}")), "{told}");
            assert!(!told.contains("hunter2") && told.lines().count() == 1, "{told}");
        }
    }
}
