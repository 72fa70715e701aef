//! Optional capabilities of a provider, and why one may be missing.

use crate::token::{AccessToken, RefreshToken};

/// Why an adapter lacks a capability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MissingCapability {
    /// The provider does not offer it.
    Unsupported,
    /// The provider offers it, but these keys of its table are not set.
    NotConfigured {
        /// The names of the keys in the configuration.
        missing: Vec<&'static str>,
    },
}

/// For adapters of providers that do not offer a capability.
pub(super) static UNSUPPORTED: MissingCapability = MissingCapability::Unsupported;

/// An access token and its refresh token.
#[derive(Clone, Copy, Debug)]
pub struct TokenPair<'a> {
    /// The access token.
    pub access: &'a AccessToken,
    /// The refresh token, if there is one.
    pub refresh: Option<&'a RefreshToken>,
}

/// Why a request cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// The request needs a refresh token, and there is none.
    #[error("no refresh token is held")]
    NoRefreshToken,
    /// The tokens are too long for the request's URL.
    #[error("the token is too long for a URL")]
    TooLong,
    /// The client's private key is unusable; the text continues "the private key".
    #[error("the private key {0}")]
    Key(&'static str),
}
