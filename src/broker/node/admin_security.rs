//! What protects the admin listener: what the configuration says or, where it says nothing, what a rule
//! file says of the exporter's server (`httpServer`). What a rule file asks for and cannot be had
//! refuses the start: nobody shall think pages closed that are open.

use std::path::PathBuf;
use std::sync::Arc;

use pharos_admin::{AdminAddress, Hosts, Protection};
use pharos_base::{Secret, host_name};
use pharos_config::{BrokerConfig, rows};
use pharos_metrics::Registry;
use pharos_metrics::rules::{BasicUser, HttpServer, Ssl, SslIdentity, SslStore};
use pharos_security::{
    Accounts, Algorithm, ClientAuth, Hashed, KeyStore, Source, TlsOptions, TlsServer, TrustStore,
    Users, Verifier,
};

use super::StartError;
use crate::reload::RuleSource;
use crate::security_files::SecurityFiles;

/// The protection of a node's admin listeners.
pub struct AdminSecurity {
    /// Where they listen.
    pub addresses: Vec<AdminAddress>,
    /// What protects them.
    pub protection: Protection,
    /// The files that it was read from.
    pub files: SecurityFiles,
}

impl AdminSecurity {
    /// Reads and checks what `config` and the rule files ask for.
    ///
    /// # Errors
    /// What cannot be had.
    pub fn open(
        config: &BrokerConfig,
        registry: &Registry,
        rules: &[RuleSource],
    ) -> Result<Self, StartError> {
        let mut addresses: Vec<_> = config
            .admin_listeners()
            .iter()
            .map(|it| AdminAddress {
                secure: it.name == "HTTPS",
                host: it.host.clone(),
                port: it.port,
            })
            .collect();
        let of_rules = FromRules::find(rules)?;
        let tls = match own_tls(config) {
            own @ Some(_) if of_rules.ssl.is_none() => own,
            own => of_rules.tls(config, &mut addresses)?.or(own),
        };
        let tls = tls.map(|options| open_tls(options, &of_rules)).transpose()?.map(Arc::new);
        if tls.is_none() && addresses.iter().any(|address| address.secure) {
            let why = "admin.listeners: HTTPS needs a key store: expected \
                admin.ssl.keystore.location, or httpServer.ssl in a rule file";
            return Err(StartError::Security(why.to_owned()));
        }
        let accounts = match own_accounts(config)? {
            own @ Some(_) if of_rules.basic.is_none() => own,
            _ => of_rules.accounts(config)?,
        };
        let accounts = accounts.map(Arc::new);
        let mut protection = Protection::new(registry, hosts(config)?);
        if let Some(accounts) = &accounts {
            protection = protection.with_users(accounts.clone());
        }
        if let Some(tls) = &tls {
            protection = protection.with_tls(tls.clone());
        }
        let files = SecurityFiles::new(registry, tls, accounts);
        Ok(Self { addresses, protection, files })
    }
}

/// The names of this node, and those that are allowed beside.
fn hosts(config: &BrokerConfig) -> Result<Hosts, StartError> {
    let machine = host_name();
    let advertised = config.endpoints().advertised.iter().map(|it| it.address.host.as_str());
    let bound = config.admin_listeners().iter().map(|it| it.host.as_str());
    let own = advertised.chain(bound).chain([machine.as_str()]).filter(|host| !host.is_empty());
    let key = &rows::ADMIN_ALLOWED_HOSTS;
    Hosts::new(own, config.get(key).iter().map(String::as_str))
        .map_err(|error| StartError::Security(format!("{}: {error}", key.row.name)))
}

fn given(text: Option<&Secret>) -> Option<Secret> {
    text.filter(|text| !text.reveal().trim().is_empty()).cloned()
}

