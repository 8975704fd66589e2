//! Certificates made for one test, and a TLS client that shows and trusts what it is told to.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::start_process::HANG_GUARD;

/// Who signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub struct Issued {
    pub certificate: String,
    pub key: String,
}

impl Issued {
    /// Both, as a key store in PEM has them.
    pub fn both(&self) -> String {
        format!("{}{}", self.certificate, self.key)
    }
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// For a server on this machine that ends with the year before `year`.
    pub fn server(&self, year: i32) -> Issued {
        let mut params = named("server");
        params.subject_alt_names =
            CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])
                .unwrap()
                .subject_alt_names;
        params.not_after = date_time_ymd(year, 1, 1);
        self.issue(params)
    }

    /// For a client, likewise.
    pub fn client(&self, year: i32) -> Issued {
        let mut params = named("client");
        params.not_after = date_time_ymd(year, 1, 1);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params)
    }

    fn issue(&self, params: CertificateParams) -> Issued {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &*self.0).unwrap().pem();
        Issued { certificate, key: key.serialize_pem() }
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params
}

/// A client.
#[derive(Clone)]
pub struct TlsClient(Arc<ClientConfig>);

impl TlsClient {
    /// Trusts `authority`, shows `own`, and speaks these versions.
    pub fn new(
        authority: &Authority,
        own: Option<&Issued>,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_protocol_versions(versions).unwrap();
        let builder = builder.with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let chain = CertificateDer::from_pem_slice(own.certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![chain], key).unwrap()
            }
        };
        Self(Arc::new(config))
    }

    /// Trusts `authority`, shows nothing.
    pub fn plain(authority: &Authority) -> Self {
        Self::new(authority, None, rustls::ALL_VERSIONS)
    }

    /// Connects and shakes hands; with TLS 1.3 the server may refuse later.
    pub fn connect(
        &self,
        address: &str,
    ) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let mut socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(HANG_GUARD))?;
        let name = ServerName::try_from("localhost").unwrap();
        let mut connection = ClientConnection::new(self.0.clone(), name).unwrap();
        connection.complete_io(&mut socket)?;
        Ok(StreamOwned::new(connection, socket))
    }

    /// Status and body of a page, or why there is none. The end of TLS has to be told.
    pub fn get(&self, address: &str, path: &str, headers: &str) -> std::io::Result<(u16, String)> {
        let mut stream = self.connect(address)?;
        let host = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
        stream.write_all(format!("{host}{headers}\r\n").as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Ok((head[9..12].parse().unwrap(), body.to_owned()))
    }
}
