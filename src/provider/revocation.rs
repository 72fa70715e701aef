//! Ending a token at the provider.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::{Request, Response};

pub(super) use self::standard::StandardRevocation;
use super::{
    Held, Unsendable,
    setback::{self, Dialect, Passing, Setback},
};
use crate::secret::Secret;

mod standard;

/// How a provider revokes tokens.
pub trait Revocation: Send + Sync {
    /// What dies.
    fn ends(&self) -> Ends;

    /// The request.
    ///
    /// # Errors
    /// When the client's key is of no use.
    fn encode(&self, held: Held<'_>, now: SystemTime) -> Result<Request<Bytes>, Unsendable>;

    /// What the provider's answer means.
    fn read(&self, answer: &Response<Bytes>, now: SystemTime) -> RevocationVerdict;

    /// What the application proves itself with, if it must: to read again after [`RevocationVerdict::ClientRefused`].
    fn credential(&self) -> Option<&Arc<Secret>> {
        None
    }
}

/// What dies at a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// The token that is sent, at least.
    Token,
    /// All that the user granted to the application: the next login asks for consent again.
    Grant,
}

/// What a provider answers to a revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationVerdict {
    /// The token is dead now.
    Revoked,
    /// The provider knows no such token, or not as this application's: nothing is left to revoke, unless the
    /// configured application is another one than the tokens were issued to.
    Unknown,
    /// The provider refuses the application or what it asks: only an operator can mend it.
    ClientRefused {
        /// The provider's code.
        code: &'static str,
    },
    /// The token may live on; trying again may help.
    Passing(Passing),
}

impl RevocationVerdict {
    /// Where the status tells all. A success is one even for a token that the server does not know, and its
    /// content is ignored (RFC 7009, section 2.2): some answer with a page. It is no portal's page that is
    /// believed here: none can answer in the provider's name over TLS, unless the operator trusts a proxy to
    /// do so.
    pub(super) fn by_status(answer: &Response<Bytes>, dialect: Dialect, now: SystemTime) -> Self {
        if answer.status().is_success() {
            return Self::Revoked;
        }
        setback::of(answer, dialect, now).into()
    }
}

impl From<Setback> for RevocationVerdict {
    fn from(setback: Setback) -> Self {
        match setback {
            Setback::Dead(_) => Self::Unknown,
            Setback::Client(code) => Self::ClientRefused { code },
            Setback::Passing(passing) => Self::Passing(passing),
        }
    }
}
