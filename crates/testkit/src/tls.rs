//! Clients that speak TLS, and files for a service that does.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use hyper_util::rt::TokioIo;
use idp_token_service::tls::Files;
use rustls::{
    ClientConfig, HandshakeKind, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    version::{TLS12, TLS13},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint};

use super::authority::{Authority, Certified};

/// A folder with a server's certificate for `localhost`, its key, and the clients' authority.
pub struct Pki {
    folder: TempDir,
    pub authority: Authority,
}

impl Pki {
    pub fn new() -> Self {
        let pki = Self { folder: tempfile::tempdir().unwrap(), authority: Authority::new("acme") };
        pki.serve(&pki.authority.server(&["localhost", "127.0.0.1"]));
        pki.trust(&[&pki.authority]);
        pki
    }

    /// Has the server prove itself with `server` from now on.
    pub fn serve(&self, server: &Certified) {
        self.write("server.key", &server.key);
        self.write("server.pem", &server.certificate);
    }

    /// Has clients of `authorities` trusted from now on.
    pub fn trust(&self, authorities: &[&Authority]) {
        self.write("ca.pem", &authorities.iter().map(|authority| authority.pem.as_str()).collect::<String>());
    }

    /// Puts a file in the place of another at once, as an operator should.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let (path, fresh) = (self.path(name), self.path("fresh"));
        std::fs::write(&fresh, text).unwrap();
        std::fs::rename(&fresh, &path).unwrap();
        path
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// For mTLS.
    pub fn files(&self) -> Files {
        Files { client_ca: Some(self.path("ca.pem")), ..self.without_client_ca() }
    }

    pub fn without_client_ca(&self) -> Files {
        Files { certificate: self.path("server.pem"), private_key: self.path("server.key"), client_ca: None }
    }
}

pub fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// A client that trusts `authorities`, speaks HTTP/2 and shows `own`.
pub fn client(authorities: &[&Authority], own: Option<&Certified>) -> ClientConfig {
    client_of(&[&TLS13, &TLS12], authorities, own)
}

pub fn client_of(
    versions: &[&'static SupportedProtocolVersion],
    authorities: &[&Authority],
    own: Option<&Certified>,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    authorities.iter().for_each(|authority| roots.add(certificate(&authority.pem)).unwrap());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let builder = builder.with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![certificate(&own.certificate)], key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

pub async fn connect(address: SocketAddr, config: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    // Or else each small message waits for the answer to the one before.
    stream.set_nodelay(true)?;
    TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), stream).await
}

/// What came of a handshake.
#[derive(Debug)]
pub struct Spoken {
    pub version: Option<ProtocolVersion>,
    pub protocol: Option<Vec<u8>>,
    pub kind: Option<HandshakeKind>,
    /// The server's.
    pub certificate: CertificateDer<'static>,
}

/// Shakes hands and waits for the first bytes of HTTP/2 or 1.1: in TLS 1.3 a client thinks that all went well
/// before the server has looked at its certificate.
pub async fn speak(address: SocketAddr, config: ClientConfig) -> io::Result<Spoken> {
    let mut stream = connect(address, config).await?;
    let (_, session) = stream.get_ref();
    let spoken = Spoken {
        version: session.protocol_version(),
        protocol: session.alpn_protocol().map(<[u8]>::to_vec),
        kind: session.handshake_kind(),
        certificate: session.peer_certificates().unwrap()[0].clone().into_owned(),
    };
    let first: &[u8] = match spoken.protocol.as_deref() {
        Some(b"h2") => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        _ => b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n",
    };
    stream.write_all(first).await?;
    stream.flush().await?;
    match stream.read(&mut [0; 64]).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(spoken),
    }
}

/// A connection of `config` to a service, made at its first call.
pub fn channel(address: SocketAddr, config: ClientConfig) -> Channel {
    let connector = tower::service_fn(move |_| {
        let config = config.clone();
        async move { connect(address, config).await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://localhost").connect_with_connector_lazy(connector)
}
