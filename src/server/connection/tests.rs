//! Connections without a service: what calls learn about their peer, and what is refused.

use bytes::Bytes;
use http::Response;
use idp_token_testkit::authority::{Authority, Certified};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};
use tokio_rustls::TlsConnector;
use tonic::body::Body;

use super::*;
use crate::{caller::San, server::certificates::Certificates, tls::Files};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// An acceptor on loopback, and the peers of the requests that it received.
struct Opened {
    address: SocketAddr,
    peers: mpsc::UnboundedReceiver<Peer>,
    metrics: Arc<Metrics>,
    _accepting: AbortOnDropHandle<()>,
}

/// The limit of pending connections.
const FEW: usize = 8;

async fn open(files: Option<&Files>, places: usize) -> Opened {
    let metrics = Arc::new(Metrics::default());
    let (sender, peers) = mpsc::unbounded_channel();
    let answer = move |request: Request<Incoming>| -> Answer {
        let _ = sender
            .send(Peer::clone(request.extensions().get::<Arc<Peer>>().expect("every request has its peer")));
        Box::pin(async { Ok(Response::new(Body::new(http_body_util::Full::new(Bytes::from_static(b"ok"))))) })
    };
    let tls = files.map(|files| Certificates::load(files, &metrics).expect("good files").current());
    let limits = ConnectionLimits::open(places);
    let mut acceptor = Acceptor::new(answer, tls, limits, Arc::clone(&metrics));
    acceptor.pending = Arc::new(PendingConnections::new(FEW, Arc::clone(&metrics)));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound listener has an address");
    let connections = Connections {
        tracker: TaskTracker::new(),
        go_away: CancellationToken::new(),
        end: CancellationToken::new(),
    };
    let accepting = AbortOnDropHandle::new(tokio::spawn(acceptor.accept(listener, connections)));
    Opened { address, peers, metrics, _accepting: accepting }
}

fn files(folder: &TempDir, authority: &Authority) -> Files {
    let Certified { certificate, key } = authority.server(&["localhost"]);
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("the file can be written");
        path
    };
    Files {
        certificate: write("server.pem", &certificate),
        private_key: write("server.key", &key),
        client_ca: Some(write("ca.pem", &authority.pem)),
    }
}

fn client(authority: &Authority, own: &Certified) -> TlsConnector {
    let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(certificate(&authority.pem)).expect("an authority");
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).expect("a key");
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has cipher suites")
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate(&own.certificate)], key)
        .expect("a certificate with its key");
    TlsConnector::from(Arc::new(config))
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> String {
    stream.write_all(REQUEST).await.expect("the acceptor takes a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the acceptor closes the connection cleanly");
    answer
}

#[tokio::test]
async fn a_call_learns_the_names_in_its_clients_certificate_and_where_it_comes_from() {
    let (folder, authority) = (tempfile::tempdir().expect("a folder"), Authority::new("acme"));
    let mut acceptor = open(Some(&files(&folder, &authority)), 1).await;
    let (uri, dns) = ("spiffe://acme/ns/prod/sa/calendar", "calendar.prod.acme.example");
    let own = authority.client(&[dns, "127.0.0.1", uri]);
    let stream = TcpStream::connect(acceptor.address).await.expect("somebody listens");
    let address = stream.local_addr().expect("a connection has an address");
    let name = "localhost".try_into().expect("a host name");
    let stream = client(&authority, &own).connect(name, stream).await.expect("a handshake");
    assert!(ask(stream).await.ends_with("ok"));
    let expected = Peer { address, sans: vec![San::Uri(uri.to_owned()), San::Dns(dns.to_owned())] };
    assert_eq!(acceptor.peers.recv().await, Some(expected));
}

#[tokio::test]
async fn in_plain_text_a_peer_has_an_address_and_no_names() {
    let mut acceptor = open(None, 1).await;
    let stream = TcpStream::connect(acceptor.address).await.expect("somebody listens");
    let address = stream.local_addr().expect("a connection has an address");
    assert!(ask(stream).await.ends_with("ok"));
    assert_eq!(acceptor.peers.recv().await, Some(Peer { address, sans: Vec::new() }));
}

#[tokio::test]
async fn at_the_limit_the_longest_idle_gives_way_to_whoever_comes() {
    let acceptor = open(None, 1).await;
    let connect = || async { TcpStream::connect(acceptor.address).await.expect("somebody listens") };
    let mut idle = connect().await;
    assert!(ask(connect().await).await.ends_with("ok"));
    assert_eq!(idle.read(&mut [0]).await.expect("a clean close"), 0);
    assert!(acceptor.metrics.page().contains(r#"idp_token_connections_refused_total{reason="idle"} 1"#));
}

#[tokio::test]
async fn a_flood_of_silent_connections_pushes_out_its_own_and_keeps_nobody_from_being_served() {
    let acceptor = open(None, 100).await;
    let connect = || async { TcpStream::connect(acceptor.address).await.expect("somebody listens") };
    let mut silent = Vec::new();
    for _ in 0..3 * FEW {
        silent.push(connect().await);
    }
    assert!(ask(connect().await).await.ends_with("ok"));
    let crowded = format!("idp_token_connections_refused_total{{reason=\"crowded\"}} {}\n", 2 * FEW + 1);
    assert!(acceptor.metrics.page().contains(&crowded), "{}", acceptor.metrics.page());
    for oldest in &mut silent[..2 * FEW] {
        assert_eq!(oldest.read(&mut [0]).await.expect("a clean close"), 0);
    }
}
