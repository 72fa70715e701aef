//! What arrives at the port that is no good call, or too many of them; and what every answer carries.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri};
use idp_token_sandbox::Fault;
use idp_token_service::{
    audit::Audit,
    auth0::Auth0,
    authentication::Authentication,
    broker::Broker,
    memory::Memory,
    provider::{self, HostPattern, Provider, RateLimit, Settings, Verdict, request::ApiRequest},
    provider_client::{ProviderClient, Providers},
    secret::Secret,
    service::{
        Gate,
        pb::{
            CallProviderRequest, ListIdentitiesRequest, StreamProviderRequest,
            idp_token_service_client::IdpTokenServiceClient,
        },
    },
    store::Store,
    telemetry::Metrics,
    token::AccessToken,
    tokens::Tokens,
    transport::Transport,
};
use idp_token_testkit::{
    PATIENCE, World, assert_error, channel, eventually, get, metadata, page,
    people::{ADA, DONALD, google},
    post, retry_after,
};
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tonic::{
    Code::{Internal, InvalidArgument, Unavailable, Unimplemented},
    body::Body,
    service::Routes,
};

const SECOND: Duration = Duration::from_secs(1);

fn listing(user: &str) -> ListIdentitiesRequest {
    ListIdentitiesRequest { user_id: user.to_owned(), ..Default::default() }
}

#[tokio::test]
async fn a_browser_learns_what_this_port_speaks() {
    let world = World::start().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/", world.service.address);
    for (request, status) in
        [(http.get(&url), 415), (http.post(&url).header("content-type", "application/json").body("{}"), 404)]
    {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
        assert!(answer.text().await.unwrap().contains("grpcurl -plaintext"));
    }
}

#[tokio::test]
async fn unknown_services_and_methods_are_unimplemented() {
    let world = World::start().await;
    for path in ["/idptoken.v1.IdpTokenService/Nothing", "/no.such.Service/Method", "/"] {
        let mut grpc = tonic::client::Grpc::new(channel(world.service.address));
        grpc.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<ListIdentitiesRequest, ListIdentitiesRequest>::default();
        let status = grpc.unary(tonic::Request::new(listing(ADA)), path.try_into().unwrap(), codec).await;
        assert_eq!(status.unwrap_err().code(), Unimplemented, "{path}");
    }
}

#[tokio::test]
async fn what_a_later_version_will_do_says_so() {
    let world = World::start().await;
    let head = tokio_stream::once(StreamProviderRequest::default());
    let outcome = world.service.client().stream_provider(head).await;
    let details = assert_error(outcome.map(|_| ()), Unimplemented, "OPERATION_UNSUPPORTED");
    assert_eq!(metadata(&details, "operation"), "StreamProvider");
}

