//! Actors and builders, so that a test is about ten lines.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(missing_docs, reason = "in a test the names say it")]
#![expect(clippy::new_without_default, reason = "what is new here is a folder or a key, and no default")]

use std::{net::SocketAddr, time::Duration};

use idp_token_sandbox::{Sandbox, Seed};
use idp_token_service::{
    cli,
    config::Config,
    memory::{CallMemory, Memory},
    server::Server,
    service::{
        DOMAIN,
        pb::{
            CallProviderRequest, CallProviderResponse, GetIdentityTokenRequest, GetIdentityTokenResponse,
            HttpRequest, Identity, IdentitySelector, InspectIdentityTokenRequest,
            InspectIdentityTokenResponse, ListIdentitiesRequest, NameValue, RevokeIdentityTokenRequest,
            idp_token_service_client::IdpTokenServiceClient,
        },
    },
};
use tokio::{sync::oneshot, task::JoinHandle};
use tonic::{Code, Request, Status, transport::Channel};
use tonic_types::{ErrorDetails, StatusExt};

pub mod audit;
pub mod authority;
pub mod database;
pub mod frames;
pub mod http;
pub mod issuer;
pub mod keys;
pub mod log;
pub mod network;
pub mod people;
pub mod postgres;
pub mod process;
pub mod rules;
pub mod tls;
pub mod web;
pub mod wire;

/// Any free port of loopback.
pub const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Nothing takes this long, however busy the machine is.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A sandbox and a service that works with it.
pub struct World {
    pub sandbox: Sandbox,
    pub service: Service,
}

impl World {
    /// The sample tenant and the defaults.
    pub async fn start() -> Self {
        Self::with(|_| {}, |_| {}).await
    }

    /// The sample tenant, and a configuration that is changed before the start.
    pub async fn configured(configure: impl FnOnce(&mut Config)) -> Self {
        Self::with(|_| {}, configure).await
    }

    /// A tenant that is changed before the start.
    pub async fn seeded(sow: impl FnOnce(&mut Seed)) -> Self {
        Self::with(sow, |_| {}).await
    }

    pub async fn with(sow: impl FnOnce(&mut Seed), configure: impl FnOnce(&mut Config)) -> Self {
        let mut seed = Seed { signing_key: Some(keys::SIGNING_KEY.clone()), ..Seed::sample() };
        sow(&mut seed);
        let sandbox = Sandbox::start(seed, ANYWHERE).await.unwrap();
        let service = Service::of(&sandbox, configure).await;
        Self { sandbox, service }
    }

    /// Another replica, or the same service after a restart.
    pub async fn replica(&self, configure: impl FnOnce(&mut Config)) -> Service {
        Service::of(&self.sandbox, configure).await
    }

    /// Waits until the service has its Management token, so that its start disturbs no count.
    pub async fn ready(self) -> Self {
        let request = ListIdentitiesRequest { user_id: people::DONALD.to_owned(), ..Default::default() };
        let patiently = within(Duration::from_secs(30), request);
        self.service.client().list_identities(patiently).await.unwrap();
        self.sandbox.journal().clear();
        self
    }

    /// Lets time pass for the service, at once. The sandbox's clock stays.
    pub async fn pass(&mut self, time: Duration) {
        tokio::time::pause();
        tokio::time::advance(time).await;
        tokio::time::resume();
        // The old connection may just have become too old.
        self.service.reconnect();
    }

    /// Asks for a token with the defaults.
    pub async fn lend(&self, identity: IdentitySelector) -> Result<GetIdentityTokenResponse, Status> {
        self.service.lend(identity).await
    }

    pub async fn lend_with(
        &self,
        request: GetIdentityTokenRequest,
    ) -> Result<GetIdentityTokenResponse, Status> {
        self.service.client().get_identity_token(request).await.map(tonic::Response::into_inner)
    }

    /// Has `request` sent as `identity`.
    pub async fn call(
        &self,
        identity: IdentitySelector,
        request: HttpRequest,
    ) -> Result<CallProviderResponse, Status> {
        self.call_with(CallProviderRequest {
            identity: Some(identity),
            request: Some(request),
            ..Default::default()
        })
        .await
    }

    pub async fn call_with(&self, request: CallProviderRequest) -> Result<CallProviderResponse, Status> {
        self.service.client().call_provider(request).await.map(tonic::Response::into_inner)
    }

    pub async fn list(&self, user: &str) -> Result<Vec<Identity>, Status> {
        let request = ListIdentitiesRequest { user_id: user.to_owned(), ..Default::default() };
        self.service.client().list_identities(request).await.map(|answer| answer.into_inner().identities)
    }

    /// Has the provider of `identity` asked about its token.
    pub async fn inspect(&self, identity: IdentitySelector) -> Result<InspectIdentityTokenResponse, Status> {
        self.service.inspect(identity).await
    }

