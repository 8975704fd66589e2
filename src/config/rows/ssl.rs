//! Rows of TLS: known by name, refused while there is no TLS.

use crate::row::broker_rows;
use crate::value::{Class, List, Password, Text};

broker_rows! {
    /// Whether a new certificate may carry another subject.
    SSL_ALLOW_DN_CHANGES: bool = key("ssl.allow.dn.changes")
        .default("false").low().refused("TLS", &[]);
    /// Whether a new certificate may drop alternative names.
    SSL_ALLOW_SAN_CHANGES: bool = key("ssl.allow.san.changes")
        .default("false").low().refused("TLS", &[]);
    /// TLS cipher suites.
    SSL_CIPHER_SUITES: List = key("ssl.cipher.suites").default("").per_broker().refused("TLS", &[]);
    /// Whether clients must show a certificate.
    SSL_CLIENT_AUTH: Text = key("ssl.client.auth")
        .default("none").one_of(&["required", "requested", "none"]).per_broker()
        .refused("TLS", &[]);
    /// TLS versions.
    SSL_ENABLED_PROTOCOLS: List = key("ssl.enabled.protocols")
        .default("TLSv1.2,TLSv1.3").per_broker().refused("TLS", &["TLSv1.2", "TLSv1.3"]);
    /// How the name in a server's certificate is checked.
    SSL_ENDPOINT_IDENTIFICATION_ALGORITHM: Text = key("ssl.endpoint.identification.algorithm")
        .default("https").low().per_broker().refused("TLS", &[""]);
    /// Java class that makes TLS engines.
    SSL_ENGINE_FACTORY_CLASS: Option<Class> = key("ssl.engine.factory.class")
        .low().per_broker().refused("TLS", &[]);
    /// Password of the private key.
    SSL_KEY_PASSWORD: Option<Password> = key("ssl.key.password").per_broker().refused("TLS", &[]);
    /// Java key manager algorithm.
    SSL_KEYMANAGER_ALGORITHM: Text = key("ssl.keymanager.algorithm")
        .default("SunX509").per_broker().refused("TLS", &[]);
    /// Certificate chain in PEM.
    SSL_KEYSTORE_CERTIFICATE_CHAIN: Option<Password> = key("ssl.keystore.certificate.chain")
        .per_broker().refused("TLS", &[]);
    /// Private key in PEM.
    SSL_KEYSTORE_KEY: Option<Password> = key("ssl.keystore.key").per_broker().refused("TLS", &[]);
    /// File of the key store.
    SSL_KEYSTORE_LOCATION: Option<Text> = key("ssl.keystore.location")
        .per_broker().refused("TLS", &[]);
    /// Password of the key store.
    SSL_KEYSTORE_PASSWORD: Option<Password> = key("ssl.keystore.password")
        .per_broker().refused("TLS", &[]);
    /// Format of the key store.
    SSL_KEYSTORE_TYPE: Text = key("ssl.keystore.type")
        .default("JKS").per_broker().refused("TLS", &["PKCS12", "PEM"]);
    /// Rules that map certificate names to user names.
    SSL_PRINCIPAL_MAPPING_RULES: Text = key("ssl.principal.mapping.rules")
        .default("DEFAULT").low().refused("TLS", &[]);
    /// TLS version that is preferred.
    SSL_PROTOCOL: Text = key("ssl.protocol")
        .default("TLSv1.3").per_broker().refused("TLS", &["TLS", "TLSv1.2"]);
    /// Java security provider of TLS.
    SSL_PROVIDER: Option<Text> = key("ssl.provider").per_broker().refused("TLS", &[]);
    /// Java random generator of TLS.
    SSL_SECURE_RANDOM_IMPLEMENTATION: Option<Text> = key("ssl.secure.random.implementation")
        .low().per_broker().refused("TLS", &[]);
    /// Java trust manager algorithm.
    SSL_TRUSTMANAGER_ALGORITHM: Text = key("ssl.trustmanager.algorithm")
        .default("PKIX").per_broker().refused("TLS", &[]);
    /// Trusted certificates in PEM.
    SSL_TRUSTSTORE_CERTIFICATES: Option<Password> = key("ssl.truststore.certificates")
        .per_broker().refused("TLS", &[]);
    /// File of the trust store.
    SSL_TRUSTSTORE_LOCATION: Option<Text> = key("ssl.truststore.location")
        .per_broker().refused("TLS", &[]);
    /// Password of the trust store.
    SSL_TRUSTSTORE_PASSWORD: Option<Password> = key("ssl.truststore.password")
        .per_broker().refused("TLS", &[]);
    /// Format of the trust store.
    SSL_TRUSTSTORE_TYPE: Text = key("ssl.truststore.type")
        .default("JKS").per_broker().refused("TLS", &["PKCS12", "PEM"]);
}
