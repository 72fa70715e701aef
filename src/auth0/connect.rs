//! Connect links: the URL of Auth0's `/authorize` at which a user grants access to a provider.
//!
//! Pure: sends no requests.
//! <https://auth0.com/docs/authenticate/identity-providers/adding-scopes-for-an-external-idp>

use percent_encoding::utf8_percent_encode;
use url::Url;

use crate::{
    config,
    field::InvalidField,
    identity::RESERVED,
    provider::{OfflineAccess, offline_access},
};

/// The login application that connect links use, and the tenant's `/authorize`.
#[derive(Clone, Debug)]
pub struct LoginApplication {
    authorize: Url,
    client_id: String,
    redirect_uris: Vec<String>,
}

/// What a link asks for.
#[derive(Clone, Copy, Debug)]
pub struct LinkRequest<'a> {
    /// The connection, which decides the provider.
    pub connection: &'a str,
    /// Its strategy, if known, which decides how a refresh token is requested.
    pub strategy: Option<&'a str>,
    /// The provider's scopes to request.
    pub scopes: &'a Scopes,
    /// Whether to ask for a refresh token.
    pub offline: bool,
    /// Returned to the redirect URI unless empty.
    pub state: &'a State,
}

impl LoginApplication {
    /// Makes the application of `connect` in the tenant of `auth0`, whose domain may be a custom one.
    pub fn new(auth0: &config::Auth0, connect: &config::Connect) -> Self {
        let mut authorize = auth0.base_url.clone();
        authorize.set_path("/authorize");
        Self { authorize, client_id: connect.client_id.clone(), redirect_uris: connect.redirect_uris.clone() }
    }

    /// Returns the configured redirect URI that equals `asked`. Any other would send users, and the code of
    /// their login, to a stranger.
    ///
    /// # Errors
    /// When none is equal.
    pub fn redirect_uri(&self, asked: &str) -> Result<&str, InvalidField> {
        let configured = self.redirect_uris.iter().find(|uri| *uri == asked);
        configured.map(String::as_str).ok_or_else(|| {
            let problem = if asked.is_empty() { "is required: " } else { "is not configured: " };
            InvalidField::new("redirect_uri", format!("{problem}one of `connect.redirect_uris`, exactly"))
        })
    }

    /// Returns the redirect URI of links for which nobody chose one.
    pub fn default_redirect_uri(&self) -> &str {
        self.redirect_uris.first().map(String::as_str).unwrap_or_default()
    }

    /// Returns the link. `redirect_uri` must come from this application.
    pub fn link(&self, ask: &LinkRequest<'_>, redirect_uri: &str) -> String {
        let offline = match ask.strategy {
            Some(strategy) if ask.offline => offline_access(strategy),
            _ => OfflineAccess::Unasked,
        };
        let scopes = ask.scopes.with(offline);
        let mut parameters = vec![
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", redirect_uri),
            ("connection", ask.connection),
            ("scope", "openid"),
        ];
        let optional = [("connection_scope", scopes.as_str()), ("state", &ask.state.0)];
        parameters.extend(optional.into_iter().filter(|(_, value)| !value.is_empty()));
        if let OfflineAccess::Parameters(more) = offline {
            parameters.extend(more);
        }
        let mut link = self.authorize.clone();
        link.set_query(Some(&encoded(&parameters)));
        link.into()
    }
}

/// Encodes the parameters. A space becomes `%20`, which every reader decodes, unlike `+`.
fn encoded(parameters: &[(&str, &str)]) -> String {
    let pair = |(name, value): &(&str, &str)| format!("{name}={}", utf8_percent_encode(value, RESERVED));
    parameters.iter().map(pair).collect::<Vec<_>>().join("&")
}

/// Provider scopes that a link can request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(Vec<String>);

impl Scopes {
    /// Maximum number of scopes in one link; nobody reads a longer consent screen.
    pub const MOST: usize = 50;

    /// Maximum bytes of all scopes with the commas between them: browsers and servers accept URLs of about 8
    /// KiB.
    pub const LONGEST: usize = 2048;

    /// Checks scopes as a caller wrote them.
    ///
    /// # Errors
    /// When one is not an RFC 6749 scope or contains a comma, or there are too many.
    pub fn parse(scopes: Vec<String>) -> Result<Self, InvalidField> {
        if let Some(index) = scopes.iter().position(|scope| !is_scope(scope)) {
            let problem = "is not a scope: printable ASCII without white space, `\"` and `\\`, and without a comma, \
                           which separates scopes here";
            return Err(InvalidField::new(format_args!("scopes[{index}]"), problem));
        }
        if scopes.len() > Self::MOST || joined(&scopes) > Self::LONGEST {
            let problem = format!("are more than {} scopes or {} bytes", Self::MOST, Self::LONGEST);
            return Err(InvalidField::new("scopes", problem));
        }
        Ok(Self(scopes))
    }

    /// Keeps the valid ones of the scopes that a provider's answer named. They are a hint, so the rest is no
    /// error.
    pub fn of_provider(named: &[String]) -> Self {
        let mut scopes = Self::default();
        for scope in named.iter().filter(|scope| is_scope(scope)).take(Self::MOST) {
            if joined(&scopes.0) + 1 + scope.len() <= Self::LONGEST {
                scopes.0.push(scope.clone());
            }
        }
        scopes
    }

    /// Returns the value of `connection_scope`.
    fn with(&self, offline: OfflineAccess) -> String {
        let own = self.0.iter().map(String::as_str);
        let more = match offline {
            OfflineAccess::Scope(scope) if !self.0.iter().any(|own| own == scope) => Some(scope),
            _ => None,
        };
        own.chain(more).collect::<Vec<_>>().join(",")
    }
}

/// Returns whether `text` is a scope (RFC 6749, section 3.3) without a comma.
fn is_scope(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b',');
    !text.is_empty() && text.bytes().all(allowed)
}

fn joined(scopes: &[String]) -> usize {
    scopes.iter().map(String::len).sum::<usize>() + scopes.len().saturating_sub(1)
}

/// The state returned to the redirect URI. Any text, since it is encoded; empty for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State(String);

impl State {
    /// Maximum bytes: enough for a signed token, while the URL with all scopes still fits browsers and
    /// servers.
    pub const LONGEST: usize = 2048;

    /// Checks a state as a caller wrote it.
    ///
    /// # Errors
    /// When it is longer than [`Self::LONGEST`].
    pub fn parse(state: String) -> Result<Self, InvalidField> {
        if state.len() > Self::LONGEST {
            return Err(InvalidField::new("state", format!("is longer than {} bytes", Self::LONGEST)));
        }
        Ok(Self(state))
    }
}

#[cfg(test)]
mod tests;