/// TLS as the configuration asks for it.
fn own_tls(config: &BrokerConfig) -> Option<TlsOptions> {
    let chain = given(config.get(&rows::ADMIN_SSL_KEYSTORE_CERTIFICATE_CHAIN));
    let key = given(config.get(&rows::ADMIN_SSL_KEYSTORE_KEY));
    let location = config.get(&rows::ADMIN_SSL_KEYSTORE_LOCATION).map(PathBuf::from);
    let password = given(config.get(&rows::ADMIN_SSL_KEY_PASSWORD));
    let opens = given(config.get(&rows::ADMIN_SSL_KEYSTORE_PASSWORD));
    let key_store = match (location, config.get(&rows::ADMIN_SSL_KEYSTORE_TYPE)) {
        (Some(file), "PKCS12") => {
            let password = opens.unwrap_or_else(|| Secret::new(""));
            KeyStore::Pkcs12 { file, password, alias: None }
        }
        (Some(file), _) => {
            let (chain, key) = (Source::File(file.clone()), Source::File(file));
            KeyStore::Pem { chain, key, password }
        }
        (None, _) => {
            KeyStore::Pem { chain: Source::Text(chain?), key: Source::Text(key?), password }
        }
    };
    let client_auth = match config.get(&rows::ADMIN_SSL_CLIENT_AUTH) {
        "required" => ClientAuth::Required,
        "requested" => ClientAuth::Requested,
        _ => ClientAuth::None,
    };
    Some(TlsOptions {
        key_store,
        trust_store: own_trust_store(config),
        client_auth,
        protocols: config.get(&rows::ADMIN_SSL_ENABLED_PROTOCOLS).to_vec(),
        cipher_suites: config.get(&rows::ADMIN_SSL_CIPHER_SUITES).to_vec(),
        alpn: alpn(),
    })
}

fn own_trust_store(config: &BrokerConfig) -> Option<TrustStore> {
    let location = config.get(&rows::ADMIN_SSL_TRUSTSTORE_LOCATION).map(PathBuf::from);
    let opens = given(config.get(&rows::ADMIN_SSL_TRUSTSTORE_PASSWORD));
    match (location, config.get(&rows::ADMIN_SSL_TRUSTSTORE_TYPE)) {
        (Some(file), "PKCS12") => {
            let password = opens.unwrap_or_else(|| Secret::new(""));
            Some(TrustStore::Pkcs12 { file, password })
        }
        (Some(file), _) => Some(TrustStore::Pem(Source::File(file))),
        (None, _) => {
            let inline = given(config.get(&rows::ADMIN_SSL_TRUSTSTORE_CERTIFICATES))?;
            Some(TrustStore::Pem(Source::Text(inline)))
        }
    }
}

/// What is spoken inside of TLS.
fn alpn() -> Vec<Vec<u8>> {
    vec![b"http/1.1".to_vec()]
}

fn open_tls(options: TlsOptions, of_rules: &FromRules<'_>) -> Result<TlsServer, StartError> {
    TlsServer::open(options).map_err(|error| match &of_rules.ssl {
        Some(place) => place.refused("ssl", &error.to_string()),
        None => StartError::Security(format!("admin.ssl: {error}")),
    })
}

/// Users as the configuration names them.
fn own_accounts(config: &BrokerConfig) -> Result<Option<Accounts>, StartError> {
    let refused = |key: &str, error: pharos_security::AccountsError| {
        Err(StartError::Security(format!("{key}: {error}")))
    };
    if let Some(file) = config.get(&rows::ADMIN_AUTHENTICATION_USERS_FILE) {
        let accounts = Accounts::of_file(PathBuf::from(file));
        let key = rows::ADMIN_AUTHENTICATION_USERS_FILE.row.name;
        return accounts.map(Some).or_else(|error| refused(key, error));
    }
    let Some(text) = given(config.get(&rows::ADMIN_AUTHENTICATION_USERS)) else { return Ok(None) };
    let key = rows::ADMIN_AUTHENTICATION_USERS.row.name;
    Accounts::of_text(&text).map(Some).or_else(|error| refused(key, error))
}

/// What rule files say of the server, each part by at most one voice.
struct FromRules<'a> {
    ssl: Option<Place<'a, Ssl>>,
    basic: Option<Place<'a, BasicUser>>,
}

/// A part of a rule file.
struct Place<'a, T> {
    file: &'a str,
    line: usize,
    part: &'a T,
}

impl<T> Place<'_, T> {
    fn refused(&self, part: &str, why: &str) -> StartError {
        let Self { file, line, .. } = self;
        StartError::Rules(format!("{file}: line {line}: httpServer: {part}: {why}"))
    }
}

impl<'a> FromRules<'a> {
    fn find(rules: &'a [RuleSource]) -> Result<Self, StartError> {
        Ok(Self {
            ssl: only(rules, "ssl", |server| server.ssl.as_ref())?,
            basic: only(rules, "authentication", |server| server.basic.as_ref())?,
        })
    }

    /// TLS by a rule file. Where nobody said how pages are served, they are then served by TLS.
    fn tls(
        &self,
        config: &BrokerConfig,
        addresses: &mut [AdminAddress],
    ) -> Result<Option<TlsOptions>, StartError> {
        let Some(place) = &self.ssl else { return Ok(None) };
        let refused = |why: &str| place.refused("ssl", why);
        if let Some(key) = config.given().keys().find(|key| key.starts_with("admin.ssl.")) {
            return Err(refused(&format!("expected none beside {key}, which says so already")));
        }
        let told = config.given().contains_key(rows::ADMIN_LISTENERS.row.name);
        if let Some(plain) = addresses.iter().find(|address| told && !address.secure) {
            return Err(refused(&format!("expected HTTPS in admin.listeners, found {plain}")));
        }
        addresses.iter_mut().for_each(|address| address.secure = true);
        tls_of_rules(place.part, config).map(Some).map_err(|why| refused(&why))
    }

