//! The configuration: plain data, read from a TOML file and the environment, and checked as a whole.
//!
//! The environment overrides the file, every mistake is reported at once, and no report ever quotes a value:
//! only names, places, and what to write instead. Each key is one line in `Config::read`, or in the `read` of
//! its table, with its default and its range; the field that it fills documents it.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, time::Duration};

use rustls::pki_types::CertificateDer;
use tracing::Level;

pub use self::{
    auth0::{Auth0, ClientCredential},
    callers::EndUsers,
    connect::Connect,
    environment::{Environment, log_directives},
    jwt_issuer::JwtIssuer,
    limits::Limits,
    problem::{ConfigError, Location, Problem},
    provider::Provider,
    store::Store,
    strategy::Strategy,
    token_vault::TokenVault,
    trusted_peer::{AddressRange, TrustedPeer},
    value::LogFormat,
    web::Web,
};
use self::{
    document::Document, network::is_loopback, reader::Reader, section::Section, tls::Arrival,
    value::AdminAddress,
};
use crate::{
    audit::Settings,
    policy::{Policy, Rule},
    tls::Files,
};

mod audit;
mod auth0;
mod callers;
mod connect;
mod document;
mod environment;
mod hosts;
mod jwt_issuer;
mod keys;
mod known;
mod limits;
mod machine;
mod network;
mod path;
mod private_key;
mod problem;
mod provider;
mod raw;
mod reader;
mod secrets;
mod section;
mod store;
mod strategy;
#[cfg(test)]
mod tests;
mod tls;
mod token_vault;
mod trusted_peer;
mod upstream;
mod value;
mod web;

/// The whole configuration: everything that an operator can set.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address of the gRPC port. Default: 127.0.0.1:50051. Off loopback it takes TLS and callers that
    /// authenticate, or `insecure`.
    pub listen: SocketAddr,
    /// The address of `/metrics`, `/healthz` and `/readyz`. Default: 127.0.0.1:9464.
    pub admin_listen: SocketAddr,
    /// Whether calls are accepted off loopback in plain text or from unauthenticated callers. Default: false.
    pub insecure: bool,
    /// The deadline of calls without `grpc-timeout`, 1 s to 5 min. Default: 30 s.
    pub default_deadline: Duration,
    /// How long calls may continue after SIGTERM, 0 s to 5 min. Default: 15 s.
    pub drain: Duration,
    /// The proxies whose `x-forwarded-client-cert` is believed. Default: none.
    pub trusted_peers: Vec<TrustedPeer>,
    /// Whether gRPC reflection is served, to anybody. Default: true, unless callers must authenticate and
    /// `listen` is off loopback.
    pub reflection: bool,
    /// The log's level and format.
    pub log: Log,
    /// The Auth0 tenant.
    pub auth0: Auth0,
    /// The providers by strategy or connection. Strategies that need no setting are present with their
    /// defaults.
    pub providers: BTreeMap<String, Provider>,
    /// Where renewed tokens are stored.
    pub store: Store,
    /// The issuers of tokens that identify services. Default: none.
    pub jwt_issuers: Vec<JwtIssuer>,
    /// The login application that connect links use. Default: none.
    pub connect: Option<Connect>,
    /// The rules for services. Default: none.
    pub callers: Vec<Rule>,
    /// The rule for the tenant's end users. Default: none.
    pub end_users: Option<EndUsers>,
    /// The TLS files of the gRPC port, which were valid when read. Default: none; plain text.
    pub tls: Option<Files>,
    /// What browsers may do.
    pub web: Web,
    /// Certificate authorities trusted for Auth0 and the providers, in addition to the system's. Default:
    /// none.
    pub upstream_authorities: Vec<CertificateDer<'static>>,
    /// What the service may use of its machine.
    pub limits: Limits,
    /// The audit log. Default: all calls, as JSON, on stdout.
    pub audit: Settings,
    /// Settings that are valid but should be changed.
    pub warnings: Vec<Problem>,
}

/// Settings of the log.
#[derive(Clone, Debug)]
pub struct Log {
    /// The least severe level that is logged. Default: `info`.
    pub level: Level,
    /// One line of text or one JSON object per event. Default: `text`.
    pub format: LogFormat,
}

impl Config {
    /// Reads the configuration from `file`, if there is one, and from `environment`, which overrides it.
    ///
    /// # Errors
    /// Every problem at once, in the order of the file after those of the environment, with the warnings,
    /// which may explain them: a missing variable may just be misspelt. A file that cannot be read, or is not
    /// TOML, is reported alone.
    pub fn load(file: Option<&Path>, environment: &Environment) -> Result<Self, ConfigError> {
        let text = file.map(document::read).transpose()?;
        let (document, table) = match (file, &text) {
            (Some(file), Some(text)) => Document::parse(file, text)?,
            _ => Default::default(),
        };
        let mut reader = Reader::new(document, environment);
        let config = Self::read(&mut Section::root(&mut reader, table));
        let warnings = reader.finish()?;
        let config = config.expect("a key that is missing or wrong was reported");
        Ok(Self { warnings, ..config })
    }

