//! Token Vault in the seed: who may open it, and what is in it.

use std::time::Duration;

use serde::Deserialize;

use super::{TokenSeed, duration};

/// An application's Privileged Worker, which opens the vault with nothing but a user's id.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrivilegedWorkerSeed {
    /// The PEM of the RSA public key that verifies subject tokens; without one, none is good.
    pub public_key: Option<String>,
    /// Addresses and networks from which it may come. The sandbox sees loopback alone. Empty: no call is let
    /// in.
    #[serde(default)]
    pub ip_allowlist: Vec<String>,
    /// The connections whose tokens it may have. Empty: none.
    #[serde(default)]
    pub connections: Vec<String>,
}

/// A user's account in the vault, with its tokens.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectedAccountSeed {
    /// Auth0's connection name.
    pub connection: String,
    /// Auth0's strategy, where it is not the connection's name. It must be one that is played.
    pub provider: Option<String>,
    /// The account's id at the provider, which `login_hint` names.
    pub user_id: String,
    /// How long ago the token in the vault was issued, written `5m ago`. Just now if absent.
    #[serde(default, deserialize_with = "duration::read_ago")]
    pub connected: Duration,
    /// The access token's life; absent, it does not expire and Auth0 says nothing.
    #[serde(default, deserialize_with = "duration::read_some")]
    pub expires_in: Option<Duration>,
    /// What the user granted at the provider.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The access token; one is made up if absent.
    pub access_token: Option<TokenSeed>,
    /// The refresh token with which Auth0 renews; none if absent: then the vault is empty once the token has
    /// expired.
    pub refresh_token: Option<TokenSeed>,
}
