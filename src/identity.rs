//! Auth0 users, the identities linked to them, and the choice of exactly one.

use std::{fmt, sync::Arc};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    field::InvalidField,
    token::{AccessToken, Expiry, Fingerprint, RefreshToken, TokenSource, TokenType},
};

/// Everything but RFC 3986's unreserved characters: what must be encoded wherever text becomes part of a URL.
pub(crate) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An Auth0 user id, verbatim: `google-oauth2|1119`, `oauth2|siwe|eip155%3A5%3A0x1f`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserId(String);

impl UserId {
    /// Bytes; real ids stay below 300 (a strategy, a connection of at most 128, and the provider's own id).
    pub const LONGEST: usize = 1024;

    /// Takes an id as Auth0 gave it. `field` names it in the error.
    ///
    /// # Errors
    /// When it is empty, longer than [`Self::LONGEST`], a dot segment, or holds control characters.
    pub fn parse(id: String, field: &str) -> Result<Self, InvalidField> {
        let problem = match &*id {
            "" => "is required: the Auth0 user id, such as `google-oauth2|111199914890750704174`",
            // As a path segment these would name another resource, however they are encoded.
            "." | ".." => "is not an Auth0 user id",
            id if id.len() > Self::LONGEST => "is longer than 1024 bytes, which no Auth0 user id is",
            id if id.chars().any(char::is_control) => "holds control characters, which no Auth0 user id does",
            _ => return Ok(Self(id)),
        };
        Err(InvalidField::new(field, problem))
    }

    /// The id as it is.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as one segment of a URL's path: encoded once, whole. The only place that does this.
    pub fn path_segment(&self) -> String {
        utf8_percent_encode(&self.0, RESERVED).to_string()
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one account at a provider within a tenant, whichever user has it: Auth0 moves an identity with its
/// tokens to another user when accounts are linked, and back when they are unlinked
/// (<https://auth0.com/docs/manage-users/user-accounts/user-account-linking>).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdentityKey {
    /// The Auth0 connection.
    pub connection: String,
    /// The provider's own id of the account.
    pub account_id: String,
}

/// The name of an Auth0 connection: `google-oauth2`, `acme-workspace`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionName(String);

impl ConnectionName {
    /// Takes a name as a caller wrote it. `field` names it in the error.
    ///
    /// # Errors
    /// When no connection can have it.
    pub fn parse(name: String, field: &str) -> Result<Self, InvalidField> {
        if is_connection_name(&name) {
            return Ok(Self(name));
        }
        let problem = if name.is_empty() {
            "is required: the Auth0 connection, such as `google-oauth2`"
        } else {
            "is no Auth0 connection: 1 to 128 letters, digits and hyphens"
        };
        Err(InvalidField::new(field, problem))
    }

    /// The name as it is.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Auth0 allows letters, digits and hyphens; underscores are in old names.
pub(crate) fn is_connection_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=128).contains(&name.len()) && name.chars().all(allowed)
}

/// A user as Auth0 describes them, with the tokens that it keeps.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Whose profile this is.
    pub user_id: UserId,
    /// In Auth0's order: the primary identity first.
    pub identities: Vec<Identity>,
}

/// One external account that is linked to a user.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The Auth0 strategy: `google-oauth2`, `github`, `oauth2`, ...
    pub provider: String,
    /// Its connection and account; shared, since every call looks things up by it.
    pub key: Arc<IdentityKey>,
    /// Whether Auth0 counts the connection as social.
    pub is_social: bool,
    /// What Auth0 keeps of the provider's tokens; `None` where it keeps none.
    pub token: Option<Arc<StoredToken>>,
    /// Whether Auth0 keeps its tokens in Token Vault, as the operator says of the connection.
    pub in_vault: bool,
}

impl Identity {
    /// The Auth0 connection.
    pub fn connection(&self) -> &str {
        &self.key.connection
    }

    /// Names the access token that the profile shows, if it shows one.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        Some(self.token.as_ref()?.access.fingerprint())
    }

    /// The provider's own id of the account.
    pub fn account_id(&self) -> &str {
        &self.key.account_id
    }

    /// The selector that means this identity and no other.
    pub fn selector(&self) -> Selector {
        Selector {
            provider: self.provider.clone(),
            connection: self.key.connection.clone(),
            account_id: self.key.account_id.clone(),
        }
    }
}

/// An access token of an identity and what belongs to it, wherever it is kept.
#[derive(Clone, Debug)]
pub struct StoredToken {
    /// The provider's access token.
    pub access: AccessToken,
    /// How it is presented.
    pub token_type: TokenType,
    /// The provider's refresh token, if it issued one.
    pub refresh: Option<RefreshToken>,
    /// When the access token stops working, as far as is known.
    pub expiry: Option<Expiry>,
    /// The scopes that were granted; empty if that is not known.
    pub scopes: Vec<String>,
    /// Where it came from.
    pub source: TokenSource,
}

