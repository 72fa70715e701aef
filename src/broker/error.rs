//! Why a use case failed: the subsystems' errors, and those that arise between them.

use std::{borrow::Cow, time::Duration};

use http::StatusCode;

use super::Broker;
use crate::{
    audit::Unrecorded,
    auth0::{Auth0Error, VaultError},
    authentication::AuthenticationError,
    deadline::Stage,
    field::InvalidField,
    identity::SelectError,
    policy::Denied,
    shares::Overload,
    store::StoreError,
    token::TokenType,
    tokens::{Owner, ProviderError, TokenError, Unusable},
};

/// Why a call gets no answer. `service/status.rs` turns each into a gRPC status.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// A field of the request is missing or malformed.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
    /// It is not known who calls.
    #[error(transparent)]
    Caller(#[from] AuthenticationError),
    /// The policy says no.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No single identity could be chosen.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// Auth0 gave no usable answer.
    #[error(transparent)]
    Auth0(#[from] Auth0Error),
    /// Token Vault gave no token.
    #[error("the {owner} is in Token Vault: {cause}")]
    Vault {
        /// Whose.
        owner: Owner,
        /// Why it gave none.
        cause: VaultError,
    },
    /// Only the user can get another token.
    #[error("the {owner} {why} send the user through a login with that connection")]
    ReauthenticationRequired {
        /// Whose.
        owner: Owner,
        /// What is wrong with the token at hand.
        why: Unusable,
        /// Where the user gets another; `None` where no login application is configured.
        connect_url: Option<String>,
    },
    /// A renewal failed in a way that may pass. The grant is kept.
    #[error("the {owner} could not be renewed ({reason}); the grant is kept")]
    RenewalFailed {
        /// Whose.
        owner: Owner,
        /// A word for it.
        reason: String,
        /// How long until the next try.
        retry_after: Duration,
    },
    /// The provider's refresh tokens die at use, and the store would lose the new ones with this process.
    #[error(
        "the {0} has to be renewed, but a store in memory would lose the new refresh token, and the provider kills the \
         old one: set `store.url` to a database; until then a login helps"
    )]
    NotDurable(Owner),
    /// The token is no bearer token.
    #[error(
        "the {owner} is a {token_type} token: it takes more than the token to authorise a request with it, so it would be of \
         no use; configure the connection for bearer tokens"
    )]
    NotBearer {
        /// Whose.
        owner: Owner,
        /// What it is.
        token_type: TokenType,
    },
    /// The token store gave no answer, and going on would not be safe. What the database says is for the log.
    #[error("{}", .0.public())]
    Store(#[from] StoreError),
    /// The provider offers nothing for this, or this service does not.
    #[error("this version does not offer {operation}{}", for_provider(.provider.as_deref()))]
    OperationUnsupported {
        /// The strategy; `None` where it is offered for no provider.
        provider: Option<String>,
        /// The RPC.
        operation: &'static str,
    },
    /// This needs something that an operator did not configure.
    #[error("this needs what is not configured{}: {}", for_provider(.provider.as_deref()), .missing.join(", "))]
    NotConfigured {
        /// The strategy; `None` where it is about no provider.
        provider: Option<String>,
        /// The keys that are not set, as the configuration has them: `connect.client_id`.
        missing: Vec<String>,
    },
    /// The provider refuses the application.
    #[error(
        "{provider} refuses this application ({code}): check {}, or the private key, and whether they are those of the \
         application that the token was issued to",
        .keys.join(" and ")
    )]
    ApplicationRefused {
        /// The strategy.
        provider: String,
        /// The provider's code.
        code: &'static str,
        /// The keys that hold what the application proves itself with, as the configuration has them.
        keys: Vec<String>,
    },
    /// The provider throttles this user or application.
    #[error("{provider} asks to wait for {} s", .retry_after.as_secs())]
    ProviderRateLimited {
        /// The strategy.
        provider: String,
        /// How long.
        retry_after: Duration,
    },
    /// The provider cannot be reached, or the connection broke under what may be sent again.
    #[error("no answer from {provider}: {cause}")]
    ProviderUnavailable {
        /// The strategy.
        provider: String,
        /// What happened.
        cause: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The connection broke under a request that must not be sent twice.
    #[error(
        "no whole answer from {provider}: {cause}; the request may have been carried out, so look there before you send it again"
    )]
    ProviderOutcomeUnknown {
        /// The strategy.
        provider: String,
        /// What happened.
        cause: String,
    },
    /// The provider's answer breaks its own protocol.
    #[error("{provider} answered what cannot be read; the request may have been carried out")]
    ProviderProtocol {
        /// The strategy.
        provider: String,
        /// What happened; for the log.
        cause: String,
    },
    /// The provider's body is over the limit.
    #[error(
        "{provider} answered {status} with more than {limit} bytes, the most that CallProvider returns; the request \
         was carried out: ask for less, a page or a range"
    )]
    ResponseTooLarge {
        /// The strategy.
        provider: String,
        /// The provider's status.
        status: StatusCode,
        /// Bytes.
        limit: usize,
    },
    /// Too much is asked for at once, by this caller or by all of them.
    #[error(transparent)]
    Overloaded(#[from] Overload),
    /// The call could not be put on record.
    #[error(
        "this server cannot write its audit log now, and does nothing that is not recorded; try again shortly"
    )]
    Unrecorded(#[from] Unrecorded),
    /// The caller's deadline is near.
    #[error("the deadline passed while waiting for {}", .0.subject())]
    DeadlineExceeded(Stage),
    /// A fault of this service.
    #[error("internal error")]
    Internal,
}