#[tokio::test]
async fn too_much_metadata_is_refused_and_harms_no_other_call() {
    let world = World::start().await;
    let mut client = world.service.client();
    let mut bloated = tonic::Request::new(listing(ADA));
    bloated.metadata_mut().insert("x-much", "x".repeat(17 * 1024).parse().unwrap());
    client.list_identities(bloated).await.unwrap_err();
    let mut large = tonic::Request::new(listing(ADA));
    large.metadata_mut().insert("x-much", "x".repeat(15 * 1024).parse().unwrap());
    client.list_identities(large).await.unwrap();
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_and_harms_no_other_call() {
    let world = World::start().await;
    let over = post("/upload/drive/v3/files", vec![0; 5 * 1024 * 1024]);
    let details = assert_error(world.call(google(ADA), over).await, InvalidArgument, "INVALID_FIELD");
    assert_eq!(metadata(&details, "field"), "request.body");
    world.list(ADA).await.unwrap();
    assert_eq!(world.provider_calls("www.googleapis.com"), 0);
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_the_callers_mistake() {
    let world = World::start().await;
    let mut grpc = tonic::client::Grpc::new(channel(world.service.address));
    grpc.ready().await.unwrap();
    // Its first field is a number, where a user id should be.
    let other = tonic::Request::new(prost_types::Duration { seconds: 5, nanos: 0 });
    let codec = tonic_prost::ProstCodec::<prost_types::Duration, prost_types::Duration>::default();
    let path = "/idptoken.v1.IdpTokenService/ListIdentities".try_into().unwrap();
    let details = assert_error(grpc.unary(other, path, codec).await, InvalidArgument, "INVALID_FIELD");
    assert_eq!(metadata(&details, "field"), "(message)");
}

#[tokio::test]
async fn a_peer_that_never_says_what_it_speaks_is_sent_away() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = World::start().await;
    let address = world.service.address;
    let mut peers = JoinSet::new();
    for greeting in [&b""[..], b"PRI * HTTP/2.0"] {
        peers.spawn(async move {
            let mut silent = tokio::net::TcpStream::connect(address).await.unwrap();
            silent.write_all(greeting).await.unwrap();
            tokio::time::timeout(PATIENCE, silent.read_to_end(&mut Vec::new())).await.is_ok()
        });
    }
    assert_eq!(peers.join_all().await, [true; 2], "a connection still keeps its place");
}

#[tokio::test]
async fn a_request_id_comes_back_and_every_error_has_one() {
    let world = World::start().await;
    let mut client = world.service.client();
    for user in [ADA, "auth0|nobody"] {
        let mut request = tonic::Request::new(listing(user));
        request.metadata_mut().insert("x-request-id", "one-of-mine".parse().unwrap());
        let metadata = match client.list_identities(request).await {
            Ok(answer) => answer.metadata().clone(),
            Err(status) => status.metadata().clone(),
        };
        assert_eq!(metadata.get("x-request-id").unwrap(), "one-of-mine");
    }
    let status = client.list_identities(listing("auth0|nobody")).await.unwrap_err();
    let made = status.metadata().get("x-request-id").unwrap().to_str().unwrap().to_owned();
    assert!(made.len() == 32 && made.bytes().all(|byte| byte.is_ascii_hexdigit()), "{made}");
    let mut endless = tonic::Request::new(listing("auth0|nobody"));
    endless.metadata_mut().insert("x-request-id", "x".repeat(1000).parse().unwrap());
    let status = client.list_identities(endless).await.unwrap_err();
    assert_eq!(status.metadata().get("x-request-id").unwrap().len(), 32, "a new one instead");
}

#[tokio::test]
async fn a_malformed_deadline_is_the_callers_mistake() {
    let world = World::start().await;
    let mut request = tonic::Request::new(listing(ADA));
    request.metadata_mut().insert("grpc-timeout", "soon".parse().unwrap());
    let outcome = world.service.client().list_identities(request).await;
    let details = assert_error(outcome, InvalidArgument, "INVALID_FIELD");
    assert_eq!(metadata(&details, "field"), "grpc-timeout");
}

#[tokio::test]
async fn reflection_lists_the_service_in_both_versions() {
    let world = World::start().await;
    let expected = ["grpc.health.v1.Health", "idptoken.v1.IdpTokenService"];
    macro_rules! listed {
        ($version:ident) => {{
            use tonic_reflection::pb::$version::{
                ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
                server_reflection_request::MessageRequest::ListServices,
                server_reflection_response::MessageResponse::ListServicesResponse,
            };
            let mut client = ServerReflectionClient::new(channel(world.service.address));
            let ask = ServerReflectionRequest {
                message_request: Some(ListServices(String::new())),
                ..Default::default()
            };
            let mut answers =
                client.server_reflection_info(tokio_stream::once(ask)).await.unwrap().into_inner();
            let answer = answers.next().await.unwrap().unwrap().message_response;
            let Some(ListServicesResponse(list)) = answer else { panic!("{answer:?}") };
            list.service.into_iter().map(|service| service.name).collect::<Vec<_>>()
        }};
    }
    for listed in [listed!(v1), listed!(v1alpha)] {
        assert!(expected.iter().all(|name| listed.iter().any(|listed| listed == name)), "{listed:?}");
    }
}

#[tokio::test]
async fn more_calls_than_the_server_works_on_are_told_so_and_it_recovers() {
    let world = World::start().await.ready().await;
    let silent = Fault::on(world.sandbox.domain()).path("/api/v2/users/google-oauth2%7C1082").always().hang();
    world.sandbox.faults().script(silent);
    let mut calls = JoinSet::new();
    // A connection carries 200 calls at once; of these 1400 the server works on 1024.
    for _ in 0..7 {
        let client = IdpTokenServiceClient::new(channel(world.service.address));
        for _ in 0..200 {
            let mut client = client.clone();
            calls.spawn(async move { client.list_identities(listing(ADA)).await });
        }
    }
    for _ in 0..1400 - 1024 {
        let refused = calls.join_next().await.unwrap().unwrap();
        assert_eq!(retry_after(&assert_error(refused, Unavailable, "OVERLOADED")), Some(SECOND));
    }
    let mut client = IdpTokenServiceClient::new(channel(world.service.address));
    assert_error(client.list_identities(listing(DONALD)).await, Unavailable, "OVERLOADED");

    calls.shutdown().await;
    eventually("room for another call", async || client.list_identities(listing(DONALD)).await.is_ok()).await;
    let counted = r#"idp_token_rpcs_total{method="ListIdentities",code="CANCELLED"} 1024"#;
    eventually("1024 cancelled calls in the metrics", async || {
        page(world.service.admin, "/metrics").await.1.contains(counted)
    })
    .await;
}

/// An adapter with a bug.
#[derive(Debug)]
struct Buggy(Box<dyn Provider>);

impl Provider for Buggy {
    fn hosts(&self) -> &[HostPattern] {
        self.0.hosts()
    }

    fn encode(&self, call: &ApiRequest, token: &AccessToken) -> Request<Bytes> {
        assert!(!call.path_and_query.as_str().contains("panic"), "on purpose");
        self.0.encode(call, token)
    }

    fn judge(&self, answer: &Response<Bytes>, now: SystemTime) -> Verdict {
        self.0.judge(answer, now)
    }

    fn next_page(&self, sent: &Uri, answer: &Response<Bytes>) -> Option<String> {
        self.0.next_page(sent, answer)
    }

    fn rate_limit(&self, headers: &HeaderMap, now: SystemTime) -> Option<RateLimit> {
        self.0.rate_limit(headers, now)
    }

    fn client_secret(&self) -> Option<&Arc<Secret>> {
        self.0.client_secret()
    }
}

/// The gate without a socket, as a client's channel.
#[derive(Clone)]
pub(crate) struct Direct(pub(crate) Gate);

impl tower::Service<Request<Body>> for Direct {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.answer(request)
    }
}