impl StoredToken {
    /// Whether the token is known to have ended.
    pub fn has_ended(&self) -> bool {
        self.expiry.is_some_and(|expiry| expiry.remaining().is_zero())
    }

    /// A bearer token that Auth0 keeps in the profile; it does not keep the scopes.
    pub fn of_profile(access: AccessToken, refresh: Option<RefreshToken>, expiry: Option<Expiry>) -> Self {
        let (token_type, scopes, source) = (TokenType::Bearer, Vec::new(), TokenSource::Auth0Profile);
        Self { access, token_type, refresh, expiry, scopes, source }
    }
}

/// Which identity of a user is meant. An empty field matches any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// The Auth0 strategy.
    pub provider: String,
    /// The Auth0 connection.
    pub connection: String,
    /// The provider's own id of the account.
    pub account_id: String,
}

impl Selector {
    /// Bytes of each field; Auth0's connection names end at 128, account ids are opaque.
    pub const LONGEST: usize = 256;

    /// Refuses what no identity can match. `field` is the path of the selector's message.
    ///
    /// # Errors
    /// When a field is longer than [`Self::LONGEST`] or holds control characters, or `provider` is no strategy's name.
    pub fn check(self, field: &str) -> Result<Self, InvalidField> {
        for (name, value) in
            [("provider", &self.provider), ("connection", &self.connection), ("account_id", &self.account_id)]
        {
            if value.len() > Self::LONGEST || value.chars().any(char::is_control) {
                let problem = "is longer than 256 bytes or holds control characters: no identity matches it";
                return Err(InvalidField::new(format_args!("{field}.{name}"), problem));
            }
        }
        // Errors and the log repeat it, which must not happen to a token that a confused caller put there.
        if !self.provider.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')) {
            let problem =
                "is no Auth0 strategy: lower-case letters, digits and hyphens, such as `google-oauth2`";
            return Err(InvalidField::new(format_args!("{field}.provider"), problem));
        }
        Ok(self)
    }

    fn matches(&self, identity: &Identity) -> bool {
        let accepts = |wanted: &str, value: &str| wanted.is_empty() || wanted == value;
        accepts(&self.provider, &identity.provider)
            && accepts(&self.connection, identity.connection())
            && accepts(&self.account_id, identity.account_id())
    }
}

/// Candidates that an ambiguity names: they stand in the answer's headers, of which clients take 16 KiB.
const MOST_CANDIDATES: usize = 10;

/// Why no single identity could be chosen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// The user has no identity that matches.
    #[error("the user has no {} identity; link one, or check the selector", provider_or_any(.provider))]
    NotLinked {
        /// The strategy that was asked for; empty if any would do.
        provider: String,
    },
    /// Several identities that hold a token match.
    #[error(
        "several identities match; set `provider`, `connection` or `account_id` to choose one of: {}",
        .candidates.join(", ")
    )]
    Ambiguous {
        /// Each as `provider/connection/account_id`; the first ten.
        candidates: Vec<String>,
    },
    /// What matches holds no token.
    #[error(
        "Auth0 keeps no token for the {provider} identity of connection {connection}: a database user, a connection \
         whose tokens moved to Token Vault, or a provider that issued none"
    )]
    TokenNotStored {
        /// The strategy of the first match.
        provider: String,
        /// The connection of the first match.
        connection: String,
    },
}

fn provider_or_any(provider: &str) -> &str {
    if provider.is_empty() { "matching" } else { provider }
}

impl Profile {
    /// The index of the one identity that `selector` means, of those that are `visible`: no others exist for the caller,
    /// not even in an error. Never guesses: identities that hold a token, or have one in Token Vault, compete, and more
    /// than one match is an error.
    ///
    /// # Errors
    /// When none, several, or only identities without a token match.
    pub fn select(
        &self,
        selector: &Selector,
        visible: impl Fn(&Identity) -> bool,
    ) -> Result<usize, SelectError> {
        let is_meant = |(_, identity): &(usize, &Identity)| selector.matches(identity) && visible(identity);
        let matching = || self.identities.iter().enumerate().filter(is_meant);
        let with_token = || matching().filter(|(_, identity)| identity.token.is_some() || identity.in_vault);

        let mut usable = with_token();
        match (usable.next(), usable.next()) {
            (Some((only, _)), None) => Ok(only),
            (Some(_), Some(_)) => {
                let candidates = with_token().map(|(_, identity)| identity.to_string());
                Err(SelectError::Ambiguous { candidates: candidates.take(MOST_CANDIDATES).collect() })
            }
            (None, _) => Err(match matching().next() {
                None => SelectError::NotLinked { provider: selector.provider.clone() },
                Some((_, first)) => SelectError::TokenNotStored {
                    provider: first.provider.clone(),
                    connection: first.connection().to_owned(),
                },
            }),
        }
    }
}

/// `provider/connection/account_id`, as in the candidates of an ambiguity.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.provider, self.connection(), self.account_id())
    }
}

#[cfg(test)]
mod tests;
