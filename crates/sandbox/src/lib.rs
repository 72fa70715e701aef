//! A loopback stand-in for an Auth0 tenant and the identity providers behind it.
//!
//! One listener plays everything; the `Host` header picks the system (see [`PROVIDER_HOSTS`]), and any other host is the
//! tenant. State is real: a revoked token is refused, an empty bucket answers 429. It speaks HTTP and imports nothing of the
//! service, so that the service under test is the real one with other base URLs.
//!
//! Tests use [`Sandbox`] itself; people and other languages steer it over HTTP, on the tenant:
//!
//! | request | does |
//! |---|---|
//! | `GET /sandbox/journal`, `DELETE` | what arrived, secrets as fingerprints, `?after=7` only what came after number 7; forgets it |
//! | `POST /sandbox/faults`, `GET`, `DELETE` | scripts one fault; shows those that wait; removes all |
//! | `GET /sandbox/reuse` | how often a dead refresh token was used again, and how many grants that ended |
//! | `GET /sandbox/users` | users, identities and the states of their tokens |
//! | `POST /sandbox/users/{id}/{connection}/{action}` | `log-in`, `consent`, `expire`, `expire-all`, `revoke`, `change-password`, `forget`, `unlink` |
//! | `POST /sandbox/users/{id}/{connection}/link-to/{other}` | links that identity to another user |
//! | `POST /sandbox/clock/{duration}` | moves time forward, `1h` |
//!
//! `GET /playground` is a page that calls the service from a browser.
//!
//! `docs/sandbox.md` has examples. A fault is `{"host", "path", "method", "after": 0, "times": 1, "always", "delay": "3s", "processed"}` and one of
//! `"answer": {"status", "headers", "body"}`, `"amend": {FIELD: VALUE}`, `"kind": "cut" | "hang" | "garbage" | "empty"`, `"cut_body": BYTES`.

mod assertion;
mod bitbucket;
mod clock;
mod credentials;
mod error;
mod facebook;
mod faults;
mod form;
mod generic;
mod github;
mod google;
mod hosts;
mod journal;
mod keys;
mod limits;
mod microsoft;
mod playground;
mod reply;
mod secrets;
mod seed;
mod server;
mod state;
mod tenant;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use error::SandboxError;
pub use faults::{Fault, Faults};
pub use hosts::PROVIDER_HOSTS;
pub use journal::{Entry, JOURNAL_BODY_BYTES, JOURNAL_ENTRIES, Journal};
pub use playground::CLIENT as PLAYGROUND_CLIENT;
pub use seed::{
    ApiSeed, BitbucketSeed, ClientSeed, ConnectedAccountSeed, FacebookSeed, GenericSeed, GitHubSeed,
    GoogleSeed, IdentitySeed, ManagementSeed, MicrosoftSeed, OAuthApp, PrivilegedWorkerSeed, ProvidersSeed,
    RepositorySeed, Seed, TokenSeed, UserSeed,
};
pub use state::grants::Reuse;

use keys::SigningKey;
use state::World;
use state::users::LoginKind;