fn for_provider(provider: Option<&str>) -> String {
    provider.map(|provider| format!(" for {provider}")).unwrap_or_default()
}

/// Whose business an error is: decides how loud the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The caller's, or its user's.
    Caller,
    /// Auth0's, a provider's, or the load's; it may pass.
    Outside,
    /// The operator's, or a fault of this service: it stays until somebody acts.
    Operator,
}

impl Error {
    /// See [`Blame`].
    pub fn blame(&self) -> Blame {
        match self {
            Self::Auth0(error) | Self::Vault { cause: VaultError::Auth0(error), .. } => blame(error),
            Self::Vault { cause: VaultError::NotConnected | VaultError::SubjectRefused, .. }
            | Self::Invalid(_)
            | Self::Caller(AuthenticationError::Missing | AuthenticationError::Rejected(_))
            | Self::Denied(_)
            | Self::Select(_)
            | Self::ReauthenticationRequired { .. }
            | Self::OperationUnsupported { .. }
            | Self::ResponseTooLarge { .. } => Blame::Caller,
            Self::Caller(AuthenticationError::KeysUnavailable { .. })
            | Self::Store(StoreError::Unavailable { .. })
            | Self::RenewalFailed { .. }
            | Self::ProviderRateLimited { .. }
            | Self::ProviderUnavailable { .. }
            | Self::ProviderOutcomeUnknown { .. }
            | Self::ProviderProtocol { .. }
            | Self::Overloaded(_)
            | Self::Unrecorded(_)
            | Self::DeadlineExceeded(_) => Blame::Outside,
            Self::Vault { cause: VaultError::MfaPolicy, .. }
            | Self::NotConfigured { .. }
            | Self::NotDurable(_)
            | Self::NotBearer { .. }
            | Self::ApplicationRefused { .. }
            | Self::Store(
                StoreError::Misconfigured { .. }
                | StoreError::UnknownKey { .. }
                | StoreError::Corrupt { .. }
                | StoreError::Newer,
            )
            | Self::Internal => Blame::Operator,
        }
    }
}

fn blame(error: &Auth0Error) -> Blame {
    match error {
        Auth0Error::UserNotFound => Blame::Caller,
        Auth0Error::RateLimited { .. } | Auth0Error::Unavailable { .. } => Blame::Outside,
        Auth0Error::Misconfigured { .. } => Blame::Operator,
    }
}

impl Error {
    /// What the caller is not told, for the log.
    pub fn internal_detail(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::ProviderProtocol { cause, .. }
            | Self::Caller(AuthenticationError::KeysUnavailable { cause, .. }) => Some(cause.into()),
            Self::Store(error) => Some(error.to_string().into()),
            Self::Internal => Some("a panic, which was reported when it happened".into()),
            _ => None,
        }
    }
}

impl Broker {
    /// The error of `operation` where there is no token, with a link where only the user can get another.
    pub(super) fn error(&self, error: TokenError, operation: &'static str) -> Error {
        match error {
            TokenError::Select(error) => error.into(),
            TokenError::Auth0(error) => error.into(),
            TokenError::Store(error) => error.into(),
            TokenError::Vault { owner, cause } => Error::Vault { owner, cause },
            TokenError::Unusable { selected, why } => {
                let identity = selected.identity();
                let connect_url = self.link_for(identity, &[]);
                Error::ReauthenticationRequired { owner: Owner::of(identity), why, connect_url }
            }
            TokenError::RenewalFailed { owner, reason, retry_after } => {
                Error::RenewalFailed { owner, reason, retry_after }
            }
            TokenError::NotConfigured { owner, missing } => {
                Error::NotConfigured { provider: Some(owner.provider), missing }
            }
            TokenError::NotDurable(owner) => Error::NotDurable(owner),
            TokenError::NotBearer { owner, token_type } => Error::NotBearer { owner, token_type },
            TokenError::NeverSoLong { owner, min_validity, lifetime } => {
                let (wanted, lifetime) = (min_validity.as_secs(), lifetime.as_secs());
                let provider = owner.provider;
                let problem = format!(
                    "is {wanted} s, but the tokens of {provider} live for {lifetime} s: ask for less"
                );
                InvalidField::new("min_validity", problem).into()
            }
            TokenError::Provider { owner, cause } => provider_error(owner.provider, cause, operation),
            TokenError::Overloaded(refused) => Error::Overloaded(refused),
            TokenError::Late(stage) => Error::DeadlineExceeded(stage),
        }
    }
}

fn provider_error(provider: String, cause: ProviderError, operation: &'static str) -> Error {
    match cause {
        ProviderError::Unsupported => Error::OperationUnsupported { provider: Some(provider), operation },
        ProviderError::NotConfigured { missing } => {
            Error::NotConfigured { provider: Some(provider), missing }
        }
        ProviderError::Refused { code, keys } => Error::ApplicationRefused { provider, code, keys },
        ProviderError::RateLimited { retry_after } => Error::ProviderRateLimited { provider, retry_after },
        ProviderError::Unavailable { cause, retry_after, .. } => {
            Error::ProviderUnavailable { provider, cause, retry_after }
        }
        ProviderError::Unreadable { cause } => Error::ProviderProtocol { provider, cause },
    }
}