    /// Has the tokens of `identity` revoked; the identity afterwards.
    pub async fn revoke(&self, identity: IdentitySelector) -> Result<Identity, Status> {
        let request = RevokeIdentityTokenRequest { identity: Some(identity) };
        let answer = self.service.client().revoke_identity_token(request).await?;
        Ok(answer.into_inner().identity.expect("the answer has an identity"))
    }

    /// How many requests reached a provider.
    pub fn provider_calls(&self, host: &str) -> usize {
        self.sandbox.journal().to(host).len()
    }
}

/// A service of its own, in this process. Dropping it stops it at once.
pub struct Service {
    pub address: SocketAddr,
    pub admin: SocketAddr,
    channel: Channel,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

impl Service {
    pub async fn start(config: &Config) -> Self {
        let server = Server::bind(config).await.unwrap();
        let (address, admin) = (server.address().unwrap(), server.admin_address().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(server.run(async move {
            let _ = stopped.await;
        }));
        let channel = channel(address);
        Self { address, admin, channel, stop: Some(stop), running }
    }

    /// A service for the tenant of `sandbox`.
    async fn of(sandbox: &Sandbox, configure: impl FnOnce(&mut Config)) -> Self {
        let mut config = cli::sandbox_config(sandbox, ANYWHERE, ANYWHERE);
        config.drain = Duration::from_secs(2);
        configure(&mut config);
        Self::start(&config).await
    }

    /// Asks for a token with the defaults.
    pub async fn lend(&self, identity: IdentitySelector) -> Result<GetIdentityTokenResponse, Status> {
        let request = GetIdentityTokenRequest { identity: Some(identity), ..Default::default() };
        self.client().get_identity_token(request).await.map(tonic::Response::into_inner)
    }

    /// Has the provider of `identity` asked about its token.
    pub async fn inspect(&self, identity: IdentitySelector) -> Result<InspectIdentityTokenResponse, Status> {
        let request = InspectIdentityTokenRequest { identity: Some(identity) };
        self.client().inspect_identity_token(request).await.map(tonic::Response::into_inner)
    }

    /// A client with a connection of its own to share.
    pub fn client(&self) -> IdpTokenServiceClient<Channel> {
        IdpTokenServiceClient::new(self.channel.clone())
            .max_decoding_message_size(16 * 1024 * 1024)
            .max_encoding_message_size(16 * 1024 * 1024)
    }

    /// Gives later clients a connection of their own.
    pub fn reconnect(&mut self) {
        self.channel = channel(self.address);
    }

    /// What SIGTERM does.
    pub fn begin_to_stop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
    }

    /// Waits until it has stopped.
    pub async fn stopped(&mut self) {
        (&mut self.running).await.unwrap();
    }
}

/// A connection to a service, made at its first call.
pub fn channel(address: SocketAddr) -> Channel {
    Channel::from_shared(format!("http://{address}")).unwrap().connect_lazy()
}

/// A call's memory, of a budget that is never used up.
pub fn memory() -> CallMemory {
    Memory::new(1 << 30).call()
}

impl Drop for Service {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// Asserts what every error of the contract has, and gives its details.
#[track_caller]
pub fn assert_error<T: std::fmt::Debug>(
    outcome: Result<T, Status>,
    code: Code,
    reason: &str,
) -> ErrorDetails {
    let status = outcome.expect_err("an error was expected");
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
    assert_eq!((status.code(), info.reason.as_str()), (code, reason), "{}", status.message());
    assert_eq!(info.domain, DOMAIN);
    assert!(!status.message().is_empty());
    details
}

/// The metadata of an error's ErrorInfo.
pub fn metadata<'a>(details: &'a ErrorDetails, key: &str) -> &'a str {
    details.error_info().and_then(|info| info.metadata.get(key)).map_or("", String::as_str)
}

/// GETs a page of an admin endpoint: status and body.
pub async fn page(admin: SocketAddr, path: &str) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(format!("http://{admin}{path}")).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// How long an error asks to wait, if it does.
pub fn retry_after(details: &ErrorDetails) -> Option<Duration> {
    details.retry_info().and_then(|info| info.retry_delay)
}

/// Waits until `holds`: for what happens elsewhere and cannot be awaited. Fails after half a minute.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let patience = std::time::Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(std::time::Instant::now() < patience, "{what}: this never came");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A GET of the provider's main host.
pub fn get(path: &str) -> HttpRequest {
    HttpRequest { path: path.to_owned(), ..Default::default() }
}

/// A POST with a body.
pub fn post(path: &str, body: impl Into<bytes::Bytes>) -> HttpRequest {
    HttpRequest { method: "POST".to_owned(), path: path.to_owned(), body: body.into(), ..Default::default() }
}

/// A header or a query parameter.
pub fn pair(name: &str, value: &str) -> NameValue {
    NameValue { name: name.to_owned(), value: value.to_owned() }
}

/// A request with a deadline.
pub fn within<T>(deadline: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}
