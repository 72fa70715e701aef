//! A provider that follows the standards, as a connection of `oauth2` or `oidc` in the seed.

use std::time::Duration;

use serde::Deserialize;

use super::duration;

/// One connection's authorization server and API.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenericSeed {
    /// Auth0's name of the connection, by which identities belong to it.
    pub connection: String,
    /// Where its API is: `GET /v1/me` and `/v1/things`.
    pub api_host: String,
    /// Where its authorization server is: `POST /oauth2/token`, `/oauth2/revoke` and `/oauth2/introspect`.
    pub auth_host: String,
    /// `client_id`.
    pub client_id: String,
    /// `client_secret`, in the body or in the header.
    pub client_secret: Option<String>,
    /// The PEM of an RSA public key: the client may then prove itself with `private_key_jwt`.
    pub public_key: Option<String>,
    /// Whether a refresh token dies at use, and its second use ends the family. On.
    #[serde(default = "on")]
    pub rotates: bool,
    /// How long access tokens live, unless the identity says otherwise. 1 hour.
    #[serde(default = "one_hour", deserialize_with = "duration::read")]
    pub token_lifetime: Duration,
    /// Whether the token answers, and so Auth0's profiles, have `expires_in`; the tokens expire all the same.
    /// On.
    #[serde(default = "on")]
    pub tells_lifetime: bool,
    /// Requests of one user in a minute before the API answers 429. 600.
    #[serde(default = "six_hundred")]
    pub requests_per_minute: u64,
}

impl GenericSeed {
    /// The token endpoint's URL, which client assertions are for.
    pub fn token_url(&self) -> String {
        self.endpoint("token")
    }

    /// The introspection endpoint's URL.
    pub fn inspect_url(&self) -> String {
        self.endpoint("introspect")
    }

    /// The revocation endpoint's URL.
    pub fn revoke_url(&self) -> String {
        self.endpoint("revoke")
    }

    fn endpoint(&self, name: &str) -> String {
        format!("https://{}/oauth2/{name}", self.auth_host)
    }
}

fn on() -> bool {
    true
}

fn one_hour() -> Duration {
    Duration::from_secs(3_600)
}

fn six_hundred() -> u64 {
    600
}