    fn accounts(&self, config: &BrokerConfig) -> Result<Option<Accounts>, StartError> {
        let Some(place) = &self.basic else { return Ok(None) };
        let refused = |why: &str| place.refused("authentication", why);
        let own = "admin.authentication.users";
        if let Some(key) = config.given().keys().find(|key| key.starts_with(own)) {
            return Err(refused(&format!("expected none beside {key}, which says so already")));
        }
        let user = user_of_rules(place.part).map_err(|why| refused(&why))?;
        Accounts::of(user).map(Some).map_err(|error| refused(&error.to_string()))
    }
}

/// The part of the one rule file that has it, or of several that say the same.
fn only<'a, T: PartialEq>(
    rules: &'a [RuleSource],
    name: &str,
    part: impl Fn(&'a HttpServer) -> Option<&'a T>,
) -> Result<Option<Place<'a, T>>, StartError> {
    let mut found: Option<Place<'a, T>> = None;
    for source in rules {
        let Some(server) = &source.server else { continue };
        let Some(part) = part(server) else { continue };
        let place = Place { file: &source.file, line: server.line, part };
        match &found {
            Some(first) if first.part != part => {
                let why = format!("expected the same as in {}", first.file);
                return Err(place.refused(name, &why));
            }
            Some(_) => {}
            None => found = Some(place),
        }
    }
    Ok(found)
}

fn tls_of_rules(ssl: &Ssl, config: &BrokerConfig) -> Result<TlsOptions, String> {
    let key_store = match &ssl.identity {
        SslIdentity::Store { store: SslStore { filename, password }, alias } => KeyStore::Pkcs12 {
            file: PathBuf::from(filename),
            password: resolved(password.reveal())?,
            alias: alias.clone(),
        },
        SslIdentity::Pem { certificate, key, password } => KeyStore::Pem {
            chain: Source::File(PathBuf::from(certificate)),
            key: Source::File(PathBuf::from(key)),
            password: password.as_ref().map(|it| resolved(it.reveal())).transpose()?,
        },
    };
    let trusted = |store: &SslStore| {
        let password = resolved(store.password.reveal())?;
        Ok::<_, String>(TrustStore::Pkcs12 { file: PathBuf::from(&store.filename), password })
    };
    let trust_store = ssl.trust_store.as_ref().map(trusted).transpose()?;
    let client_auth = trust_store.as_ref().map_or(ClientAuth::None, |_| ClientAuth::Required);
    let mut protocols = ssl.protocols.clone();
    if protocols.is_empty() {
        protocols = config.get(&rows::ADMIN_SSL_ENABLED_PROTOCOLS).to_vec();
    }
    let cipher_suites = ssl.ciphers.clone();
    Ok(TlsOptions { key_store, trust_store, client_auth, protocols, cipher_suites, alpn: alpn() })
}

fn user_of_rules(user: &BasicUser) -> Result<Users, String> {
    let algorithm = Algorithm::named(&user.algorithm).map_err(|error| error.to_string())?;
    let verifier = if algorithm == Algorithm::Plaintext {
        Verifier::plaintext(resolved(user.password.reveal())?.reveal())
    } else {
        // Where it is not given, the exporter takes 128.
        let slow = algorithm.default_iterations().is_some();
        let key_length = user.key_length.or(slow.then_some(128));
        Verifier::hashed(&Hashed {
            algorithm,
            salt: &user.salt,
            hash: user.password.reveal(),
            iterations: user.iterations,
            key_length,
        })
    };
    let name = resolved(&user.username)?.reveal().to_owned();
    Ok(Users::one(name, verifier.map_err(|error| error.to_string())?))
}

/// A value, or that of the environment's variable which `${NAME}` names.
fn resolved(text: &str) -> Result<Secret, String> {
    let name = text.trim().strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    let Some(name) = name.map(str::trim).filter(|_| text.trim() != "${}") else {
        return Ok(Secret::new(text));
    };
    let value = std::env::var(name).unwrap_or_default();
    match value.trim() {
        "" => Err(format!("the variable {name:?} of the environment is not set")),
        value => Ok(Secret::new(value)),
    }
}
