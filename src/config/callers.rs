//! How callers prove who they are.

use http::Uri;
use url::Url;

use super::{
    auth0::Auth0,
    network::{NO_PLAIN_HTTP, has_safe_scheme},
    section::Section,
    trusted_peer::TrustedPeer,
    value::{Setting, must_be},
};

/// Each is asked for its keys; more than this is a list of tenants, which has no place here.
const MOST_ISSUERS: usize = 16;

/// What holds where `reflection` is not set.
pub(super) const REFLECTION: &str = "`true` on loopback or where callers prove nothing, else `false`";

/// An issuer of tokens that identify programs, `[[jwt_issuers]]`.
#[derive(Clone, Debug)]
pub struct JwtIssuer {
    /// The `iss` of its tokens, compared whole. Required.
    pub issuer: String,
    /// Its JSON Web Key Set. Required; plain HTTP on loopback only.
    pub jwks_url: Uri,
    /// The `aud`, or one of them, that a token must have. Required.
    pub audience: String,
}

/// Users of the tenant as callers, `[end_users]`.
#[derive(Clone, Debug)]
pub struct EndUsers {
    /// The identifier of the API in Auth0 that their access tokens are for.
    pub audience: String,
}

impl JwtIssuer {
    pub(super) fn read_all(root: &mut Section<'_, '_>) -> Vec<Self> {
        const NAME: &str = "jwt_issuers";
        root.know_in_tables(NAME, "issuer", Identifier::EXPECTED);
        root.know_in_tables(NAME, "jwks_url", JwksUrl::EXPECTED);
        root.know_in_tables(NAME, "audience", Identifier::EXPECTED);
        root.tables(NAME, MOST_ISSUERS, Self::read)
    }

    fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let issuer = section.required_here("issuer", "https://issuer.acme.example/");
        let jwks_url = section.required_here("jwks_url", "https://issuer.acme.example/.well-known/jwks.json");
        let audience = section.required_here("audience", "idp-token-service");
        let (Identifier(issuer), JwksUrl(jwks_url), Identifier(audience)) = (issuer?, jwks_url?, audience?);
        Some(Self { issuer, jwks_url, audience })
    }
}

impl EndUsers {
    /// `None` where end users may not call, or where something is wrong, which was reported.
    pub(super) fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let audience = section.optional::<Identifier>("audience", "none").ok()?;
        audience.map(|Identifier(audience)| Self { audience })
    }
}

pub(super) fn trusted_peers(root: &mut Section<'_, '_>) -> Vec<TrustedPeer> {
    root.several("trusted_peers", "none", |peer: TrustedPeer| peer).unwrap_or_default()
}

/// Issuer and audience together say what a token makes of its caller: each pair may stand there once.
pub(super) fn check_audiences(
    root: &mut Section<'_, '_>,
    auth0: &Auth0,
    issuers: &[JwtIssuer],
    end_users: Option<&EndUsers>,
) {
    for (index, one) in issuers.iter().enumerate() {
        let is_same = |other: &JwtIssuer| (&other.issuer, &other.audience) == (&one.issuer, &one.audience);
        if issuers[..index].iter().any(is_same) {
            root.problem("two tables `[[jwt_issuers]]` have the same `issuer` and `audience`; remove one");
        }
        let is_for_users = end_users.is_some_and(|users| users.audience == one.audience);
        if is_for_users && one.issuer == auth0.issuer() {
            root.problem(
                "a table `[[jwt_issuers]]` has the tenant's `issuer` and the `audience` of `[end_users]`: users and programs \
                 need an API of their own each in Auth0, with another identifier",
            );
        }
    }
}

/// The name of an issuer or an audience.
struct Identifier(String);

impl Setting for Identifier {
    const EXPECTED: &'static str =
        "what tokens have there, exactly, such as `https://idp-token.acme.example`";

    fn parse(text: &str) -> Result<Self, String> {
        if !(1..=1024).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("must be {}, without white space", Self::EXPECTED));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Where an issuer publishes its keys.
struct JwksUrl(Uri);

impl Setting for JwksUrl {
    const EXPECTED: &'static str =
        "a URL such as `https://issuer.acme.example/.well-known/jwks.json`, without credentials and fragment";

    fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|_| must_be::<Self>())?;
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        if has_credentials || url.fragment().is_some() || !url.has_host() {
            return Err(must_be::<Self>());
        }
        if !has_safe_scheme(&url) {
            return Err(if url.scheme() == "http" { NO_PLAIN_HTTP.to_owned() } else { must_be::<Self>() });
        }
        url.as_str().parse().map(Self).map_err(|_| must_be::<Self>())
    }
}