/// A gate before the tenant of `world` that records its calls in `audit`, and whose adapter for Google panics
/// at paths that say so.
pub(crate) fn buggy_gate(world: &World, audit: Audit) -> (Gate, Arc<Metrics>) {
    let config =
        idp_token_service::cli::sandbox_config(&world.sandbox, world.service.address, world.service.admin);
    let transport = Transport::new().unwrap();
    let metrics = Arc::new(Metrics::default());
    let auth0 = Arc::new(Auth0::new(&config.auth0, &transport, &Arc::new(Store::memory()), &metrics));
    let mut providers = Providers::default();
    let google_adapter = provider::build("google-oauth2", Settings::default()).unwrap();
    let name = "google-oauth2".to_owned();
    let overridden = transport.with_host_overrides(config.providers[&name].host_overrides.clone());
    providers.insert(ProviderClient::new(name.clone(), name, Box::new(Buggy(google_adapter)), overridden));
    let providers = Arc::new(providers);
    let store = Arc::new(Store::memory());
    let tokens = Tokens::new(Arc::clone(&auth0), Arc::clone(&providers), store, Arc::clone(&metrics));
    let broker = Broker::new(
        auth0,
        providers,
        tokens,
        None,
        idp_token_service::policy::Policy::open(),
        Arc::clone(&metrics),
    );
    let gate = Gate::new(
        Arc::new(broker),
        Authentication::open(),
        Routes::default(),
        30 * SECOND,
        Memory::new(1 << 30),
        audit,
        Arc::clone(&metrics),
    );
    (gate, metrics)
}

#[tokio::test]
async fn a_panic_costs_one_call_and_says_nothing() {
    let world = World::start().await;
    let (gate, metrics) = buggy_gate(&world, Audit::default());
    let mut client = IdpTokenServiceClient::new(Direct(gate));
    let calling = |path| CallProviderRequest {
        identity: Some(google(ADA)),
        request: Some(get(path)),
        ..Default::default()
    };

    let status = client.call_provider(calling("/panic")).await.unwrap_err();
    assert_eq!(status.message(), "internal error");
    assert_error(Err::<(), _>(status), Internal, "INTERNAL");
    let answer = client.call_provider(calling("/oauth2/v3/userinfo")).await.unwrap().into_inner();
    assert_eq!(answer.status_code, 200);
    assert!(metrics.page().contains(r#"idp_token_rpcs_total{method="CallProvider",code="INTERNAL"} 1"#));
}
