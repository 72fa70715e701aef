//! The composition root: the only place that knows every part. `Config` -> [`Server::bind`] -> [`Server::run`].

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use tokio::{net::TcpListener, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::Routes;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    audit::Audit,
    auth0::{Auth0, connect::LoginApplication},
    authentication::Authentication,
    broker::Broker,
    config::{Config, TrustedPeer},
    provider,
    provider_client::{ProviderClient, Providers},
    service::{Gate, METHODS, pb},
    store::{Store, StoreError},
    telemetry::{
        Metrics,
        admin::{self, Readiness},
    },
    tls::Faults,
    tokens::Tokens,
    transport::{Transport, TransportSetupError},
    web::{Proofs, Web},
};

mod background;
mod certificates;
mod connection;

use background::Background;
use certificates::Certificates;
use connection::{Connections, Door};

/// The health service's name of the whole server, and of the contract.
const HEALTH_NAMES: [&str; 2] = ["", "idptoken.v1.IdpTokenService"];

/// A message to health and reflection, in bytes, which asks for a name. They are open to everybody, so nobody may fill the
/// memory with it.
const PUBLIC_MESSAGE_LIMIT: usize = 4 * 1024;

/// After SIGTERM calls are still taken for this share of the drain time, so that health checks can see NOT_SERVING
/// before connections are asked to go.
const LAME_DUCK: u32 = 5;

/// How often it is said that the end of the process waits for renewals.
const SETTLING: Duration = Duration::from_secs(5);

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, or not ours.
    #[error("cannot listen on {address} ({key}): {source}")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// The key in the configuration.
        key: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The token store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The audit log cannot be opened.
    #[error("the audit log cannot be opened (`audit.file`): {0}")]
    Audit(io::Error),
    /// A file of TLS is of no use any more.
    #[error(transparent)]
    Tls(#[from] Faults),
    /// No HTTP client.
    #[error(transparent)]
    Transport(#[from] TransportSetupError),
    /// The contract's descriptor is broken: a fault of the build.
    #[error("reflection cannot be served: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// A server that has its ports, but takes no calls yet.
pub struct Server {
    listener: TcpListener,
    admin_listener: TcpListener,
    certificates: Option<Certificates>,
    web: Web,
    auth0: Arc<Auth0>,
    tokens: Arc<Tokens>,
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    audit: Audit,
    health: HealthReporter,
    drain: Duration,
}

impl Server {
    /// Puts everything together and takes the ports.
    ///
    /// # Errors
    /// When the token store or the audit log cannot be opened, a port is taken or TLS cannot be set up. Auth0 is not asked yet.
    pub async fn bind(config: &Config) -> Result<Self, StartError> {
        let store = Arc::new(
            Store::open(&config.store.url, config.store.keys.clone(), &config.auth0.audience).await?,
        );
        let listener = bind(config.listen, "listen").await?;
        let admin_listener = bind(config.admin_listen, "admin_listen").await?;
        let metrics = Arc::new(Metrics::new(&METHODS));
        let audit = Audit::start(&config.audit, &metrics).map_err(StartError::Audit)?;
        let certificates =
            config.tls.as_ref().map(|files| Certificates::load(files, &metrics)).transpose()?;
        let transport = Transport::trusting(&config.upstream_authorities)?;
        let auth0 = Arc::new(Auth0::new(&config.auth0, &transport, &store, &metrics));
        let providers = Arc::new(providers(config, &transport));
        let tokens =
            Tokens::new(Arc::clone(&auth0), Arc::clone(&providers), Arc::clone(&store), Arc::clone(&metrics));
        let login = config.connect.as_ref().map(|connect| LoginApplication::new(&config.auth0, connect));
        let broker = Broker::new(
            Arc::clone(&auth0),
            providers,
            Arc::clone(&tokens),
            login,
            config.policy(),
            Arc::clone(&metrics),
        );

        let (health, health_service) = tonic_health::server::health_reporter();
        let health_service = health_service.max_decoding_message_size(PUBLIC_MESSAGE_LIMIT);
        report(&health, ServingStatus::NotServing).await;
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(pb::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                // With these, grpcurl prints an error's details instead of their bytes.
                .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        };
        let mut rest = Routes::new(health_service);
        if config.reflection {
            let v1 = reflection().build_v1()?.max_decoding_message_size(PUBLIC_MESSAGE_LIMIT);
            let v1alpha = reflection().build_v1alpha()?.max_decoding_message_size(PUBLIC_MESSAGE_LIMIT);
            rest = rest.add_service(v1).add_service(v1alpha);
        }
        let authentication = Authentication::new(config, &transport);
        let gate = Gate::new(
            Arc::new(broker),
            authentication,
            rest,
            config.default_deadline,
            audit.clone(),
            Arc::clone(&metrics),
        );
        let web = Web::new(gate, &config.web.allowed_origins, proofs(config), Arc::clone(&metrics));
        let drain = config.drain;
        Ok(Self {
            listener,
            admin_listener,
            certificates,
            web,
            auth0,
            tokens,
            store,
            metrics,
            audit,
            health,
            drain,
        })
    }

    /// Where gRPC is served.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Where the admin endpoint is served.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn admin_address(&self) -> io::Result<SocketAddr> {
        self.admin_listener.local_addr()
    }

    /// Serves until `shutdown`, then lets the calls under way finish within the drain time.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let readiness = Readiness::default();
        let background = Background::default();
        let admin = admin::router(Arc::clone(&self.metrics), readiness.clone(), self.audit.clone());
        background.spawn(background::serve_admin(self.admin_listener, admin));
        background.spawn(background::sweep(Arc::clone(&self.auth0), Arc::clone(&self.tokens)));
        background.spawn(background::remove_unused(self.store));
        let tls = self.certificates.as_ref().map(Certificates::current);
        if let Some(certificates) = self.certificates {
            background.spawn(certificates.keep_current());
        }
        let starting = CancellationToken::new();
        let ready = background::become_ready(self.auth0, self.health.clone(), readiness.clone());
        background.spawn_until(starting.clone(), ready);

        let connections = TaskTracker::new();
        let go_away = CancellationToken::new();
        let end = CancellationToken::new();
        let connect =
            Connections { tracker: connections.clone(), go_away: go_away.clone(), end: end.clone() };
        let web = self.web;
        let door = Door::new(move |request| web.answer(request), tls, self.metrics);
        let mut accept = Box::pin(door.accept(self.listener, connect));
        tokio::select! {
            () = shutdown => {}
            () = &mut accept => {}
        }

        let deadline = Instant::now() + self.drain;
        tracing::info!(drain_s = self.drain.as_secs(), connections = connections.len(), "Stopping");
        starting.cancel();
        readiness.set(false);
        report(&self.health, ServingStatus::NotServing).await;
        let _ = tokio::time::timeout(self.drain / LAME_DUCK, &mut accept).await;
        drop(accept);
        go_away.cancel();
        // Or else a client that watches the health would hold its connection to the last.
        for name in HEALTH_NAMES {
            self.health.clear_service_status(name).await;
        }
        all_gone(&connections, deadline).await;
        end.cancel();
        settle(&self.tokens).await;
        self.audit.finish().await;
        background.end().await;
    }
}

