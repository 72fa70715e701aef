//! The one place where an error becomes a gRPC status.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::pb::ErrorReason;
use crate::{
    auth0::{Auth0Error, VaultError},
    authentication::AuthenticationError,
    broker::Error,
    identity::SelectError,
    tokens::Owner,
};

/// The `domain` of every ErrorInfo.
pub const DOMAIN: &str = "idptoken.v1";

/// The default retry delay.
const SHORTLY: Duration = Duration::from_secs(1);

/// How an application sends its user through a login with one connection, if the service cannot make a
/// connect link.
const LOGIN_HELP: &str =
    "https://auth0.com/docs/authenticate/identity-providers/adding-scopes-for-an-external-idp";

/// The parts of a status.
struct Parts {
    code: Code,
    reason: ErrorReason,
    metadata: HashMap<String, String>,
    details: ErrorDetails,
}

impl Parts {
    fn new(code: Code, reason: ErrorReason) -> Self {
        Self { code, reason, metadata: HashMap::new(), details: ErrorDetails::new() }
    }

    fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.metadata.insert(key.to_owned(), value.into());
        self
    }

    fn owned_by(self, owner: &Owner) -> Self {
        self.with("provider", &owner.provider).with("connection", &owner.connection)
    }

    /// Adds metadata, unless the value is empty.
    fn with_some(self, key: &str, value: &str) -> Self {
        if value.is_empty() { self } else { self.with(key, value) }
    }

    fn retry(mut self, after: Duration) -> Self {
        self.details.set_retry_info(Some(after));
        self
    }

    fn help(mut self, description: &str, url: &str) -> Self {
        self.details.add_help_link(description, url);
        self
    }

    fn login_help(self, connect_url: Option<&str>) -> Self {
        match connect_url {
            Some(url) => {
                self.help("Send the user's browser here, to log in with this `connection` again", url)
            }
            None => self.help(
                "Send the user to /authorize with this `connection`, and ask for the scopes again",
                LOGIN_HELP,
            ),
        }
    }

    fn field(mut self, field: &str, problem: &str) -> Self {
        self.details.add_bad_request_violation(field, problem);
        self.with("field", field)
    }

    /// Adds a precondition failure; `subject` is what does not meet the condition.
    fn precondition(mut self, subject: impl Into<String>, description: &str) -> Self {
        self.details.add_precondition_failure_violation(name(self.reason), subject, description);
        self
    }

    /// Adds a quota failure; `subject` is who throttles.
    fn quota(mut self, subject: &str, description: &str) -> Self {
        self.details.add_quota_failure_violation(subject, description);
        self
    }

    fn build(self, message: String) -> Status {
        let Self { code, reason, metadata, mut details } = self;
        details.set_error_info(name(reason), DOMAIN, metadata);
        Status::with_error_details(code, message, details)
    }
}

/// The reason in ErrorInfo's form, without the enum's prefix.
fn name(reason: ErrorReason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("ERROR_REASON_").unwrap_or(name)
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let parts = parts(&error, &message);
        let mut status = parts.build(message);
        // For the log line in `observe`; nothing of it reaches the caller.
        status.set_source(Arc::new(error));
        status
    }
}

