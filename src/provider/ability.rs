//! What a provider can do besides calls, and why it sometimes cannot.

use crate::token::{AccessToken, RefreshToken};

/// Why an adapter lacks an ability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// The provider has nothing of the kind.
    Unsupported,
    /// The provider has it, but these keys of its table are not set.
    NotConfigured {
        /// Their names in the configuration.
        missing: Vec<&'static str>,
    },
}

/// For adapters whose provider has nothing of the kind.
pub(super) static UNSUPPORTED: Lack = Lack::Unsupported;

/// What is held of an identity.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// The access token.
    pub access: &'a AccessToken,
    /// The refresh token, where there is one.
    pub refresh: Option<&'a RefreshToken>,
}

/// Why a request cannot even be described.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// It takes a refresh token, and none is held.
    #[error("no refresh token is held")]
    NoRefreshToken,
    /// It takes a URL, and the tokens do not fit into one.
    #[error("the token is too long for a URL")]
    TooLong,
    /// The client's private key is of no use; the text goes on after "the private key".
    #[error("the private key {0}")]
    Key(&'static str),
}
