//! Inspection: asking the provider about a token.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response};

pub(super) use self::{introspection::Introspection, probe::Probe};
use super::{
    Unsendable,
    endpoint_error::{EndpointError, Transient},
};
use crate::{secret::Secret, token::AccessToken};

mod introspection;
mod probe;

/// How a provider inspects tokens.
pub trait Inspection: Send + Sync {
    /// Builds the request. If the provider takes the token in the query only, it is in the URL.
    ///
    /// # Errors
    /// When the client's private key is unusable.
    fn encode(&self, access: &AccessToken, now: SystemTime) -> Result<Request<Bytes>, Unsendable>;

    /// Classifies the provider's answer.
    fn read(&self, answer: &Response<Bytes>, now: SystemTime) -> InspectionVerdict;

    /// The credential, if inspection needs one, so that it can be read again after
    /// [`InspectionVerdict::ClientRefused`].
    fn credential(&self) -> Option<&Arc<Secret>> {
        None
    }
}

/// What a provider's answer to an inspection means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InspectionVerdict {
    /// The provider accepts the token.
    Active(Inspected),
    /// The provider rejects the token, and is certain about it.
    Dead,
    /// The provider knows no such token of this application: the token is dead, or belongs to another
    /// application. It proves the token dead only once the application is known to be the right one.
    DeadOrForeign,
    /// The provider refuses the application; only an operator can fix this.
    ClientRefused {
        /// The provider's error code.
        code: &'static str,
    },
    /// Nothing was learnt; a retry may help.
    Transient(Transient),
}

/// What a provider reports about an accepted token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspected {
    /// When the token expires; `None` if it does not, or the provider does not say.
    pub expires_at: Option<SystemTime>,
    /// The granted scopes; empty if the provider does not report them.
    pub scopes: Vec<String>,
    /// The provider's id of the account.
    pub subject: Option<String>,
}

impl InspectionVerdict {
    /// The verdict of a provider that gives the same answer for dead tokens and for those of other
    /// applications.
    pub(super) fn or_foreign(self) -> Self {
        match self {
            Self::Dead => Self::DeadOrForeign,
            other => other,
        }
    }
}

impl From<EndpointError> for InspectionVerdict {
    fn from(error: EndpointError) -> Self {
        match error {
            EndpointError::Dead(_) => Self::Dead,
            EndpointError::Client(code) => Self::ClientRefused { code },
            EndpointError::Transient(transient) => Self::Transient(transient),
        }
    }
}

/// Converts seconds since 1970 to a time; `None` for zero and less, which Facebook writes for "never".
pub(super) fn time(seconds: Option<i64>) -> Option<SystemTime> {
    let seconds = u64::try_from(seconds?).ok().filter(|seconds| *seconds > 0)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}
