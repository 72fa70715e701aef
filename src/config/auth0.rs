//! The Auth0 tenant, and how the service authenticates to it.

use std::{sync::Arc, time::Duration};

use http::Uri;
use url::Url;

use super::{
    network::{self, Base},
    raw::Raw,
    secrets::{FILE, SECRET},
    section::Section,
    token_vault::TokenVault,
    value::{self, Setting},
};
use crate::secret::Secret;

/// The Auth0 tenant, `[auth0]`.
#[derive(Clone, Debug)]
pub struct Auth0 {
    /// The tenant's host name, or its custom domain. Required.
    pub domain: String,
    /// The URL at which the tenant is reached; plain HTTP only on loopback, for tests. Default:
    /// `https://{domain}`.
    pub base_url: Url,
    /// The Management API's audience, with its slash. Default: `https://{domain}/api/v2/`; with a custom
    /// domain it must name the tenant's own domain.
    pub audience: String,
    /// The client id of the application that may read users and their tokens. Required.
    pub client_id: String,
    /// How the application authenticates. Required.
    pub credential: ClientCredential,
    /// How long a profile is cached, 1 s to 10 min. Default: 60 s.
    pub profile_ttl: Duration,
    /// Maximum Management API requests per second, 1 to 1000. Default: 10. The whole tenant shares Auth0's
    /// own limit.
    pub requests_per_second: u32,
    /// The connections whose tokens are in Token Vault. Default: none.
    pub token_vault: Option<TokenVault>,
}

/// How the application authenticates to Auth0.
#[derive(Clone, Debug)]
pub enum ClientCredential {
    /// The application's client secret.
    Secret(Arc<Secret>),
    /// An RSA private key in PEM form, for `private_key_jwt`.
    PrivateKey(Arc<Secret>),
}

impl ClientCredential {
    /// Returns the secret or the key.
    pub fn secret(&self) -> &Arc<Secret> {
        match self {
            Self::Secret(secret) | Self::PrivateKey(secret) => secret,
        }
    }
}

impl Auth0 {
    /// Returns the `iss` of the tenant's tokens.
    pub fn issuer(&self) -> String {
        format!("https://{}/", self.domain)
    }

    /// Returns the URL of the tenant's key set.
    pub fn jwks_url(&self) -> Uri {
        let url = format!("{}.well-known/jwks.json", self.base_url);
        url.parse().expect("a base URL ends with a slash, and so can be extended")
    }

    pub(super) fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let domain = section.required("domain", "acme.eu.auth0.com").map(|Domain(domain)| domain);
        let base_url = section.optional("base_url", "`https://{domain}`");
        let audience = section.optional("audience", "`https://{domain}/api/v2/`");
        let client_id = section.required("client_id", "the client id of an application");
        let credential = credential(section);
        let profile_ttl = section.within("profile_ttl", "60s", "1s", "10m");
        let requests_per_second = section.within("requests_per_second", "10", "1", "1000");
        let token_vault = section.section("token_vault", TokenVault::read).flatten();

        let (domain, ClientId(client_id), credential) = (domain?, client_id?, credential?);
        let Base(own) = value::constant(&format!("https://{domain}"));
        let base_url = base_url.ok()?.map_or_else(|| own.clone(), |Base(url)| url);
        if base_url != own {
            section.warn(format!(
                "`auth0.base_url` is for tests: the client's credentials are sent to {base_url}, not to {own}"
            ));
        }
        let Audience(audience) =
            audience.ok()?.unwrap_or_else(|| value::constant(&format!("https://{domain}/api/v2/")));
        Some(Self {
            domain,
            base_url,
            audience,
            client_id,
            credential,
            profile_ttl,
            requests_per_second,
            token_vault,
        })
    }
}

const CREDENTIALS: [&str; 3] = ["client_secret", "client_secret_file", "private_key_file"];

fn credential(section: &mut Section<'_, '_>) -> Option<ClientCredential> {
    section.register("client_secret", "one of three required", SECRET);
    section.register("client_secret_file", "one of three required", FILE);
    section.register("private_key_file", "one of three required", FILE);
    match section.one_of(&CREDENTIALS).ok()? {
        Some((name, raw)) => credential_in(section, name, &raw),
        None => {
            section.problem(
                "`auth0.client_secret_file` is missing: name the file that holds the client secret, or set \
                 `AUTH0_CLIENT_SECRET`, or name the RSA private key of the application in `auth0.private_key_file`",
            );
            None
        }
    }
}

fn credential_in<'a>(section: &mut Section<'_, 'a>, name: &str, raw: &Raw<'a>) -> Option<ClientCredential> {
    match name {
        "client_secret" => section.secret_in(raw).map(ClientCredential::Secret),
        "client_secret_file" => section.secret_file(raw).map(ClientCredential::Secret),
        _ => section.private_key_file(raw).map(ClientCredential::PrivateKey),
    }
}

/// A bare host name.
struct Domain(String);

impl Setting for Domain {
    const EXPECTED: &'static str = "a bare host name in lower case, such as `acme.eu.auth0.com`";

    fn parse(text: &str) -> Result<Self, String> {
        if network::is_host_name(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("must be {}, without `https://`, port, path and slash", Self::EXPECTED))
    }
}

/// The identifier of the Management API.
struct Audience(String);

impl Setting for Audience {
    const EXPECTED: &'static str =
        "a URL such as `https://acme.eu.auth0.com/api/v2/`, with the slash at its end";

    fn parse(text: &str) -> Result<Self, String> {
        let host = text.strip_prefix("https://").and_then(|rest| rest.strip_suffix("/api/v2/"));
        match host.filter(|host| network::is_host_name(host)) {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err(format!("must be {}", Self::EXPECTED)),
        }
    }
}

/// A client id of Auth0.
pub(super) struct ClientId(pub(super) String);

impl Setting for ClientId {
    const EXPECTED: &'static str = "a client id as the Auth0 dashboard shows it";

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err(format!("must be {}, without white space", Self::EXPECTED));
        }
        Ok(Self(text.to_owned()))
    }
}