async fn all_gone(connections: &TaskTracker, deadline: Instant) {
    connections.close();
    if tokio::time::timeout_at(deadline, connections.wait()).await.is_err() {
        let connections = connections.len();
        tracing::warn!(connections, "Calls were still under way at the end of the drain time");
    }
}

async fn bind(address: SocketAddr, key: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Bind { address, key, source })
}

/// What those prove who reach the port.
fn proofs(config: &Config) -> Proofs {
    let by_address = |peer: &TrustedPeer| matches!(peer, TrustedPeer::Range(_));
    match config.identifies_callers() {
        false => Proofs::Nothing,
        true if config.trusted_peers.iter().any(by_address) => Proofs::Addresses,
        true => Proofs::Identity,
    }
}

fn providers(config: &Config, transport: &Transport) -> Providers {
    let mut providers = Providers::default();
    for (name, configured) in &config.providers {
        let strategy = configured.strategy.as_str();
        if let Some(adapter) = provider::build(strategy, configured.settings.clone()) {
            let transport = transport.with_host_overrides(configured.host_overrides.clone());
            let (name, strategy) = (name.clone(), strategy.to_owned());
            providers.insert(ProviderClient::new(name, strategy, adapter, transport));
        }
    }
    providers
}

async fn report(health: &HealthReporter, status: ServingStatus) {
    for name in HEALTH_NAMES {
        health.set_service_status(name, status).await;
    }
}

/// Waits for the renewals under way, however long the drain time is: what a provider has issued exists nowhere else. Each has time
/// limits of its own.
async fn settle(tokens: &Tokens) {
    let mut settled = pin!(tokens.settled());
    while tokio::time::timeout(SETTLING, &mut settled).await.is_err() {
        tracing::warn!("Renewals are still under way: ending this process now may lose users' tokens");
    }
}
