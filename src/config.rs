//! The configuration: plain data, read from a TOML file and the environment, checked as a whole.
//!
//! The environment wins over the file, every mistake is reported at once, and no report ever quotes a value: only
//! names, places, and what to write instead. A key is one line: in `Config::read`, or in the
//! `read` of its table, with its default and its range, beside the documented field that it fills.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, time::Duration};

use rustls::pki_types::CertificateDer;
use tracing::Level;

pub use self::{
    auth0::{Auth0, ClientCredential},
    callers::EndUsers,
    connect::Connect,
    environment::{Environment, log_directives},
    jwt_issuer::JwtIssuer,
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

/// Everything that an operator can set.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where gRPC is served. 127.0.0.1:50051; off loopback only with TLS and callers that prove who they
    /// are, or with `insecure`.
    pub listen: SocketAddr,
    /// Where `/metrics`, `/healthz` and `/readyz` are served. 127.0.0.1:9464.
    pub admin_listen: SocketAddr,
    /// Whether calls may be taken off loopback in plain text, or from callers that prove nothing. False.
    pub insecure: bool,
    /// The deadline of calls without `grpc-timeout`. 1 s to 5 min; 30 s.
    pub default_deadline: Duration,
    /// How long calls may go on after SIGTERM. 0 s to 5 min; 15 s.
    pub drain: Duration,
    /// Who is believed when it says, in `x-forwarded-client-cert`, who its client is. Nobody.
    pub trusted_peers: Vec<TrustedPeer>,
    /// Whether gRPC reflection is served, to whoever asks. True, except where callers must prove who they are and `listen`
    /// is off loopback.
    pub reflection: bool,
    /// What is logged, and how.
    pub log: Log,
    /// The tenant.
    pub auth0: Auth0,
    /// The providers by strategy or connection. Every strategy that needs no setting is there, with its defaults where nothing was set.
    pub providers: BTreeMap<String, Provider>,
    /// Where renewed tokens are kept.
    pub store: Store,
    /// Whose tokens identify services. None.
    pub jwt_issuers: Vec<JwtIssuer>,
    /// The login application behind connect links. None.
    pub connect: Option<Connect>,
    /// What services may do. None.
    pub callers: Vec<Rule>,
    /// The tenant's end users, and what they may do. None.
    pub end_users: Option<EndUsers>,
    /// TLS on the gRPC port; the files were good when they were read. None: plain text.
    pub tls: Option<Files>,
    /// What browsers may do.
    pub web: Web,
    /// Authorities that Auth0 and the providers may be certified by, beside the system's. None.
    pub upstream_authorities: Vec<CertificateDer<'static>>,
    /// What is recorded of calls. All, as JSON, on stdout.
    pub audit: Settings,
    /// What is not wrong, but should not stay so.
    pub warnings: Vec<Problem>,
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct Log {
    /// The least severe level that is logged. `info`.
    pub level: Level,
    /// One line of text or one JSON object per event. `text`.
    pub format: LogFormat,
}

impl Config {
    /// Reads the configuration from `file`, where there is one, and from `environment`, which wins.
    ///
    /// # Errors
    /// Every problem at once, in the order of the file; those of the environment come first. With them the warnings,
    /// which may tell why: a variable that is missing may just be misspelt.
    /// A file that cannot be read, or is not TOML, is reported alone.
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
        // First, since it asks for keys that others take.
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
        let (listen, insecure) = tls::listen(root, Arrival { encrypted, authenticated });
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
        let mut end_users = EndUsers::read(root);
        let rules = callers.iter_mut().chain(end_users.as_mut().map(|users| &mut users.rule));
        callers::settle(root, rules, &providers);
        root.finish();
        let (auth0, store, tls, web, upstream_authorities) =
            (auth0?, store?, tls?, web?, upstream_authorities?);
        let (jwt_issuers, reflection, audit) = (jwt_issuers?, reflection.ok()?, audit?);
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
            audit,
            warnings: Vec::new(),
        };
        config.reflection = reflection.unwrap_or(!config.identifies_callers() || is_loopback(listen.ip()));
        if config.identifies_callers() && !has_callers && !are_users_asked {
            root.warn(NO_RULES);
        }
        Some(config)
    }

    /// Whether callers must prove who they are: they must as soon as anything is said about who may call, or how they prove
    /// it. Otherwise they are not told apart.
    pub fn identifies_callers(&self) -> bool {
        !self.callers.is_empty()
            || self.end_users.is_some()
            || !self.jwt_issuers.is_empty()
            || !self.trusted_peers.is_empty()
            || self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some())
    }

    /// The policy of these rules. Where callers are not told apart everybody may do everything, save get refresh tokens.
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

/// What holds where `reflection` is not set.
const REFLECTION: &str = "`true` on loopback or where callers prove nothing, else `false`";

const NO_RULES: &str = "callers must prove who they are, and no rule allows them anything: write `[[callers]]` for services or \
    `[end_users]` for users of the tenant";
