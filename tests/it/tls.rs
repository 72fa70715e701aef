//! TLS on the gRPC port, and on the way out.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use idp_token_sandbox::{Sandbox, Seed};
use idp_token_service::{
    config::Config,
    service::pb::{ListIdentitiesRequest, idp_token_service_client::IdpTokenServiceClient},
    tls::Files,
    transport::{Transport, TransportError},
};
use idp_token_testkit::{
    ANYWHERE, World,
    authority::{Authority, Certified, early, expired},
    eventually, keys, page,
    people::DONALD,
    process::{Running, command, environment},
    rules::everything_for_services,
    tls::{self, Pki, certificate, client, client_of, speak},
    within,
};
use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
use rustls::{
    HandshakeKind, ProtocolVersion, ServerConfig,
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::Instant,
};
use tokio_rustls::TlsAcceptor;
use tonic::{Status, transport::Channel};

const PATIENT: Duration = Duration::from_secs(30);

/// Where clients prove who they are, all of them may do everything.
async fn serving(files: Files) -> World {
    World::configured(|config| {
        config.callers.extend(files.client_ca.is_some().then(everything_for_services));
        config.tls = Some(files);
    })
    .await
}

/// One call, with time for the service to become ready.
async fn call(channel: &Channel) -> Result<(), Status> {
    let request = ListIdentitiesRequest { user_id: DONALD.to_owned(), ..Default::default() };
    IdpTokenServiceClient::new(channel.clone()).list_identities(within(PATIENT, request)).await.map(drop)
}

#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken_with_both_versions_of_http() {
    let pki = Pki::new();
    let world = serving(pki.without_client_ca()).await;
    for (version, expected) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        for protocol in ["h2", "http/1.1"] {
            let mut config = client_of(&[version], &[&pki.authority], None);
            config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
            let spoken = speak(world.service.address, config).await.unwrap();
            assert_eq!(
                (spoken.version, spoken.protocol.as_deref()),
                (Some(expected), Some(protocol.as_bytes()))
            );
        }
        let config = client_of(&[version], &[&pki.authority], None);
        call(&tls::channel(world.service.address, config)).await.unwrap();
    }
    let mut other = client(&[&pki.authority], None);
    other.alpn_protocols = vec![b"spdy/1".to_vec()];
    speak(world.service.address, other).await.unwrap_err();
}

