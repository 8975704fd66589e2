//! Key and trust stores in PKCS12, as `keytool` and `openssl pkcs12` write them.

use p12_keystore::{KeyStore, KeyStoreEntry};
use pharos_base::Secret;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::key_material::Identity;

/// Reads a store. Java's own format, which many files of such names have, is told apart.
fn open(bytes: &[u8], password: &Secret) -> Result<KeyStore, String> {
    if bytes.starts_with(&[0xfe, 0xed, 0xfe, 0xed]) {
        return Err("it is a JKS: `keytool -importkeystore -srckeystore STORE.jks -destkeystore \
                    STORE.p12 -deststoretype PKCS12` makes a PKCS12 of it"
            .to_owned());
    }
    KeyStore::from_pkcs12(bytes, password.reveal())
        .map_err(|_| "its password does not open it, or it is no PKCS12".to_owned())
}

/// The private key of `alias`, or the first one, and its chain.
pub(crate) fn identity(
    bytes: &[u8],
    password: &Secret,
    alias: Option<&str>,
) -> Result<Identity, String> {
    let store = open(bytes, password)?;
    let found = store.entries().find_map(|(name, entry)| match entry {
        KeyStoreEntry::PrivateKeyChain(chain)
            if alias.is_none_or(|alias| alias.eq_ignore_ascii_case(name)) =>
        {
            Some(chain)
        }
        _ => None,
    });
    let found = found.ok_or_else(|| match alias {
        Some(alias) => format!("it has no private key of the alias {alias:?}"),
        None => "it has no private key".to_owned(),
    })?;
    let chain = found.chain().iter().map(|it| CertificateDer::from(it.as_der().to_vec()));
    let key = PrivatePkcs8KeyDer::from(found.key().to_vec()).into();
    Ok(Identity { chain: chain.collect(), key })
}

/// The certificates that stand alone.
pub(crate) fn trusted(
    bytes: &[u8],
    password: &Secret,
) -> Result<Vec<CertificateDer<'static>>, String> {
    let store = open(bytes, password)?;
    let alone = store.entries().filter_map(|(_, entry)| match entry {
        KeyStoreEntry::Certificate(certificate) => {
            Some(CertificateDer::from(certificate.as_der().to_vec()))
        }
        _ => None,
    });
    let alone: Vec<_> = alone.collect();
    if alone.is_empty() {
        return Err("it has no trusted certificate: `keytool -importcert` adds one".to_owned());
    }
    Ok(alone)
}
