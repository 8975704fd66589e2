//! Material of every form, from rcgen, `openssl` and `keytool`, and what is said of what is no good.

use std::fs;
use std::path::{Path, PathBuf};

use pharos_base::Secret;
use rcgen::{CertificateParams, Issuer, KeyPair, date_time_ymd};

use super::*;
use crate::key_material::Source;

/// Stores made with `tests/golden/tls/make`, all opened by `changeit`.
fn golden(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/tls")).join(name)
}

/// A certificate that ends in 2040, of a signer that ends in 2035, and its key: in PEM.
fn made() -> (String, String) {
    let signer_key = KeyPair::generate().unwrap();
    let mut signer = CertificateParams::new(Vec::new()).unwrap();
    signer.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    signer.not_after = date_time_ymd(2035, 1, 1);
    let signed = signer.self_signed(&signer_key).unwrap();
    let issuer = Issuer::new(signer, signer_key);
    let key = KeyPair::generate().unwrap();
    let mut own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    own.not_before = date_time_ymd(2020, 1, 1);
    own.not_after = date_time_ymd(2040, 1, 1);
    let own = own.signed_by(&key, &issuer).unwrap();
    (own.pem() + &signed.pem(), key.serialize_pem())
}

fn text(text: &str) -> Source {
    Source::Text(Secret::new(text))
}

fn options(key_store: KeyStore) -> TlsOptions {
    TlsOptions {
        key_store,
        trust_store: None,
        client_auth: ClientAuth::None,
        protocols: ["TLSv1.2", "TLSv1.3"].map(str::to_owned).to_vec(),
        cipher_suites: Vec::new(),
        alpn: Vec::new(),
    }
}

fn pem(chain: &str, key: &str) -> KeyStore {
    KeyStore::Pem { chain: text(chain), key: text(key), password: None }
}