/// A ClientHello of that version of TLS, with cipher suites and extensions for all of them.
fn hello(minor: u8) -> Vec<u8> {
    let suites = [0xc0, 0x2b, 0xc0, 0x09, 0x00, 0x2f];
    // The curve P-256, uncompressed; signatures by ECDSA with SHA-256 on it.
    let extensions = [0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0, 0, 13, 0, 4, 0, 2, 4, 3];
    let length = u8::try_from(extensions.len()).unwrap();
    let body =
        [&[3, minor][..], &[7; 32], &[0], &[0, 6], &suites, &[1, 0], &[0, length], &extensions].concat();
    let length = u8::try_from(body.len()).unwrap();
    [&[22, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat()
}

#[tokio::test]
async fn older_versions_are_refused_and_so_is_plain_text() {
    let pki = Pki::new();
    let world = serving(pki.without_client_ca()).await;
    // RFC 8446, section 6: a fatal alert, `protocol_version`. TLS 1.2 gets a ServerHello.
    for (minor, expected) in [(0, [21, 2, 70]), (1, [21, 2, 70]), (2, [21, 2, 70]), (3, [22, 2, 0])] {
        let mut stream = TcpStream::connect(world.service.address).await.unwrap();
        stream.write_all(&hello(minor)).await.unwrap();
        let mut answer = [0; 7];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!([answer[0], answer[5], answer[6]], expected, "3.{minor}");
    }
    call(&idp_token_testkit::channel(world.service.address)).await.unwrap_err();
    refused(&world, 4).await;
}

async fn refused(world: &World, handshakes: usize) {
    let line = format!("idp_token_connections_refused_total{{reason=\"handshake\"}} {handshakes}\n");
    let counted = async || page(world.service.admin, "/metrics").await.1.contains(&line);
    eventually(&line, counted).await;
}

#[tokio::test]
async fn with_mtls_only_clients_with_a_certificate_of_the_authority_are_served() {
    let pki = Pki::new();
    let world = serving(pki.files()).await;
    let names = ["spiffe://acme/ns/prod/sa/calendar"];
    let another = Authority::new("another");
    let same_name = Authority::new("acme");
    let wrong = [
        None,
        Some(another.client(&names)),
        Some(same_name.client(&names)),
        Some(pki.authority.server(&names)),
        Some(pki.authority.certify(ClientAuth, &names, expired)),
        Some(pki.authority.certify(ClientAuth, &names, early)),
    ];
    for version in [&TLS12, &TLS13] {
        for (index, own) in wrong.iter().enumerate() {
            let config = client_of(&[version], &[&pki.authority], own.as_ref());
            let outcome = speak(world.service.address, config).await;
            assert!(outcome.is_err(), "{version:?}, case {index}: {outcome:?}");
        }
        let right = client_of(&[version], &[&pki.authority], Some(&pki.authority.client(&names)));
        call(&tls::channel(world.service.address, right)).await.unwrap();
    }
    refused(&world, 2 * wrong.len()).await;
}

#[tokio::test]
async fn a_clients_certificate_is_looked_at_in_every_handshake_but_without_one_sessions_are_resumed() {
    let pki = Pki::new();
    let (mutual, open) = (serving(pki.files()).await, serving(pki.without_client_ca()).await);
    let own = pki.authority.client(&["calendar.acme.example"]);
    for version in [&TLS12, &TLS13] {
        for (world, own, resumed) in [(&mutual, Some(&own), false), (&open, None, true)] {
            // Its copies remember sessions together.
            let config = client_of(&[version], &[&pki.authority], own);
            speak(world.service.address, config.clone()).await.unwrap();
            let again = speak(world.service.address, config).await.unwrap().kind;
            assert_eq!(again == Some(HandshakeKind::Resumed), resumed, "{version:?}: {again:?}");
        }
    }
}

/// Calls until it is told to stop; gives how many went well, and what went wrong.
async fn load(stop: Arc<AtomicBool>, channel: impl Fn() -> Channel) -> (usize, Vec<Status>) {
    let (mut well, mut failures) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        match call(&channel()).await {
            Ok(()) => well += 1,
            Err(status) => failures.push(status),
        }
        tokio::task::yield_now().await;
    }
    (well, failures)
}

#[tokio::test]
async fn certificate_and_authorities_are_replaced_under_load_without_one_failed_call() {
    let (pki, new) = (Pki::new(), Authority::new("the next one"));
    let world = serving(pki.files()).await;
    let address = world.service.address;
    let own = pki.authority.client(&["calendar.acme.example"]);
    let old_client = client(&[&pki.authority, &new], Some(&own));
    let first = tls::channel(address, old_client.clone());
    call(&first).await.unwrap();

    let (mut lasting, mut fresh) = (JoinSet::new(), JoinSet::new());
    let (stop_lasting, stop_fresh) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    for _ in 0..3 {
        let channel = tls::channel(address, old_client.clone());
        lasting.spawn(load(Arc::clone(&stop_lasting), move || channel.clone()));
        let config = old_client.clone();
        fresh.spawn(load(Arc::clone(&stop_fresh), move || tls::channel(address, config.clone())));
    }

    pki.trust(&[&pki.authority, &new]);
    let server = new.server(&["localhost"]);
    pki.serve(&server);
    eventually("the new certificate", async || {
        speak(address, old_client.clone()).await.unwrap().certificate == certificate(&server.certificate)
    })
    .await;
    stop_fresh.store(true, Ordering::Relaxed);
    let (mut calls, mut failures) = (0, Vec::new());
    for (well, wrong) in fresh.join_all().await {
        calls += well;
        failures.extend(wrong);
    }

    // Whose authority is gone gets no new connection; the old ones live on.
    pki.trust(&[&new]);
    eventually("an end of the old authority", async || speak(address, old_client.clone()).await.is_err())
        .await;
    call(&first).await.unwrap();
    stop_lasting.store(true, Ordering::Relaxed);
    for (well, wrong) in lasting.join_all().await {
        calls += well;
        failures.extend(wrong);
    }
    assert!(failures.is_empty(), "{} of {calls} calls failed: {failures:?}", failures.len());
    assert!(calls > 100, "{calls} calls are no load");
    let new_client = client(&[&new], Some(&new.client(&["calendar.acme.example"])));
    call(&tls::channel(address, new_client)).await.unwrap();
}

#[tokio::test]
async fn a_broken_pair_keeps_the_old_one_is_logged_once_and_sighup_loads_the_right_one_at_once() {
    let pki = Pki::new();
    let seed = Seed { signing_key: Some(keys::SIGNING_KEY.clone()), ..Seed::sample() };
    let sandbox = Sandbox::start(seed, ANYWHERE).await.unwrap();
    let mut serve = command(&["serve"]);
    serve.envs(environment(&sandbox));
    serve.env("IDP_TOKEN_TLS_CERTIFICATE_FILE", pki.path("server.pem"));
    serve.env("IDP_TOKEN_TLS_PRIVATE_KEY_FILE", pki.path("server.key"));
    let service = Running::start(serve).await;
    let config = client(&[&pki.authority], None);
    let old = speak(service.grpc, config.clone()).await.unwrap().certificate;
    let expiry = |seconds: &str| format!("idp_token_tls_certificate_expiry_timestamp_seconds {seconds}\n");
    // The first moment of the year 4096.
    assert!(service.page("/metrics").await.1.contains(&expiry("67090118400")));

    let Certified { certificate: new, key } = pki
        .authority
        .certify(ServerAuth, &["localhost"], |params| params.not_after = rcgen::date_time_ymd(2100, 1, 1));
    pki.write("server.pem", &new);
    service.signal("HUP").await;
    let keeping =
        "Keeping the old TLS certificate and authorities: `tls.private_key_file` names the key of another";
    eventually("a word about it", async || service.log().contains(keeping)).await;
    assert_eq!(speak(service.grpc, config.clone()).await.unwrap().certificate, old);
    service.signal("HUP").await;
    // A look that begins after that has ended once another signal was seen.
    pki.write("server.key", &key);
    service.signal("HUP").await;
    eventually("the new certificate", async || {
        speak(service.grpc, config.clone()).await.unwrap().certificate == certificate(&new)
    })
    .await;
    assert!(service.page("/metrics").await.1.contains(&expiry("4102444800")));
    assert_eq!(service.log().matches("Keeping the old").count(), 1, "{}", service.log());
    service.signal("TERM").await;
    assert_eq!(service.ended().await.0.code(), Some(0));
}

/// Something else behind TLS.
fn front(target: SocketAddr, server: &Certified) -> SocketAddr {
    let pki = Pki::new();
    pki.serve(server);
    let mut config = ServerConfig::clone(&pki.without_client_ca().load().unwrap().server);
    config.alpn_protocols.clear();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = std::net::TcpListener::bind(ANYWHERE).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut outside = acceptor.accept(stream).await?;
                let mut inside = TcpStream::connect(target).await?;
                tokio::io::copy_bidirectional(&mut outside, &mut inside).await
            });
        }
    });
    address
}