fn parts(error: &Error, message: &str) -> Parts {
    match error {
        Error::Invalid(invalid) => Parts::new(Code::InvalidArgument, ErrorReason::InvalidField)
            .field(&invalid.field, &invalid.problem),
        Error::Caller(AuthenticationError::Missing | AuthenticationError::Rejected(_)) => {
            Parts::new(Code::Unauthenticated, ErrorReason::CallerUnauthenticated)
        }
        Error::Caller(AuthenticationError::KeysUnavailable { issuer, is_tenant, .. }) => {
            // The contract has no reason for an unavailable token issuer: it counts as an identity provider
            // that is down.
            let reason =
                if *is_tenant { ErrorReason::Auth0Unavailable } else { ErrorReason::ProviderUnavailable };
            Parts::new(Code::Unavailable, reason).with("issuer", issuer).retry(SHORTLY)
        }
        Error::Denied(_) => Parts::new(Code::PermissionDenied, ErrorReason::CallerNotAllowed),
        Error::Select(error) => select(error, message),
        Error::Auth0(error) => auth0(error, message),
        Error::Vault { owner, cause } => vault(cause, message).owned_by(owner),
        Error::ReauthenticationRequired { owner, connect_url, .. } => {
            Parts::new(Code::FailedPrecondition, ErrorReason::ReauthenticationRequired)
                .owned_by(owner)
                .precondition(format!("{}/{}", owner.provider, owner.connection), message)
                .login_help(connect_url.as_deref())
        }
        Error::RenewalFailed { owner, retry_after, .. } => {
            Parts::new(Code::Unavailable, ErrorReason::RenewalFailed).owned_by(owner).retry(*retry_after)
        }
        Error::NotDurable(owner) => Parts::new(Code::FailedPrecondition, ErrorReason::ProviderNotConfigured)
            .with("missing", "store.url")
            .owned_by(owner)
            .precondition("configuration", message),
        Error::NotBearer { owner, token_type } => {
            Parts::new(Code::FailedPrecondition, ErrorReason::TokenTypeUnsupported)
                .owned_by(owner)
                .with("tokenType", token_type.to_string())
                .precondition(format!("{}/{}", owner.provider, owner.connection), message)
        }
        Error::Store(_) => Parts::new(Code::Unavailable, ErrorReason::StoreUnavailable).retry(SHORTLY),
        Error::OperationUnsupported { provider, operation } => {
            Parts::new(Code::Unimplemented, ErrorReason::OperationUnsupported)
                .with("operation", *operation)
                .with_some("provider", provider.as_deref().unwrap_or_default())
        }
        Error::NotConfigured { provider, missing } => {
            Parts::new(Code::FailedPrecondition, ErrorReason::ProviderNotConfigured)
                .with("missing", missing.join(","))
                .with_some("provider", provider.as_deref().unwrap_or_default())
                .precondition("configuration", message)
        }
        Error::ApplicationRefused { provider, code, keys } => {
            Parts::new(Code::FailedPrecondition, ErrorReason::ProviderNotConfigured)
                .with("missing", keys.join(","))
                .with("provider", provider)
                .with("code", *code)
                .precondition("configuration", message)
        }
        Error::ProviderRateLimited { provider, retry_after } => {
            Parts::new(Code::ResourceExhausted, ErrorReason::ProviderRateLimited)
                .with("provider", provider)
                .quota(provider, message)
                .retry(*retry_after)
        }
        Error::ProviderUnavailable { provider, retry_after, .. } => {
            Parts::new(Code::Unavailable, ErrorReason::ProviderUnavailable)
                .with("provider", provider)
                .retry(retry_after.unwrap_or(SHORTLY))
        }
        // Not UNAVAILABLE, as the contract specifies for this reason: sidecars retry UNAVAILABLE
        // automatically and would send it twice. There is no RetryInfo for the same reason.
        Error::ProviderOutcomeUnknown { provider, .. } => {
            Parts::new(Code::Aborted, ErrorReason::ProviderUnavailable)
                .with("provider", provider)
                .with("outcome", "unknown")
        }
        Error::ProviderProtocol { provider, .. } => {
            Parts::new(Code::Internal, ErrorReason::ProviderProtocol).with("provider", provider)
        }
        Error::ResponseTooLarge { status, limit, .. } => {
            Parts::new(Code::OutOfRange, ErrorReason::ResponseTooLarge)
                .with("limitBytes", limit.to_string())
                .with("statusCode", status.as_u16().to_string())
        }
        // The contract has no reason of its own. The caller's remedy is the same: retry, preferably at
        // another replica.
        Error::Overloaded(_) | Error::Unrecorded(_) => {
            Parts::new(Code::Unavailable, ErrorReason::Overloaded).retry(SHORTLY)
        }
        Error::DeadlineExceeded(stage) => {
            Parts::new(Code::DeadlineExceeded, ErrorReason::DeadlineExceeded).with("stage", stage.name())
        }
        Error::Internal => Parts::new(Code::Internal, ErrorReason::Internal),
    }
}

fn select(error: &SelectError, message: &str) -> Parts {
    match error {
        SelectError::NotLinked { provider } => {
            Parts::new(Code::NotFound, ErrorReason::IdentityNotLinked).with_some("provider", provider)
        }
        SelectError::Ambiguous { candidates, .. } => {
            Parts::new(Code::FailedPrecondition, ErrorReason::IdentityAmbiguous)
                .with("candidates", candidates.join(","))
                .precondition("identity", message)
        }
        SelectError::TokenNotStored { provider, connection } => {
            Parts::new(Code::FailedPrecondition, ErrorReason::TokenNotStored)
                .with("provider", provider)
                .with("connection", connection)
                .precondition(format!("{provider}/{connection}"), message)
        }
    }
}

fn vault(error: &VaultError, message: &str) -> Parts {
    match error {
        VaultError::NotConnected => Parts::new(Code::FailedPrecondition, ErrorReason::TokenNotStored)
            .precondition("token_vault", message),
        VaultError::SubjectRefused => Parts::new(Code::Unauthenticated, ErrorReason::CallerUnauthenticated),
        VaultError::MfaPolicy => Parts::new(Code::FailedPrecondition, ErrorReason::Auth0Misconfigured)
            .precondition("auth0", message),
        VaultError::Auth0(error) => auth0(error, message),
    }
}

fn auth0(error: &Auth0Error, message: &str) -> Parts {
    match error {
        Auth0Error::UserNotFound => Parts::new(Code::NotFound, ErrorReason::UserNotFound),
        Auth0Error::RateLimited { retry_after } => {
            Parts::new(Code::Unavailable, ErrorReason::Auth0RateLimited).retry(*retry_after)
        }
        Auth0Error::Unavailable { retry_after, .. } => {
            Parts::new(Code::Unavailable, ErrorReason::Auth0Unavailable).retry(retry_after.unwrap_or(SHORTLY))
        }
        Auth0Error::Misconfigured { missing_scopes, .. } => {
            let parts = Parts::new(Code::FailedPrecondition, ErrorReason::Auth0Misconfigured)
                .precondition("auth0", message);
            if missing_scopes.is_empty() { parts } else { parts.with("missing", missing_scopes.join(",")) }
        }
    }
}
