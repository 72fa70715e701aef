//! Revocation: ending a token at the provider.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::{Request, Response};

pub(super) use self::standard::StandardRevocation;
use super::{
    TokenPair, Unsendable,
    endpoint_error::{self, Dialect, EndpointError, Transient},
};
use crate::secret::Secret;

mod standard;

/// How a provider revokes tokens.
pub trait Revocation: Send + Sync {
    /// What the revocation ends.
    fn ends(&self) -> Ends;

    /// Builds the request.
    ///
    /// # Errors
    /// When the client's private key is unusable.
    fn encode(&self, pair: TokenPair<'_>, now: SystemTime) -> Result<Request<Bytes>, Unsendable>;

    /// Classifies the provider's answer.
    fn read(&self, answer: &Response<Bytes>, now: SystemTime) -> RevocationVerdict;

    /// The credential, if revocation needs one, so that it can be read again after
    /// [`RevocationVerdict::ClientRefused`].
    fn credential(&self) -> Option<&Arc<Secret>> {
        None
    }
}

/// What a revocation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// At least the token that is sent.
    Token,
    /// The user's whole grant to the application: the next login asks for consent again.
    Grant,
}

/// What a provider's answer to a revocation means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationVerdict {
    /// The token is dead now.
    Revoked,
    /// The provider knows no such token of this application: nothing is left to revoke, unless the tokens
    /// were issued to an application other than the configured one.
    Unknown,
    /// The provider refuses the application or its request; only an operator can fix this.
    ClientRefused {
        /// The provider's error code.
        code: &'static str,
    },
    /// The token may still be alive; a retry may help.
    Transient(Transient),
}

impl RevocationVerdict {
    /// Classifies by status alone. A success counts even for a token that the server does not know, and its
    /// content is ignored (RFC 7009, section 2.2): some providers answer with a page. No captive portal can
    /// forge it, since none can answer for the provider over TLS unless the operator trusts an intercepting
    /// proxy.
    pub(super) fn by_status(answer: &Response<Bytes>, dialect: Dialect, now: SystemTime) -> Self {
        if answer.status().is_success() {
            return Self::Revoked;
        }
        endpoint_error::of(answer, dialect, now).into()
    }
}

impl From<EndpointError> for RevocationVerdict {
    fn from(error: EndpointError) -> Self {
        match error {
            EndpointError::Dead(_) => Self::Unknown,
            EndpointError::Client(code) => Self::ClientRefused { code },
            EndpointError::Transient(transient) => Self::Transient(transient),
        }
    }
}
