//! Asking a provider about a token, and having it end one.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{ProviderClient, exchange};
use crate::{
    provider::{Held, Inspected, InspectionVerdict, Lack, Passing, RevocationVerdict, Unsendable},
    secret,
    telemetry::Metrics,
    token::AccessToken,
    transport::TransportError,
};

/// Why a provider did not tell, or did not do, what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It has nothing of the kind.
    Unsupported,
    /// It cannot be asked for want of configuration.
    NotConfigured {
        /// The full names of the keys that are not set.
        missing: Vec<String>,
    },
    /// It refuses the application.
    Refused {
        /// The provider's code, or ours where the application cannot even prove itself.
        code: &'static str,
        /// The full names of the keys that hold what the application proves itself with.
        keys: Vec<String>,
    },
    /// It asks to wait.
    RateLimited {
        /// How long.
        retry_after: Duration,
    },
    /// It cannot be reached, or fails in a way that may pass.
    Unavailable {
        /// What happened; quotes nothing that the provider sent.
        cause: String,
        /// A word for it, for metrics.
        word: &'static str,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// Its answer cannot be read; what was asked may have been done.
    Unreadable {
        /// What is wrong with it.
        cause: String,
    },
}

impl Trouble {
    /// The word for metrics.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Unsupported => "unsupported",
            Self::NotConfigured { .. } => "not_configured",
            Self::Refused { code, .. } => code,
            Self::RateLimited { .. } => "rate_limited",
            Self::Unavailable { word, .. } => word,
            Self::Unreadable { .. } => "unreadable_answer",
        }
    }
}

impl ProviderClient {
    /// What the provider knows of a token; `None` if it is dead.
    ///
    /// # Errors
    /// When the provider does not tell.
    pub async fn inspect(
        &self,
        access: &AccessToken,
        deadline: Instant,
        metrics: &Metrics,
    ) -> Result<Option<Inspected>, Trouble> {
        let inspection = self.adapter.inspection().map_err(|lack| self.lacks(lack))?;
        let once = || async {
            let request =
                inspection.encode(access, SystemTime::now()).map_err(|why| self.unsendable(&why))?;
            let answer = self.exchange(request, deadline).await.map_err(|error| unanswered(&error))?;
            match inspection.read(&answer, SystemTime::now()) {
                InspectionVerdict::Active(inspected) => Ok(Some(inspected)),
                InspectionVerdict::Dead | InspectionVerdict::DeadOrForeign => Ok(None),
                InspectionVerdict::ClientRefused { code } => Err(self.refused(code)),
                InspectionVerdict::Passing(passing) => Err(passing.into()),
            }
        };
        let outcome = secret::proving(inspection.credential(), is_refused, once).await;
        let word = |known: &Option<_>| if known.is_some() { "active" } else { "dead" };
        metrics.inspection(&self.name, outcome.as_ref().map_or_else(Trouble::outcome, word));
        outcome
    }

    /// Has the provider end what is held. Of what it does not know, nothing is left to end.
    ///
    /// # Errors
    /// When it does not, or nobody knows.
    pub async fn revoke(&self, held: Held<'_>, deadline: Instant, metrics: &Metrics) -> Result<(), Trouble> {
        let revocation = self.adapter.revocation().map_err(|lack| self.lacks(lack))?;
        let once = || async {
            let request = revocation.encode(held, SystemTime::now()).map_err(|why| self.unsendable(&why))?;
            let answer = self.exchange(request, deadline).await.map_err(|error| unanswered(&error))?;
            match revocation.read(&answer, SystemTime::now()) {
                RevocationVerdict::Revoked => Ok("revoked"),
                RevocationVerdict::Unknown => Ok("unknown"),
                RevocationVerdict::ClientRefused { code } => Err(self.refused(code)),
                RevocationVerdict::Passing(passing) => Err(passing.into()),
            }
        };
        let outcome = secret::proving(revocation.credential(), is_refused, once).await;
        metrics.revocation(&self.name, outcome.as_ref().copied().unwrap_or_else(Trouble::outcome));
        outcome.map(drop)
    }

    /// Why an ability is not there, as an operator reads it.
    pub fn lacks(&self, lack: &Lack) -> Trouble {
        match lack {
            Lack::Unsupported => Trouble::Unsupported,
            Lack::NotConfigured { missing } => Trouble::NotConfigured { missing: self.keys(missing) },
        }
    }

    fn refused(&self, code: &'static str) -> Trouble {
        Trouble::Refused { code, keys: self.keys(&["client_id", "client_secret"]) }
    }

    /// A token that no URL takes is the only one of its kind; all else is about the client's key.
    fn unsendable(&self, why: &Unsendable) -> Trouble {
        match why {
            Unsendable::TooLong => Trouble::Unreadable { cause: why.to_string() },
            Unsendable::NoRefreshToken => Trouble::Unsupported,
            Unsendable::Key(_) => {
                let provider = &self.name;
                tracing::error!(provider, %why, "Cannot prove the application to the provider");
                Trouble::Refused { code: "unsendable", keys: self.keys(&["private_key_file"]) }
            }
        }
    }
}

fn is_refused<T>(outcome: &Result<T, Trouble>) -> bool {
    matches!(outcome, Err(Trouble::Refused { .. }))
}

impl From<Passing> for Trouble {
    fn from(passing: Passing) -> Self {
        match passing {
            Passing { throttled: true, retry_after: Some(retry_after), .. } => {
                Self::RateLimited { retry_after }
            }
            Passing { what, retry_after, .. } => {
                Self::Unavailable { cause: what, word: "unavailable", retry_after }
            }
        }
    }
}

fn unanswered(error: &TransportError) -> Trouble {
    let cause = error.to_string();
    match error {
        TransportError::Malformed { .. } | TransportError::TooLarge { .. } => Trouble::Unreadable { cause },
        TransportError::Connect { .. } | TransportError::Timeout { .. } | TransportError::Broken { .. } => {
            Trouble::Unavailable { cause, word: exchange::word(error), retry_after: None }
        }
    }
}
