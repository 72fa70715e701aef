//! The issuers of tokens that identify services, `[[jwt_issuers]]`.

use http::Uri;
use url::Url;

use super::{
    auth0::Auth0,
    callers::EndUsers,
    network::{NO_PLAIN_HTTP, has_safe_scheme},
    section::Section,
    value::{Setting, must_be},
};

/// Maximum number of issuers. The keys of each are fetched; a longer list is one of tenants, which does not
/// belong here.
const MOST_ISSUERS: usize = 16;

/// The name of the issuers' tables.
const NAME: &str = "jwt_issuers";

const NOBODY: &str = "must hold a table at least, since without an issuer no service can prove who it is: write \
    `[[jwt_issuers]]`, or remove the key if nobody has to";

/// An issuer of tokens that identify services.
#[derive(Clone, Debug)]
pub struct JwtIssuer {
    /// The `iss` of its tokens, compared exactly. Required.
    pub issuer: String,
    /// The URL of its JSON Web Key Set; plain HTTP only on loopback. Required.
    pub jwks_url: Uri,
    /// The value that a token's `aud` must be or contain. Required.
    pub audience: String,
}

impl JwtIssuer {
    /// Reads all issuers; `None` after a reported mistake.
    pub(super) fn read_all(root: &mut Section<'_, '_>) -> Option<Vec<Self>> {
        let required = |key, expected| (key, "required", expected);
        let keys = [
            required("issuer", Identifier::EXPECTED),
            required("jwks_url", JwksUrl::EXPECTED),
            required("audience", Identifier::EXPECTED),
        ];
        root.register_tables(NAME, &keys);
        if root.is_empty_array(NAME) {
            root.refuse(NAME, NOBODY);
            return None;
        }
        let issuers = root.tables(NAME, |section| (section.line(), Self::read(section)));
        if let Some((line, _)) = issuers.get(MOST_ISSUERS) {
            root.problem_at_line(*line, format!("`{NAME}` must be at most {MOST_ISSUERS} tables"));
        }
        issuers.into_iter().map(|(_, issuer)| issuer).collect()
    }

    fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let issuer = required(section, "issuer", "https://issuer.acme.example/");
        let jwks_url = required(section, "jwks_url", "https://issuer.acme.example/.well-known/jwks.json");
        let audience = required(section, "audience", "idp-token-service");
        let (Identifier(issuer), JwksUrl(jwks_url), Identifier(audience)) = (issuer?, jwks_url?, audience?);
        Some(Self { issuer, jwks_url, audience })
    }
}

/// Reads a key that every table must have.
fn required<T: Setting>(section: &mut Section<'_, '_>, name: &str, example: &str) -> Option<T> {
    let value = section.own_value::<T>(name);
    if let Ok(None) = value {
        let what = format!("has no `{name}`: write `{name} = \"{example}\"` below `[[{NAME}]]`");
        section.wrong_table(&what);
    }
    value.ok().flatten()
}

/// Rejects duplicate pairs of issuer and audience, which together decide which caller a token identifies.
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

/// The URL at which an issuer publishes its keys.
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
