//! Private keys and certificates: where they lie, and how they are read from PEM.

use std::path::PathBuf;

use pharos_base::Secret;
use pkcs8::EncryptedPrivateKeyInfo;
use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::pkcs12;
use crate::tls::TlsError;
use crate::watched::Contents;

/// Where material lies.
#[derive(Clone, Debug)]
pub enum Source {
    /// In the configuration itself.
    Text(Secret),
    /// In a file.
    File(PathBuf),
}

/// A certificate chain and its private key.
#[derive(Clone, Debug)]
pub enum KeyStore {
    /// In PEM; both may lie in one file.
    Pem {
        /// The chain, the server's own certificate first.
        chain: Source,
        /// The private key.
        key: Source,
        /// Of an encrypted key.
        password: Option<Secret>,
    },
    /// In PKCS12.
    Pkcs12 {
        /// The file.
        file: PathBuf,
        /// Opens it.
        password: Secret,
        /// Name of the entry; the first private key where not given.
        alias: Option<String>,
    },
}

/// Certificates of those who are trusted to sign others.
#[derive(Clone, Debug)]
pub enum TrustStore {
    /// In PEM.
    Pem(Source),
    /// In PKCS12.
    Pkcs12 {
        /// The file.
        file: PathBuf,
        /// Opens it.
        password: Secret,
    },
}

/// A certificate chain and its private key, read.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Source {
    pub(crate) fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Text(_) => None,
            Self::File(path) => Some(path.clone()),
        }
    }

    /// What errors call it.
    fn place(&self) -> String {
        match self {
            Self::Text(_) => "the PEM that is given".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    fn bytes<'a>(&'a self, contents: &'a Contents) -> &'a [u8] {
        match self {
            Self::Text(text) => text.reveal().as_bytes(),
            Self::File(path) => contents.get(path).map_or(&[], Vec::as_slice),
        }
    }
}

impl KeyStore {
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Pem { chain, key, .. } => {
                [chain, key].into_iter().filter_map(Source::file).collect()
            }
            Self::Pkcs12 { file, .. } => vec![file.clone()],
        }
    }

    /// What errors call it.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Pem { chain, .. } => chain.place(),
            Self::Pkcs12 { file, .. } => file.display().to_string(),
        }
    }

    pub(crate) fn identity(&self, contents: &Contents) -> Result<Identity, TlsError> {
        match self {
            Self::Pem { chain, key, password } => Ok(Identity {
                chain: certificates(chain, contents)?,
                key: private_key(key, password.as_ref(), contents)?,
            }),
            Self::Pkcs12 { file, password, alias } => {
                let bytes = contents.get(file).map_or(&[][..], Vec::as_slice);
                pkcs12::identity(bytes, password, alias.as_deref())
                    .map_err(|why| TlsError::Pkcs12 { path: file.clone(), why })
            }
        }
    }
}

impl TrustStore {
    pub(crate) fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Pem(source) => source.file(),
            Self::Pkcs12 { file, .. } => Some(file.clone()),
        }
    }

    pub(crate) fn roots(&self, contents: &Contents) -> Result<RootCertStore, TlsError> {
        let (place, certificates) = match self {
            Self::Pem(source) => (source.place(), certificates(source, contents)?),
            Self::Pkcs12 { file, password } => {
                let bytes = contents.get(file).map_or(&[][..], Vec::as_slice);
                let found = pkcs12::trusted(bytes, password);
                let found = found.map_err(|why| TlsError::Pkcs12 { path: file.clone(), why })?;
                (file.display().to_string(), found)
            }
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots.add(certificate).map_err(|_| TlsError::Certificate(place.clone()))?;
        }
        Ok(roots)
    }
}

fn certificates(
    source: &Source,
    contents: &Contents,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(source.bytes(contents)).collect();
    match found {
        Ok(found) if found.is_empty() => Err(TlsError::NoCertificate(source.place())),
        Ok(found) => Ok(found),
        // What it quotes may be part of a key.
        Err(_) => Err(TlsError::Pem(source.place())),
    }
}

fn private_key(
    source: &Source,
    password: Option<&Secret>,
    contents: &Contents,
) -> Result<PrivateKeyDer<'static>, TlsError> {
    let bytes = source.bytes(contents);
    match PrivateKeyDer::from_pem_slice(bytes) {
        Err(pem::Error::NoItemsFound) => {}
        found => return found.map_err(|_| TlsError::Pem(source.place())),
    }
    let encrypted = Encrypted::first_of(bytes).ok_or_else(|| TlsError::NoKey(source.place()))?;
    let password = password.ok_or_else(|| TlsError::Password(source.place()))?;
    encrypted.open(password).ok_or_else(|| TlsError::Encrypted(source.place()))
}

/// An encrypted private key, which the reader of sections passes over.
struct Encrypted<'a>(&'a str);

impl<'a> Encrypted<'a> {
    const BEGIN: &'static str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
    const END: &'static str = "-----END ENCRYPTED PRIVATE KEY-----";

    fn first_of(bytes: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (_, rest) = text.split_once(Self::BEGIN)?;
        rest.split_once(Self::END).map(|(body, _)| Self(body))
    }

    fn open(&self, password: &Secret) -> Option<PrivateKeyDer<'static>> {
        let digits: String = self.0.split_whitespace().collect();
        let der =
            base64::Engine::decode(&base64::engine::general_purpose::STANDARD, digits).ok()?;
        let key = EncryptedPrivateKeyInfo::try_from(der.as_slice()).ok()?;
        let key = key.decrypt(password.reveal()).ok()?;
        Some(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
    }
}
