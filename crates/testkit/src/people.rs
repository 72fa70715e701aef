//! The sample tenant's users, by what they stand for.

use idp_token_service::service::pb::IdentitySelector;

/// A database user with accounts at Google, GitHub and Facebook linked.
pub const MARY: &str = "auth0|4a61636b736f6e0000000001";
/// Google, GitHub and Facebook, all alive.
pub const ADA: &str = "google-oauth2|108204268033311374519";
/// Two GitHub accounts.
pub const GRACE: &str = "github|2000001";
/// A Google token that has expired, and nothing to renew it with.
pub const EDSGER: &str = "google-oauth2|100000000000000000002";
/// A Google token without the scope for calendars.
pub const ALAN: &str = "google-oauth2|100000000000000000004";
/// A Google account whose tokens are in Token Vault.
pub const KATHERINE: &str = "google-oauth2|100000000000000000005";
/// An expired Google token, with a refresh token.
pub const BARBARA: &str = "google-oauth2|100000000000000000003";
/// A GitHub token that expires in ten minutes, with a refresh token.
pub const MARGARET: &str = "github|2000003";
/// A provider that only the standards describe, through the connection `acme-crm`: five minutes left, and it
/// rotates.
pub const FRANCES: &str = "oauth2|acme-crm|501";
/// A work account at Microsoft, through the connection `acme-entra`: expired, with a refresh token.
pub const RADIA: &str = "waad|dGhpcyBpcyBhIHBhaXJ3aXNlIHN1Yg";
/// Bitbucket, alive for five minutes.
pub const KEN: &str = "bitbucket|{7b1e0f3c-52a4-4d0a-9f0e-1a2b3c4d5e6f}";
/// A personal Microsoft account, alive for ten minutes.
pub const HEDY: &str = "windowslive|4f2a9c1d7e3b5a60";
/// A database user: no provider, no token.
pub const DONALD: &str = "auth0|507f1f77bcf86cd799439020";
/// Two bars and a literal `%3A` in the id.
pub const SATOSHI: &str = "oauth2|siwe|eip155%3A5%3A0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
/// Slashes in the id.
pub const LESLIE: &str = "samlp|acme-adfs|https://adfs.acme.example/users/42";

/// A user's identity at a provider.
pub fn at(user: &str, provider: &str) -> IdentitySelector {
    IdentitySelector { user_id: user.to_owned(), provider: provider.to_owned(), ..Default::default() }
}

pub fn google(user: &str) -> IdentitySelector {
    at(user, "google-oauth2")
}

pub fn github(user: &str) -> IdentitySelector {
    at(user, "github")
}

pub fn facebook(user: &str) -> IdentitySelector {
    at(user, "facebook")
}

/// Frances' only identity.
pub fn crm() -> IdentitySelector {
    at(FRANCES, "oauth2")
}
