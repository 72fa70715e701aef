//! What the sandbox starts with: plain data, read from a TOML file that a person can edit.

mod check;
mod duration;
mod generic;
mod providers;
mod token_vault;
mod user;

use std::time::Duration;

use serde::Deserialize;

pub use generic::GenericSeed;
pub use providers::{
    BitbucketSeed, FacebookSeed, GitHubSeed, GoogleSeed, MicrosoftSeed, OAuthApp, ProvidersSeed,
};
pub use token_vault::{ConnectedAccountSeed, PrivilegedWorkerSeed};
pub use user::{IdentitySeed, TokenSeed, UserSeed};

use super::error::SandboxError;
use super::keys;

/// The whole start state. [`Seed::sample`] is documented in `sample.toml` beside this file.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    /// The tenant's canonical domain, which names its issuer and the Management API's audience.
    #[serde(default = "default_domain")]
    pub domain: String,
    /// The tenant's signing key as a PKCS #8 PEM. A new one each time if absent, which takes about 150 ms:
    /// suites that start many sandboxes give them all one of [`Seed::new_signing_key`].
    #[serde(default)]
    pub signing_key: Option<String>,
    /// The Management API.
    #[serde(default)]
    pub management: ManagementSeed,
    /// Other APIs (audiences) that the tenant issues access tokens for.
    #[serde(default)]
    pub apis: Vec<ApiSeed>,
    /// The tenant's applications.
    #[serde(default)]
    pub clients: Vec<ClientSeed>,
    /// The OAuth apps behind the connections, and the providers' limits.
    #[serde(default)]
    pub providers: ProvidersSeed,
    /// GitHub repositories.
    #[serde(default)]
    pub repositories: Vec<RepositorySeed>,
    /// The tenant's users.
    #[serde(default)]
    pub users: Vec<UserSeed>,
}

impl Seed {
    /// The sample: few users, each of them telling.
    pub fn sample() -> Self {
        Self::from_toml(include_str!("sample.toml")).expect("the embedded sample is valid, a test reads it")
    }

    /// A new RSA key of 2,048 bits for [`Seed::signing_key`].
    pub fn new_signing_key() -> Result<String, SandboxError> {
        keys::new_pem()
    }

    /// Reads a seed; an unknown key, a wrong type or a bad duration is an error that names its line, and what
    /// cannot work is one that names its key.
    pub fn from_toml(text: &str) -> Result<Self, SandboxError> {
        let seed: Self = toml::from_str(text).map_err(|error| SandboxError::Seed(error.to_string()))?;
        seed.check().map_err(SandboxError::Seed)?;
        Ok(seed)
    }
}

/// The Management API's limits.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ManagementSeed {
    /// Requests each second. 16, as on an Enterprise production tenant.
    pub requests_per_second: f64,
    /// Requests at once. 50, as on an Enterprise production tenant.
    pub burst: u32,
    /// How long a Management token lives. 24 hours, Auth0's default.
    #[serde(deserialize_with = "duration::read")]
    pub token_lifetime: Duration,
}

impl Default for ManagementSeed {
    fn default() -> Self {
        Self { requests_per_second: 16.0, burst: 50, token_lifetime: Duration::from_secs(86_400) }
    }
}

/// An API of the tenant's own, named by its audience.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiSeed {
    /// The identifier that becomes `aud`.
    pub audience: String,
    /// How long its tokens live. 2 hours, Auth0's default for end-user tokens.
    #[serde(default = "two_hours", deserialize_with = "duration::read")]
    pub token_lifetime: Duration,
}

/// An application of the tenant.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientSeed {
    /// `client_id`.
    pub id: String,
    /// `client_secret`; without one the client is public, or proves itself with a key.
    pub secret: Option<String>,
    /// The PEM of an RSA public key: the client then authenticates with `private_key_jwt` alone.
    pub public_key: Option<String>,
    /// Scopes of the Management API granted to the client; absent means there is no grant.
    pub scopes: Option<Vec<String>>,
    /// Other audiences granted for client credentials.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// Grant types that the client may use.
    #[serde(default = "client_credentials")]
    pub grant_types: Vec<String>,
    /// Where `/authorize` may send the browser back to; compared exactly.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// The right to open Token Vault for any user; absent means none.
    pub privileged_worker: Option<PrivilegedWorkerSeed>,
    /// The API whose own client this is, by its audience: it may exchange that API's access tokens in Token
    /// Vault.
    pub resource_server: Option<String>,
}

impl ClientSeed {
    /// An application in the browser, which can keep no secret and logs users in with PKCE.
    pub(crate) fn public(id: &str, redirect_uri: String) -> Self {
        Self {
            id: id.to_owned(),
            secret: None,
            public_key: None,
            scopes: None,
            audiences: Vec::new(),
            grant_types: vec!["authorization_code".to_owned()],
            redirect_uris: vec![redirect_uri],
            privileged_worker: None,
            resource_server: None,
        }
    }
}

/// A GitHub repository.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositorySeed {
    /// The login of the owner, which is the nickname of a GitHub identity.
    pub owner: String,
    /// The repository's name.
    pub name: String,
    /// Whether it is seen only by its owner with scope `repo`.
    #[serde(default)]
    pub private: bool,
    /// Earlier names: they answer 301.
    #[serde(default)]
    pub former_names: Vec<String>,
}

fn default_domain() -> String {
    "sandbox.eu.auth0.example".to_owned()
}

fn two_hours() -> Duration {
    Duration::from_secs(7_200)
}

fn client_credentials() -> Vec<String> {
    vec!["client_credentials".to_owned()]
}
