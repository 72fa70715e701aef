//! The composition root, the only module that knows every part. `Config` -> [`Server::bind`] ->
//! [`Server::run`].

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
    memory::Memory,
    provider,
    provider_client::{ProviderClient, Providers},
    service::{Gate, pb},
    store::{Store, StoreError},
    telemetry::{
        Metrics,
        admin::{self, Probe, Readiness},
    },
    tls::Faults,
    tokens::Tokens,
    transport::{Transport, TransportSetupError},
    web::{AuthMode, Web},
};

mod background;
mod certificates;
mod connection;
mod descriptors;

use background::Background;
use certificates::Certificates;
use connection::{Acceptor, ConnectionLimits, Connections};
pub use descriptors::raise_limit;

/// The health service's names for the whole server and for the contract's service.
const HEALTH_NAMES: [&str; 2] = ["", "idptoken.v1.IdpTokenService"];

/// The largest message to health and reflection, in bytes. They take only a name, and are open to everyone,
/// so nobody may fill the memory through them.
const PUBLIC_MESSAGE_LIMIT: usize = 4 * 1024;

/// After SIGTERM, calls are still accepted for this share of the drain time, so that health checks see
/// NOT_SERVING before connections are asked to close.
const LAME_DUCK: u32 = 5;

/// How often the log reports that shutdown is waiting for renewals.
const SETTLING: Duration = Duration::from_secs(5);

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is in use, or does not belong to this machine.
    #[error("cannot listen on {address} ({key}): {source}")]
    Bind {
        /// The configured address.
        address: SocketAddr,
        /// Its key in the configuration.
        key: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// The token store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The audit log cannot be opened.
    #[error("the audit log cannot be opened (`audit.file`): {0}")]
    Audit(io::Error),
    /// A TLS file that was valid when the configuration was read no longer is.
    #[error(transparent)]
    Tls(#[from] Faults),
    /// The HTTP client cannot be built.
    #[error(transparent)]
    Transport(#[from] TransportSetupError),
    /// The contract's descriptor is broken: a defect of the build.
    #[error("reflection cannot be served: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// A server that has bound its ports, but does not accept calls yet.
pub struct Server {
    listener: TcpListener,
    admin_listener: TcpListener,
    /// Why new calls cannot be taken.
    probes: Vec<Probe>,
    /// How many the gRPC port may have.
    connections: usize,
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
    /// Assembles the server and binds its ports.
    ///
    /// # Errors
    /// When the token store or the audit log cannot be opened, a port is in use, or TLS cannot be set up.
    /// Auth0 is not contacted yet.
    pub async fn bind(config: &Config) -> Result<Self, StartError> {
        let store = Arc::new(
            Store::open(&config.store.url, config.store.keys.clone(), &config.auth0.audience).await?,
        );
        let listener = bind(config.listen, "listen").await?;
        let admin_listener = bind(config.admin_listen, "admin_listen").await?;
        let metrics = Arc::new(Metrics::default());
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
            Memory::new(config.limits.memory),
            audit.clone(),
            Arc::clone(&metrics),
        );
        let (full, log) = (gate.clone(), audit.clone());
        let probes: Vec<Probe> = vec![
            Box::new(move || (!log.is_writing()).then_some("the audit log cannot be written")),
            Box::new(move || full.why_full()),
        ];
        let web = Web::new(gate, &config.web.allowed_origins, auth_mode(config), Arc::clone(&metrics));
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
            connections: descriptors::connections(config.limits.connections),
            probes,
        })
    }

    /// The address of the gRPC port.
    ///
    /// # Errors
    /// When the system does not report it.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The address of the admin endpoint.
    ///
    /// # Errors
    /// When the system does not report it.
    pub fn admin_address(&self) -> io::Result<SocketAddr> {
        self.admin_listener.local_addr()
    }

    /// Serves until `shutdown` completes, then lets calls in progress finish within the drain time.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let readiness = Readiness::default();
        let background = Background::default();
        background.spawn(background::sweep(Arc::clone(&self.auth0), Arc::clone(&self.tokens)));
        background.spawn(background::remove_unused(self.store));
        let tls = self.certificates.as_ref().map(Certificates::current);
        if let Some(certificates) = self.certificates {
            background.spawn(certificates.keep_current());
        }
        let starting = CancellationToken::new();
        let ready = background::become_ready(self.auth0, self.health.clone(), readiness.clone());
        background.spawn_until(starting.clone(), ready);

        let connections = Connections::default();
        let web = self.web;
        let limits = ConnectionLimits::sharing(self.connections);
        let metrics = Arc::clone(&self.metrics);
        let acceptor = Acceptor::new(move |request| web.answer(request), tls, limits, metrics);
        let mut probes = self.probes;
        probes.push(acceptor.probe());
        let admin = admin::router(Arc::clone(&self.metrics), readiness.clone(), probes);
        let admin_connections = Connections::default();
        let admin =
            background::serve_admin(self.admin_listener, admin, admin_connections.clone(), self.metrics);
        background.spawn(admin);
        let mut accept = Box::pin(acceptor.accept(self.listener, connections.clone()));
        tokio::select! {
            () = shutdown => {}
            () = &mut accept => {}
        }

        let deadline = Instant::now() + self.drain;
        tracing::info!(drain_s = self.drain.as_secs(), connections = connections.tracker.len(), "Stopping");
        starting.cancel();
        readiness.set(false);
        report(&self.health, ServingStatus::NotServing).await;
        let _ = tokio::time::timeout(self.drain / LAME_DUCK, &mut accept).await;
        drop(accept);
        connections.go_away.cancel();
        // Otherwise a client that watches the health would keep its connection open to the end.
        for name in HEALTH_NAMES {
            self.health.clear_service_status(name).await;
        }
        all_gone(&connections.tracker, deadline).await;
        connections.end.cancel();
        settle(&self.tokens).await;
        self.audit.finish().await;
        background.end().await;
        admin_connections.end.cancel();
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

/// What callers must prove to use the port.
fn auth_mode(config: &Config) -> AuthMode {
    let by_address = |peer: &TrustedPeer| matches!(peer, TrustedPeer::Range(_));
    match config.identifies_callers() {
        false => AuthMode::Anonymous,
        true if config.trusted_peers.iter().any(by_address) => AuthMode::TrustedAddress,
        true => AuthMode::Identity,
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

/// Waits for renewals in progress, however long the drain time is: tokens that a provider has issued exist
/// nowhere else. Each renewal has its own time limits.
async fn settle(tokens: &Tokens) {
    let mut settled = pin!(tokens.settled());
    while tokio::time::timeout(SETTLING, &mut settled).await.is_err() {
        tracing::warn!("Renewals are still under way: ending this process now may lose users' tokens");
    }
}
