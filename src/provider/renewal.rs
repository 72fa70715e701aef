//! Getting a new access token from the provider, without the user.

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
    Held, Unsendable,
    setback::{Passing, Setback},
};
use crate::{
    secret::Secret,
    token::{AccessToken, RefreshToken, TokenType},
};

mod grant;
mod tokens;

/// How a provider renews tokens. Describes and reads; once-only is for the caller to see to.
pub trait Renewal: Send + Sync {
    /// Whether what is renewed from dies at use. Then the answer holds the only live tokens, and must be stored before
    /// anybody gets them, where it survives.
    fn rotates(&self) -> bool;

    /// What is renewed from.
    fn source(&self) -> Source;

    /// The request for new tokens.
    ///
    /// # Errors
    /// When what is renewed from is not held, or the client's key is of no use.
    fn encode(&self, held: Held<'_>, now: SystemTime) -> Result<Request<Bytes>, Unsendable>;

    /// What the provider's answer means.
    fn read(&self, answer: &Response<Bytes>, now: SystemTime) -> RenewalVerdict;

    /// What the application proves itself with: to read again after [`RenewalVerdict::ClientRefused`].
    fn credential(&self) -> &Arc<Secret>;
}

/// What new tokens are made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The refresh token.
    RefreshToken,
    /// The access token, for as long as it lives: once dead, it cannot be renewed.
    LiveAccessToken,
}

/// What a provider answers to a renewal.
#[derive(Debug)]
pub enum RenewalVerdict {
    /// New tokens.
    Renewed(Tokens),
    /// The grant is dead, by the provider's own word: only the user can give another one.
    GrantDead {
        /// The provider's code.
        code: &'static str,
    },
    /// The provider refuses the application or what it asks: only an operator can mend it. The grant is as it was.
    ClientRefused {
        /// The provider's code.
        code: &'static str,
    },
    /// It may pass. The grant is as it was, or the request was carried out and its answer lost.
    Passing(Passing),
}

/// New tokens.
#[derive(Debug)]
pub struct Tokens {
    /// The access token.
    pub access: AccessToken,
    /// How it is presented. Of an odd type the tokens are kept all the same: a refresh token that was used
    /// has no other heir.
    pub token_type: TokenType,
    /// The new refresh token; `None` means that the old one stays.
    pub refresh: Option<RefreshToken>,
    /// How long the access token lives; `None` if the provider does not tell, or tells nonsense.
    pub expires_in: Option<Duration>,
    /// The scopes that were granted; empty if the provider does not tell.
    pub scopes: Vec<String>,
}

impl From<Setback> for RenewalVerdict {
    fn from(setback: Setback) -> Self {
        match setback {
            Setback::Dead(code) => Self::GrantDead { code },
            Setback::Client(code) => Self::ClientRefused { code },
            Setback::Passing(passing) => Self::Passing(passing),
        }
    }
}

#[cfg(test)]
mod tests;
