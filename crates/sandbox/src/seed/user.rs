//! Users and their identities in the seed.

use std::time::Duration;

use serde::Deserialize;

use super::{ConnectedAccountSeed, duration};

/// A user of the tenant.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSeed {
    /// Auth0's id, verbatim: `google-oauth2|108...`, `oauth2|siwe|eip155%3A5%3A0x...`.
    pub id: String,
    /// The display name.
    pub name: String,
    /// The address, the same at every provider.
    pub email: String,
    /// The linked accounts; the first is the one that the profile was made from.
    pub identities: Vec<IdentitySeed>,
    /// The accounts whose tokens are in Token Vault.
    #[serde(default)]
    pub connected_accounts: Vec<ConnectedAccountSeed>,
}

/// One linked account, with the tokens of its last login.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentitySeed {
    /// Auth0's connection name.
    pub connection: String,
    /// Auth0's strategy, where it is not the connection's name.
    pub provider: Option<String>,
    /// The account's id at the provider. Auth0 answers GitHub's as a JSON number.
    pub user_id: String,
    /// The login name at the provider; the part of the e-mail before `@` if absent.
    pub nickname: Option<String>,
    /// How long ago the user last logged in with it, written `5m ago`. Just now if absent.
    #[serde(default, deserialize_with = "duration::read_ago")]
    pub logged_in: Duration,
    /// The access token's life, counted from the last login; absent, the token does not expire and Auth0 says
    /// nothing.
    #[serde(default, deserialize_with = "duration::read_some")]
    pub expires_in: Option<Duration>,
    /// What the user granted at the provider.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// `true` makes one up in the provider's shape (the default where a provider is played), `false` leaves
    /// none, text is taken as it is.
    pub access_token: Option<TokenSeed>,
    /// The same for the refresh token; none if absent.
    pub refresh_token: Option<TokenSeed>,
}

/// A token that is written in the seed, or made up.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub enum TokenSeed {
    /// Whether to make one up.
    Made(bool),
    /// The token itself.
    Written(String),
}