/// A running sandbox. Dropping it closes the listener and every connection.
pub struct Sandbox {
    world: Arc<World>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Sandbox {
    /// Sows the seed, binds (port 0 takes a free one) and serves in background tasks of the current runtime.
    pub async fn start(seed: Seed, listen: SocketAddr) -> Result<Self, SandboxError> {
        let world = Arc::new(World::new(seed)?);
        let refused = |source| SandboxError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let server = tokio::spawn(server::serve(listener, server::Sites::new(&world)));
        Ok(Self { world, address, server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The tenant's base URL, and where every provider host is really reached: `http://127.0.0.1:PORT`, also where it
    /// listens on all addresses.
    pub fn url(&self) -> String {
        local_url(self.address)
    }

    /// Every provider host that it plays: [`PROVIDER_HOSTS`], and those of the seed's generic providers.
    pub fn hosts(&self) -> Vec<String> {
        let generic = self.world.providers.generic.iter();
        let own = generic.flat_map(|one| [one.api_host.clone(), one.auth_host.clone()]);
        PROVIDER_HOSTS.iter().map(|&host| host.to_owned()).chain(own).collect()
    }

    /// How often refresh tokens were used again that had died at an earlier use, and how many grants that cost.
    pub fn reuse(&self) -> Reuse {
        self.world.state().grants.reuse()
    }

    /// The canonical domain of the tenant that it plays.
    pub fn domain(&self) -> &str {
        &self.world.domain
    }

    /// The issuer of the tenant's tokens: `https://DOMAIN/`.
    pub fn issuer(&self) -> String {
        self.world.issuer()
    }

    /// The audience of the Management API: `https://DOMAIN/api/v2/`.
    pub fn audience(&self) -> String {
        self.world.audience()
    }

    /// The OAuth app behind the connections of an Auth0 strategy; `None` where that provider is not played.
    pub fn oauth_app(&self, strategy: &str) -> Option<OAuthApp<'_>> {
        self.world.providers.app(strategy)
    }

    /// The providers that only the standards describe, each behind a connection of its own.
    pub fn generic_providers(&self) -> &[GenericSeed] {
        &self.world.providers.generic
    }

    /// Where [`Sandbox::open_playground`] opens it.
    pub fn playground_url(&self) -> String {
        self.url() + playground::PATH
    }

    /// Opens the playground, a page that users of the tenant log in to through [`PLAYGROUND_CLIENT`], to call the service
    /// at `service`, an origin such as `http://127.0.0.1:50052`, with their own access tokens for `audience`. Opened
    /// again it stays as it is.
    pub fn open_playground(&self, service: &str, audience: &str) {
        playground::open(&self.world, &self.url(), service, audience);
    }

    /// The APIs that the tenant issues access tokens for, beside its own, by audience.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        self.world.apis.iter().map(|api| api.audience.as_str())
    }

    /// What arrived.
    pub fn journal(&self) -> &Journal {
        &self.world.journal
    }

    /// What shall go wrong.
    pub fn faults(&self) -> &Faults {
        &self.world.faults
    }

    /// Moves the sandbox's clock forward: tokens expire, buckets refill.
    pub fn advance(&self, by: Duration) {
        self.world.clock.advance(by);
    }

    /// Signs any claims with the tenant's key, for tokens that are wrong in a chosen way.
    pub fn sign(&self, claims: &serde_json::Value) -> String {
        self.world.key().sign(claims)
    }

    /// An access token that the tenant issued to a user for an audience, with those scopes.
    pub fn end_user_token(
        &self,
        user_id: &str,
        audience: &str,
        scopes: &[&str],
    ) -> Result<String, SandboxError> {
        let known = self.world.state().users.get(user_id).is_some();
        if !known {
            return Err(SandboxError::NoSuchUser(user_id.to_owned()));
        }
        Ok(tenant::end_user_token(&self.world, user_id, audience, &scopes.join(" ")))
    }

    /// Replaces the tenant's signing key, and forgets the old one: tokens signed with it are no longer good.
    pub fn rotate_signing_key(&self) -> Result<(), SandboxError> {
        let key = SigningKey::generate()?;
        *self.world.key() = key;
        Ok(())
    }
}

/// Users and their tokens. `connection` is Auth0's connection name, or `connection|identity user id` where a user has
/// several identities of one connection.
impl Sandbox {
    /// Adds a user, or replaces the one of that id.
    pub fn add_user(&self, user: UserSeed) {
        let now = self.world.clock.now();
        self.world.state().add_user(user, &self.world.providers, now);
    }

    /// The user logs in again: the provider issues a new token, Auth0 keeps it and moves `last_login`.
    ///
    /// As in reality the new identity replaces the old: at Google, whose ordinary login brings no refresh token, the old one
    /// is gone from the profile, though it lives on at Google.
    pub fn log_in(&self, user_id: &str, connection: &str) -> Result<String, SandboxError> {
        self.log_in_as(user_id, connection, LoginKind::default())
    }

    /// The same over the consent screen with offline access, which brings a refresh token at Google too.
    pub fn log_in_with_consent(&self, user_id: &str, connection: &str) -> Result<String, SandboxError> {
        self.log_in_as(user_id, connection, LoginKind::consent())
    }

    fn log_in_as(&self, user: &str, connection: &str, kind: LoginKind) -> Result<String, SandboxError> {
        let now = self.world.clock.now();
        self.world.state().log_in(user, connection, kind, now)
    }

    /// The access token that Auth0 holds for an identity.
    pub fn access_token(&self, user_id: &str, connection: &str) -> Option<String> {
        let state = self.world.state();
        state.users.identity(user_id, connection).ok()?.access_token.clone()
    }

    /// The refresh token that Auth0 holds for an identity.
    pub fn refresh_token(&self, user_id: &str, connection: &str) -> Option<String> {
        let state = self.world.state();
        state.users.identity(user_id, connection).ok()?.refresh_token.clone()
    }

    /// The access token that lies in Token Vault for an account.
    pub fn vault_token(&self, user_id: &str, connection: &str) -> Option<String> {
        let state = self.world.state();
        state.vault.stored(user_id, connection).map(|(_, access)| access.to_owned())
    }

    /// Whether the provider still takes this access token.
    pub fn is_alive(&self, access_token: &str) -> bool {
        self.world.state().grants.check_any(access_token, self.world.clock.now()).is_ok()
    }

    /// Lets the access token that Auth0 holds expire at the provider, ahead of what Auth0 believes.
    pub fn expire_token(&self, user_id: &str, connection: &str) -> Result<(), SandboxError> {
        let now = self.world.clock.now();
        self.world.state().expire_token(user_id, connection, now)
    }

    /// Lets every access token of the account expire at the provider, also those that renewals brought; the
    /// grant lives on.
    pub fn expire_all(&self, user_id: &str, connection: &str) -> Result<(), SandboxError> {
        let now = self.world.clock.now();
        self.world.state().expire_all(user_id, connection, now)
    }

    /// Links an account: the identity moves from `secondary`, its user so far, to the user `primary`, with
    /// the tokens that Auth0 keeps of it. A user without any identity is gone.
    pub fn link(&self, primary: &str, secondary: &str, connection: &str) -> Result<(), SandboxError> {
        self.world.state().link(primary, secondary, connection)
    }

    /// Unlinks an account: the identity becomes a user of its own again.
    pub fn unlink(&self, user_id: &str, connection: &str) -> Result<(), SandboxError> {
        self.world.state().unlink(user_id, connection)
    }

    /// The user removes the app at the provider: every token of the account dies, refresh tokens too.
    pub fn revoke_token(&self, user_id: &str, connection: &str) -> Result<(), SandboxError> {
        self.world.state().revoke_token(user_id, connection)
    }

    /// The user changes the password at the provider, which ends all tokens of the account; at Microsoft, where only an
    /// administrator's change does so, it is that.
    pub fn change_password(&self, user_id: &str, connection: &str) -> Result<(), SandboxError> {
        self.world.state().change_password(user_id, connection)
    }

    /// Takes the tokens out of Auth0's profile, as for a connection that moved to Token Vault.
    pub fn forget_token(&self, user_id: &str, connection: &str) -> Result<(), SandboxError> {
        self.world.state().forget_token(user_id, connection)
    }

    /// Changes what the user granted at the provider, for living tokens and for later logins.
    pub fn set_scopes(&self, user_id: &str, connection: &str, scopes: &[&str]) -> Result<(), SandboxError> {
        let scopes: Vec<String> = scopes.iter().map(|&scope| scope.to_owned()).collect();
        self.world.state().set_scopes(user_id, connection, &scopes)
    }
}

/// The tenant's applications.
impl Sandbox {
    /// The first application that browsers log in to: its client id, and where they may be sent back to.
    pub fn login_application(&self) -> Option<(String, Vec<String>)> {
        let state = self.world.state();
        state.clients.iter().find_map(|client| {
            let uris = client.redirect_uris();
            (!uris.is_empty()).then(|| (client.id().to_owned(), uris.to_vec()))
        })
    }

    /// Replaces the Management scopes granted to a client; tokens already issued keep theirs.
    pub fn set_tenant_scopes(&self, client_id: &str, scopes: &[&str]) -> Result<(), SandboxError> {
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        self.with_client(client_id, |client| client.set_management_scopes(scopes))
    }

    /// Rotates a client's secret: the old one is void at once.
    pub fn set_client_secret(&self, client_id: &str, new: &str) -> Result<(), SandboxError> {
        self.with_client(client_id, |client| client.set_secret(new))
    }

    fn with_client(
        &self,
        client_id: &str,
        change: impl FnOnce(&mut state::clients::Client),
    ) -> Result<(), SandboxError> {
        let mut state = self.world.state();
        let client = state.clients.iter_mut().find(|client| client.id() == client_id);
        change(client.ok_or_else(|| SandboxError::NoSuchClient(client_id.to_owned()))?);
        Ok(())
    }
}

/// How programs on this machine reach what listens at `address`, also where that is all addresses.
pub fn local_url(mut address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    format!("http://{address}")
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.server.abort();
    }
}