    fn read(root: &mut Section<'_, '_>) -> Option<Self> {
        // First, since it looks for keys that later sections take.
        let has_callers = root.is_set("", "callers");
        let mut callers = callers::read_callers(root);
        let are_users_asked = EndUsers::are_set(root);
        let tls = root.section("tls", tls::read).flatten();
        let jwt_issuers = JwtIssuer::read_all(root);
        let encrypted = tls.as_ref().is_none_or(Option::is_some);
        let authenticated =
            tls.as_ref().is_none_or(|tls| tls.as_ref().is_some_and(|tls| tls.client_ca.is_some()))
                || jwt_issuers.as_ref().is_none_or(|issuers| !issuers.is_empty())
                || are_users_asked;
        let by_address = root.is_set("", "trusted_peers") && !root.is_empty_array("trusted_peers");
        let (listen, insecure) = tls::listen(root, Arrival { encrypted, authenticated, by_address });
        let AdminAddress(admin_listen) = root.or("admin_listen", "127.0.0.1:9464");
        if listen == admin_listen && listen.port() != 0 {
            root.problem("`listen` and `admin_listen` must differ");
        }
        let default_deadline = root.within("default_deadline", "30s", "1s", "5m");
        let drain = root.within("drain", "15s", "0s", "5m");
        let trusted_peers = trusted_peer::read(root);
        let reflection = root.optional::<bool>("reflection", REFLECTION);
        let log = Log { level: root.or("log_level", "info"), format: root.or("log_format", "text") };
        let auth0 = root.section("auth0", Auth0::read).flatten();
        let providers = root.section("providers", Provider::read_all).unwrap_or_default();
        let store = root.section("store", Store::read).flatten();
        let connect = root.section("connect", Connect::read).flatten();
        let web = root.section("web", Web::read).flatten();
        let upstream_authorities = root.section("upstream", upstream::read).flatten();
        let audit = root.section("audit", audit::read).flatten();
        let limits = root.section("limits", Limits::read).flatten();
        let mut end_users = EndUsers::read(root);
        let rules = callers.iter_mut().chain(end_users.as_mut().map(|users| &mut users.rule));
        callers::settle(root, rules, &providers);
        root.finish();
        let (auth0, store, tls, web, upstream_authorities) =
            (auth0?, store?, tls?, web?, upstream_authorities?);
        let (jwt_issuers, reflection, audit, limits) = (jwt_issuers?, reflection.ok()?, audit?, limits?);
        jwt_issuer::check_audiences(root, &auth0, &jwt_issuers, end_users.as_ref());
        let mut config = Self {
            listen,
            admin_listen,
            insecure,
            default_deadline,
            drain,
            trusted_peers,
            reflection: true,
            log,
            auth0,
            providers,
            store,
            jwt_issuers,
            connect,
            callers,
            end_users,
            tls,
            web,
            upstream_authorities,
            limits,
            audit,
            warnings: Vec::new(),
        };
        config.reflection = reflection.unwrap_or(!config.identifies_callers() || is_loopback(listen.ip()));
        if config.identifies_callers() && !has_callers && !are_users_asked {
            root.warn(NO_RULES);
        }
        Some(config)
    }

    /// Returns whether callers must authenticate: they must as soon as the configuration says who may call,
    /// or how callers authenticate. Otherwise callers are not told apart.
    pub fn identifies_callers(&self) -> bool {
        !self.callers.is_empty()
            || self.end_users.is_some()
            || !self.jwt_issuers.is_empty()
            || !self.trusted_peers.is_empty()
            || self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some())
    }

    /// Returns the policy of these rules. If callers are not told apart, everybody may do everything except
    /// get refresh tokens.
    pub fn policy(&self) -> Policy {
        if !self.identifies_callers() {
            return Policy::open();
        }
        let rules = self.callers.iter().chain(self.end_users.as_ref().map(|users| &users.rule));
        let strategy =
            |(name, provider): (&String, &Provider)| (name.clone(), provider.strategy.as_str().to_owned());
        Policy::new(rules.cloned(), self.providers.iter().map(strategy).collect())
    }
}

/// The default of `reflection`, for the documentation.
const REFLECTION: &str = "`true` on loopback or where callers prove nothing, else `false`";

const NO_RULES: &str = "callers must prove who they are, and no rule allows them anything: write `[[callers]]` for services or \
    `[end_users]` for users of the tenant";
