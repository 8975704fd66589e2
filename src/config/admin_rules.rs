//! Rules that bind the keys of the admin listener's protection. What a rule file of jmx_exporter may
//! supply as well is judged where both are known.

use crate::broker::BrokerConfig;
use crate::error::ConfigError;
use crate::row::Row;
use crate::rows;
use crate::rules::refuse;
use crate::value::Value;

/// How a store of Java's own format becomes one that can be read.
const NOT_JKS: &str = "expected PEM or PKCS12: `keytool -importkeystore -srckeystore STORE.jks \
    -destkeystore STORE.p12 -deststoretype PKCS12` makes one of a JKS";

/// Checks all rules.
pub(crate) fn check(config: &BrokerConfig) -> Result<(), ConfigError> {
    let users = (&rows::ADMIN_AUTHENTICATION_USERS.row, &rows::ADMIN_AUTHENTICATION_USERS_FILE.row);
    if given(config, users.0) && given(config, users.1) {
        let expected = "expected no file beside admin.authentication.users";
        return Err(refuse(config, users.1, expected));
    }
    let tls = [
        &rows::ADMIN_SSL_KEY_PASSWORD.row,
        &rows::ADMIN_SSL_KEYSTORE_CERTIFICATE_CHAIN.row,
        &rows::ADMIN_SSL_KEYSTORE_KEY.row,
        &rows::ADMIN_SSL_KEYSTORE_LOCATION.row,
        &rows::ADMIN_SSL_KEYSTORE_PASSWORD.row,
        &rows::ADMIN_SSL_TRUSTSTORE_CERTIFICATES.row,
        &rows::ADMIN_SSL_TRUSTSTORE_LOCATION.row,
        &rows::ADMIN_SSL_TRUSTSTORE_PASSWORD.row,
    ];
    let secure = config.admin_listeners().iter().any(|address| address.name == "HTTPS");
    match tls.into_iter().find(|row| given(config, row)) {
        Some(row) if !secure => {
            Err(refuse(config, row, "expected an address HTTPS://host:port in admin.listeners"))
        }
        _ => key_store(config).and_then(|()| trust_store(config, secure)),
    }
}

fn given(config: &BrokerConfig, row: &Row) -> bool {
    match config.value(row) {
        Value::Null => false,
        Value::Password(secret) => !secret.reveal().trim().is_empty(),
        _ => true,
    }
}

fn key_store(config: &BrokerConfig) -> Result<(), ConfigError> {
    let (location, chain, key) = (
        &rows::ADMIN_SSL_KEYSTORE_LOCATION.row,
        &rows::ADMIN_SSL_KEYSTORE_CERTIFICATE_CHAIN.row,
        &rows::ADMIN_SSL_KEYSTORE_KEY.row,
    );
    let (has_chain, has_key) = (given(config, chain), given(config, key));
    if given(config, location) && (has_chain || has_key) {
        return Err(refuse(config, location, "expected no file beside a chain or key in PEM"));
    }
    if has_chain != has_key {
        let (row, other) = if has_chain { (chain, key) } else { (key, chain) };
        return Err(refuse(config, row, format!("expected {} beside it", other.name)));
    }
    let password = &rows::ADMIN_SSL_KEYSTORE_PASSWORD.row;
    match config.get(&rows::ADMIN_SSL_KEYSTORE_TYPE) {
        "PEM" if given(config, password) => {
            Err(refuse(config, password, "expected none for PEM: see admin.ssl.key.password"))
        }
        "PKCS12" if given(config, &rows::ADMIN_SSL_KEY_PASSWORD.row) => {
            let row = &rows::ADMIN_SSL_KEY_PASSWORD.row;
            Err(refuse(config, row, "expected none for PKCS12: the store's password opens the key"))
        }
        "PKCS12" if has_chain => Err(refuse(config, chain, "expected the type PEM")),
        "JKS" => Err(refuse(config, &rows::ADMIN_SSL_KEYSTORE_TYPE.row, NOT_JKS)),
        _ => Ok(()),
    }
}

fn trust_store(config: &BrokerConfig, secure: bool) -> Result<(), ConfigError> {
    let (location, inline) =
        (&rows::ADMIN_SSL_TRUSTSTORE_LOCATION.row, &rows::ADMIN_SSL_TRUSTSTORE_CERTIFICATES.row);
    let (file, text) = (given(config, location), given(config, inline));
    if file && text {
        return Err(refuse(config, location, "expected no file beside certificates in PEM"));
    }
    let (row, asked) =
        (&rows::ADMIN_SSL_CLIENT_AUTH.row, config.get(&rows::ADMIN_SSL_CLIENT_AUTH) != "none");
    if asked && !secure {
        return Err(refuse(
            config,
            row,
            "expected an address HTTPS://host:port in admin.listeners",
        ));
    }
    if asked && !file && !text {
        return Err(refuse(config, row, "expected admin.ssl.truststore.location beside it"));
    }
    if !asked && (file || text) {
        let row = if file { location } else { inline };
        let expected = "expected admin.ssl.client.auth=required or requested beside it";
        return Err(refuse(config, row, expected));
    }
    let password = &rows::ADMIN_SSL_TRUSTSTORE_PASSWORD.row;
    match config.get(&rows::ADMIN_SSL_TRUSTSTORE_TYPE) {
        "PEM" if given(config, password) => Err(refuse(config, password, "expected none for PEM")),
        "PKCS12" if text => Err(refuse(config, inline, "expected the type PEM")),
        "JKS" => Err(refuse(config, &rows::ADMIN_SSL_TRUSTSTORE_TYPE.row, NOT_JKS)),
        _ => Ok(()),
    }
}