fn refused(options: TlsOptions) -> String {
    TlsServer::open(options).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn a_chain_ends_with_the_first_of_it() {
    let (chain, key) = made();
    let server = TlsServer::open(options(pem(&chain, &key))).unwrap();
    let shown = server.current();
    // 2020-01-01 and 2035-01-01; the signer's own beginning is earlier.
    assert_eq!((shown.not_before, shown.not_after), (1_577_836_800, 2_051_222_400));
    assert!(!format!("{server:?}").contains("PRIVATE KEY"));
}

#[test]
fn stores_of_every_form_are_read() {
    let changeit = || Secret::new("changeit");
    let store = |name: &str, alias: Option<&str>| KeyStore::Pkcs12 {
        file: golden(name),
        password: changeit(),
        alias: alias.map(str::to_owned),
    };
    let encrypted = KeyStore::Pem {
        chain: Source::File(golden("server.pem")),
        key: Source::File(golden("encrypted.pem")),
        password: Some(changeit()),
    };
    let plain = Source::File(golden("server.pem"));
    let plain = KeyStore::Pem { chain: plain.clone(), key: plain, password: None };
    let expiry = TlsServer::open(options(plain)).unwrap().current().not_after;
    for key_store in [
        encrypted,
        store("openssl.p12", None),
        store("keytool.p12", None),
        store("keytool.p12", Some("LocalHost")),
    ] {
        let told = format!("{key_store:?}");
        let server = TlsServer::open(options(key_store)).unwrap_or_else(|e| panic!("{told}: {e}"));
        assert_eq!(server.current().not_after, expiry, "{told}");
        assert!(!told.contains("changeit"), "{told}");
    }
    let trust = TrustStore::Pkcs12 { file: golden("trust.p12"), password: changeit() };
    let (chain, key) = made();
    let mutual = TlsOptions {
        trust_store: Some(trust),
        client_auth: ClientAuth::Required,
        ..options(pem(&chain, &key))
    };
    TlsServer::open(mutual).unwrap();
}

#[test]
fn what_is_no_good_is_named_without_its_secrets() {
    let (chain, key) = made();
    let (_, other) = made();
    let broken = key.replace("-----END", "hunter2\n-----EMD");
    let store = |name: &str, password: &str, alias: Option<&str>| {
        options(KeyStore::Pkcs12 {
            file: golden(name),
            password: Secret::new(password),
            alias: alias.map(str::to_owned),
        })
    };
    let encrypted = |password: Option<&str>| {
        options(KeyStore::Pem {
            chain: text(&chain),
            key: Source::File(golden("encrypted.pem")),
            password: password.map(Secret::new),
        })
    };
    let sound = || options(pem(&chain, &key));
    let words = |word: &str| vec![word.to_owned()];
    let required = TlsOptions { client_auth: ClientAuth::Required, ..sound() };
    let jks = golden("keytool.jks");
    for (options, why) in [
        (options(pem("", &key)), "the PEM that is given: expected certificates in PEM"),
        (options(pem(&chain, "")), "the PEM that is given: expected a private key in PEM"),
        (options(pem(&chain, &broken)), "the PEM that is given: a section of the PEM is broken"),
        (options(pem(&chain, &other)), "the private key does not belong to the first certificate"),
        (options(pem(&chain.replace("MII", "AII"), &key)), "the PEM that is given: a "),
        (encrypted(None), "encrypted.pem: the private key is encrypted: expected its password"),
        (encrypted(Some("hunter2")), "encrypted.pem: the private key cannot be decrypted"),
        (store("keytool.p12", "hunter2", None), "keytool.p12: its password does not open it"),
        (store("keytool.p12", "changeit", Some("me")), "it has no private key of the alias \"me\""),
        (store("trust.p12", "changeit", None), "trust.p12: it has no private key"),
        (store("keytool.jks", "changeit", None), "keytool.jks: it is a JKS: `keytool -importkey"),
        (store("server.pem", "changeit", None), "server.pem: its password does not open it, or it"),
        (store("none.p12", "changeit", None), "none.p12: No such file"),
        (required, "expected a trust store"),
        (
            TlsOptions { protocols: words("TLSv1.1"), ..sound() },
            "\"TLSv1.1\" is not spoken: expected TLSv1.2, TLSv1.3",
        ),
        (
            TlsOptions { cipher_suites: words("TLS_RSA_WITH_AES_128_CBC_SHA"), ..sound() },
            "is not spoken: expected TLS_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256",
        ),
        (
            TlsOptions {
                protocols: words("TLSv1.3"),
                cipher_suites: words("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
                ..sound()
            },
            "none of the cipher suites belongs to one of the TLS versions",
        ),
    ] {
        let told = refused(options);
        assert!(told.contains(why), "{told} is not {why}");
        assert!(!told.contains("hunter2") && told.lines().count() == 1, "{told}");
    }
    assert!(fs::read(jks).unwrap().starts_with(&[0xfe, 0xed]));
}

#[test]
fn a_new_certificate_is_shown_and_a_bad_one_is_not() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("server.pem");
    let write = |chain: &str, key: &str| fs::write(&file, format!("{chain}{key}")).unwrap();
    let (chain, key) = made();
    write(&chain, &key);
    let source = Source::File(file.clone());
    let key_store = KeyStore::Pem { chain: source.clone(), key: source, password: None };
    let server = TlsServer::open(options(key_store)).unwrap();
    let first = server.current();
    assert!(!server.refresh(Reading::Asked).unwrap());
    let (other_chain, other_key) = made();
    write(&other_chain, &key);
    assert!(matches!(server.refresh(Reading::Asked), Err(TlsError::Mismatch(_))));
    assert!(Arc::ptr_eq(&first, &server.current()));
    write(&other_chain, &other_key);
    assert!(server.refresh(Reading::Asked).unwrap());
    assert!(!Arc::ptr_eq(&first, &server.current()));
}