#[tokio::test]
async fn on_the_way_out_only_the_right_name_certified_by_somebody_trusted_will_do() {
    let (authority, another) = (Authority::new("acme"), Authority::new("another"));
    let world = World::start().await;
    let right = front(world.service.admin, &authority.server(&["localhost"]));
    let misnamed = front(world.service.admin, &authority.server(&["localhost.acme.example"]));
    let ended = front(world.service.admin, &authority.certify(ServerAuth, &["localhost"], expired));
    for (server, trusted, well) in [
        (right, Some(&authority), true),
        (right, None, false),
        (right, Some(&another), false),
        (misnamed, Some(&authority), false),
        (ended, Some(&authority), false),
    ] {
        let trusted: Vec<_> = trusted.map(|authority| certificate(&authority.pem)).into_iter().collect();
        let transport = Transport::trusting(&trusted).unwrap();
        let request = Request::get(format!("https://localhost:{}/healthz", server.port())).body(Bytes::new());
        let outcome = transport.send(request.unwrap(), 1024, Instant::now() + PATIENT).await;
        match outcome {
            Ok(answer) => assert!(well && answer.body() == "ok\n"),
            Err(error) => assert!(!well && matches!(error, TransportError::Connect { .. }), "{error:?}"),
        }
    }
}

#[tokio::test]
async fn a_tenant_behind_an_authority_of_ones_own_is_reached_with_its_certificate() {
    let authority = Authority::new("acme");
    let behind_tls = |config: &mut Config| {
        let tenant = config.auth0.base_url.socket_addrs(|| None).unwrap()[0];
        let front = front(tenant, &authority.server(&["localhost"]));
        config.auth0.base_url = format!("https://localhost:{}/", front.port()).parse().unwrap();
        config.upstream_authorities = vec![certificate(&authority.pem)];
    };
    World::configured(behind_tls).await.ready().await;
}
