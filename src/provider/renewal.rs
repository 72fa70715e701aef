//! Renewal: getting a new access token from the provider, without the user.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response};

pub(super) use self::{
    grant::{AGENT, RefreshGrant},
    tokens::read_tokens,
};
use super::{
    TokenPair, Unsendable,
    endpoint_error::{EndpointError, Transient},
};
use crate::{
    secret::Secret,
    token::{AccessToken, RefreshToken, TokenType},
};

mod grant;
mod tokens;

/// How a provider renews tokens. It only builds requests and reads answers; the caller ensures that each is
/// sent once.
pub trait Renewal: Send + Sync {
    /// Returns whether the renewed token dies at use. The answer then holds the only live tokens, which must
    /// be stored durably before anyone gets them.
    fn rotates(&self) -> bool;

    /// What a renewal consumes.
    fn source(&self) -> Source;

    /// Builds the request for new tokens.
    ///
    /// # Errors
    /// When the token that the renewal consumes is missing, or the client's private key is unusable.
    fn encode(&self, pair: TokenPair<'_>, now: SystemTime) -> Result<Request<Bytes>, Unsendable>;

    /// Classifies the provider's answer.
    fn read(&self, answer: &Response<Bytes>, now: SystemTime) -> RenewalVerdict;

    /// The credential, so that it can be read again after [`RenewalVerdict::ClientRefused`].
    fn credential(&self) -> &Arc<Secret>;
}

/// What a renewal consumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The refresh token.
    RefreshToken,
    /// The access token while it is alive; a dead one cannot be renewed.
    LiveAccessToken,
}

/// What a provider's answer to a renewal means.
#[derive(Debug)]
pub enum RenewalVerdict {
    /// New tokens.
    Renewed(Tokens),
    /// The provider says that the grant is dead: only the user can give another one.
    GrantDead {
        /// The provider's error code.
        code: &'static str,
    },
    /// The provider refuses the application or its request; only an operator can fix this. The grant is
    /// unchanged.
    ClientRefused {
        /// The provider's error code.
        code: &'static str,
    },
    /// A temporary failure. The grant is unchanged, or the renewal happened and its answer was lost.
    Transient(Transient),
}

/// New tokens.
#[derive(Debug)]
pub struct Tokens {
    /// The access token.
    pub access: AccessToken,
    /// The token type. Tokens of an unknown type are kept too: a refresh token that was used has no other
    /// successor.
    pub token_type: TokenType,
    /// The new refresh token; `None` if the old one stays valid.
    pub refresh: Option<RefreshToken>,
    /// The access token's lifetime; `None` if the provider does not report a plausible one.
    pub expires_in: Option<Duration>,
    /// The granted scopes; empty if the provider does not report them.
    pub scopes: Vec<String>,
}

impl From<EndpointError> for RenewalVerdict {
    fn from(error: EndpointError) -> Self {
        match error {
            EndpointError::Dead(code) => Self::GrantDead { code },
            EndpointError::Client(code) => Self::ClientRefused { code },
            EndpointError::Transient(transient) => Self::Transient(transient),
        }
    }
}

#[cfg(test)]
mod tests;
