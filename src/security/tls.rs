//! The server's end of TLS: what a handshake is made with, put together from key store, trust store and
//! settings, and put together anew when a file changes.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{
    InconsistentKeys, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion, version,
};

use crate::key_material::{Identity, KeyStore, TrustStore};
use crate::watched::{Contents, FileError, Reading, Watched};

/// Whether those who connect must show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// They are not asked.
    None,
    /// They are asked and may have none; a wrong one is refused.
    Requested,
    /// Without one they are refused.
    Required,
}

/// What a listener's TLS is made of.
#[derive(Clone, Debug)]
pub struct TlsOptions {
    /// The server's own certificate and key.
    pub key_store: KeyStore,
    /// Who signs certificates of those who connect.
    pub trust_store: Option<TrustStore>,
    /// Whether they must show one.
    pub client_auth: ClientAuth,
    /// Versions, as `TLSv1.3`.
    pub protocols: Vec<String>,
    /// Suites by their names in the standard, the preferred first; empty for all.
    pub cipher_suites: Vec<String>,
    /// Protocols that may be spoken inside, the preferred first (ALPN).
    pub alpn: Vec<Vec<u8>>,
}

/// Why there is no TLS. Nothing of a key or a password is told.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// What should be PEM is none.
    #[error("{0}: a section of the PEM is broken")]
    Pem(String),
    /// No certificate.
    #[error("{0}: expected certificates in PEM")]
    NoCertificate(String),
    /// A certificate that makes no sense.
    #[error("{0}: a certificate cannot be read")]
    Certificate(String),
    /// No private key.
    #[error("{0}: expected a private key in PEM")]
    NoKey(String),
    /// A private key whose password is missing.
    #[error("{0}: the private key is encrypted: expected its password")]
    Password(String),
    /// A private key that cannot be decrypted.
    #[error(
        "{0}: the private key cannot be decrypted: a wrong password, or an old kind of encryption"
    )]
    Encrypted(String),
    /// A private key of an unknown kind.
    #[error("{0}: the private key cannot be used: expected RSA, ECDSA or Ed25519")]
    Key(String),
    /// A private key of another certificate.
    #[error("{0}: the private key does not belong to the first certificate")]
    Mismatch(String),
    /// A store in PKCS12.
    #[error("{}: {why}", path.display())]
    Pkcs12 {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A certificate is asked of clients that nobody could have signed.
    #[error("expected a trust store: certificates of clients are asked for")]
    NoTrust,
    /// A version that is not spoken.
    #[error("{0:?} is not spoken: expected TLSv1.2, TLSv1.3")]
    Protocol(String),
    /// A suite that is not spoken.
    #[error("{0:?} is not spoken: expected {all}", all = suite_names())]
    CipherSuite(String),
    /// Versions and suites that do not go together.
    #[error("none of the cipher suites belongs to one of the TLS versions")]
    NoSuite,
}

/// What a handshake is made with.
pub struct Tls {
    /// For the handshake.
    pub config: Arc<ServerConfig>,
    /// When the first certificate of the chain begins to be valid, in seconds since 1970.
    pub not_before: i64,
    /// When the first certificate of the chain to end does so, in seconds since 1970.
    pub not_after: i64,
}

/// The server's end of TLS.
pub struct TlsServer {
    watched: Watched<Tls, TlsError>,
    options: TlsOptions,
}

impl std::fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.options.fmt(f)
    }
}

impl TlsServer {
    /// Reads what is needed.
    ///
    /// # Errors
    /// What is missing or makes no sense.
    pub fn open(options: TlsOptions) -> Result<Self, TlsError> {
        let mut files = options.key_store.files();
        files.extend(options.trust_store.as_ref().and_then(TrustStore::file));
        files.sort();
        files.dedup();
        let of = options.clone();
        let watched = Watched::open(files, Box::new(move |contents| build(&of, contents)))?;
        Ok(Self { watched, options })
    }

    /// What the next handshake is made with.
    pub fn current(&self) -> Arc<Tls> {
        self.watched.current()
    }

    /// What errors call its key store.
    pub fn place(&self) -> String {
        self.options.key_store.place()
    }

    /// Reads files that have changed; true when something new is in force.
    ///
    /// # Errors
    /// They cannot be used; the old ones stay.
    pub fn refresh(&self, reading: Reading) -> Result<bool, TlsError> {
        self.watched.refresh(reading)
    }
}

fn build(options: &TlsOptions, contents: &Contents) -> Result<Tls, TlsError> {
    let mut provider = ring::default_provider();
    if !options.cipher_suites.is_empty() {
        let chosen = options.cipher_suites.iter().map(|name| suite(&provider, name));
        provider.cipher_suites = chosen.collect::<Result<_, _>>()?;
    }
    let provider = Arc::new(provider);
    let versions = options.protocols.iter().map(|name| protocol(name));
    let versions = versions.collect::<Result<Vec<_>, _>>()?;
    let place = options.key_store.place();
    let Identity { chain, key } = options.key_store.identity(contents)?;
    let (mut not_before, mut not_after) = (i64::MIN, i64::MAX);
    for certificate in &chain {
        let (_, read) = x509_parser::parse_x509_certificate(certificate)
            .map_err(|_| TlsError::Certificate(place.clone()))?;
        not_before = not_before.max(read.validity().not_before.timestamp());
        not_after = not_after.min(read.validity().not_after.timestamp());
    }
    let builder = ServerConfig::builder_with_provider(provider.clone());
    let builder = builder.with_protocol_versions(&versions).map_err(|_| TlsError::NoSuite)?;
    let builder = builder.with_client_cert_verifier(clients(options, &provider, contents)?);
    let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::Mismatch(place),
        rustls::Error::InvalidCertificate(_) => TlsError::Certificate(place),
        _ => TlsError::Key(place),
    })?;
    config.alpn_protocols.clone_from(&options.alpn);
    Ok(Tls { config: Arc::new(config), not_before, not_after })
}

fn clients(
    options: &TlsOptions,
    provider: &Arc<CryptoProvider>,
    contents: &Contents,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    if options.client_auth == ClientAuth::None {
        return Ok(WebPkiClientVerifier::no_client_auth());
    }
    let roots = options.trust_store.as_ref().ok_or(TlsError::NoTrust)?.roots(contents)?;
    let mut builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    if options.client_auth == ClientAuth::Requested {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map_err(|_| TlsError::NoTrust)
}

fn protocol(name: &str) -> Result<&'static SupportedProtocolVersion, TlsError> {
    match name {
        "TLSv1.2" => Ok(&version::TLS12),
        "TLSv1.3" => Ok(&version::TLS13),
        other => Err(TlsError::Protocol(other.to_owned())),
    }
}

/// The standard's name of a suite: those of TLS 1.3 carry no version in it.
fn suite_name(suite: &SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1)
}

fn suite(provider: &CryptoProvider, name: &str) -> Result<SupportedCipherSuite, TlsError> {
    let found = provider.cipher_suites.iter().find(|suite| suite_name(suite) == name);
    found.copied().ok_or_else(|| TlsError::CipherSuite(name.to_owned()))
}

fn suite_names() -> String {
    let names: Vec<_> = ring::default_provider().cipher_suites.iter().map(suite_name).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests;
