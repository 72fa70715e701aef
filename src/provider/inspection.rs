//! Asking the provider what it knows of a token.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response};

pub(super) use self::{introspection::Introspection, probe::Probe};
use super::{
    Unsendable,
    setback::{Passing, Setback},
};
use crate::{secret::Secret, token::AccessToken};

mod introspection;
mod probe;

/// How a provider inspects tokens.
pub trait Inspection: Send + Sync {
    /// The question. Where the provider has no place for it but the query, the token is in the URL.
    ///
    /// # Errors
    /// When the client's key is of no use.
    fn encode(&self, access: &AccessToken, now: SystemTime) -> Result<Request<Bytes>, Unsendable>;

    /// What the provider's answer means.
    fn read(&self, answer: &Response<Bytes>, now: SystemTime) -> InspectionVerdict;

    /// What the application proves itself with, if it must: to read again after [`InspectionVerdict::ClientRefused`].
    fn credential(&self) -> Option<&Arc<Secret>> {
        None
    }
}

/// What a provider answers to an inspection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InspectionVerdict {
    /// The provider accepts the token.
    Active(Inspected),
    /// It does not: that is its certain word about this token.
    Dead,
    /// It knows no such token of this application: the token is dead, or was issued to another application. A
    /// word of death only once the application is known to be the right one.
    DeadOrForeign,
    /// The provider refuses the application: only an operator can mend it.
    ClientRefused {
        /// The provider's code.
        code: &'static str,
    },
    /// Nothing was learnt; that may pass.
    Passing(Passing),
}

/// What a provider knows of a token that it accepts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspected {
    /// When it ends; `None` if it does not end, or the provider does not tell.
    pub expires_at: Option<SystemTime>,
    /// The scopes that were granted; empty if the provider does not tell.
    pub scopes: Vec<String>,
    /// The provider's id of the account.
    pub subject: Option<String>,
}

impl InspectionVerdict {
    /// What it means where the provider says the same of dead tokens and of other applications'.
    pub(super) fn or_foreign(self) -> Self {
        match self {
            Self::Dead => Self::DeadOrForeign,
            other => other,
        }
    }
}

impl From<Setback> for InspectionVerdict {
    fn from(setback: Setback) -> Self {
        match setback {
            Setback::Dead(_) => Self::Dead,
            Setback::Client(code) => Self::ClientRefused { code },
            Setback::Passing(passing) => Self::Passing(passing),
        }
    }
}

/// The time that a number of seconds since 1970 names; zero and less is what Facebook writes for "never".
pub(super) fn time(seconds: Option<i64>) -> Option<SystemTime> {
    let seconds = u64::try_from(seconds?).ok().filter(|seconds| *seconds > 0)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}
