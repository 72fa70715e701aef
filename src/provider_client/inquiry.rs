//! Asking a provider about a token, and having it end one.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::ProviderClient;
use crate::{
    provider::{
        Inspected, InspectionVerdict, MissingCapability, RevocationVerdict, TokenPair, Transient, Unsendable,
    },
    secret,
    telemetry::Metrics,
    token::AccessToken,
    transport::TransportError,
};

/// Why a provider did not tell, or did not do, what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderError {
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

impl ProviderError {
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

/// What a provider says of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It accepts the token, of which it knows this.
    Active(Inspected),
    /// It does not.
    Inactive,
    /// It does not know the token as one of this application's. That may mean that the token is dead, or that
    /// the configured application is not the one that the token was issued to: which one it is shows as soon
    /// as the provider calls any token of this application active.
    NotKnown {
        /// The full name of the key that says which application it is.
        client_id: String,
    },
}

impl ProviderClient {
    /// What the provider says of a token.
    ///
    /// # Errors
    /// When the provider does not tell.
    pub async fn inspect(
        &self,
        access: &AccessToken,
        deadline: Instant,
        metrics: &Metrics,
    ) -> Result<Told, ProviderError> {
        let told = match self.ask(access, deadline).await {
            Ok(Told::NotKnown { .. }) if self.is_proven_by_another(access, deadline).await => {
                Ok(Told::Inactive)
            }
            told => told,
        };
        let word = |told: &Told| match told {
            Told::Active(_) => "active",
            Told::Inactive => "dead",
            Told::NotKnown { .. } => "not_known",
        };
        metrics.inspection(&self.name, told.as_ref().map_or_else(ProviderError::outcome, word));
        told
    }

    async fn ask(&self, access: &AccessToken, deadline: Instant) -> Result<Told, ProviderError> {
        let inspection = self.adapter.inspection().map_err(|lack| self.lacks(lack))?;
        let once = || async {
            let request =
                inspection.encode(access, SystemTime::now()).map_err(|why| self.unsendable(&why))?;
            let answer = self.exchange(request, deadline).await.map_err(|error| unanswered(&error))?;
            match inspection.read(&answer, SystemTime::now()) {
                InspectionVerdict::Active(inspected) => Ok(Told::Active(inspected)),
                InspectionVerdict::Dead => Ok(Told::Inactive),
                InspectionVerdict::DeadOrForeign => Ok(Told::NotKnown { client_id: self.key("client_id") }),
                InspectionVerdict::ClientRefused { code } => Err(self.refused(code)),
                InspectionVerdict::Transient(transient) => Err(transient.into()),
            }
        };
        let told = secret::retry_if_rotated(inspection.credential(), is_refused, once).await?;
        if matches!(told, Told::Active(_)) {
            self.application.prove();
        }
        Ok(told)
    }

    /// Whether the configured application is known to be the one that tokens are issued to. If not, the
    /// provider is asked about another token, which it has just accepted in a call.
    async fn is_proven_by_another(&self, access: &AccessToken, deadline: Instant) -> bool {
        if self.application.proven() {
            return true;
        }
        let Some(other) = self.application.another_than(access) else { return false };
        match self.ask(&other, deadline).await {
            Ok(Told::Active(_)) => true,
            Ok(Told::NotKnown { client_id: key }) => {
                let provider = &self.name;
                tracing::error!(
                    provider,
                    key,
                    "The provider knows nothing of a token that it accepts: the configured application is not the one that \
                     tokens are issued to"
                );
                false
            }
            Ok(Told::Inactive) | Err(_) => false,
        }
    }

    /// Has the provider end what is held. Of what it does not know, nothing is left to end.
    ///
    /// # Errors
    /// When it does not, or nobody knows.
    pub async fn revoke(
        &self,
        held: TokenPair<'_>,
        deadline: Instant,
        metrics: &Metrics,
    ) -> Result<(), ProviderError> {
        let revocation = self.adapter.revocation().map_err(|lack| self.lacks(lack))?;
        let once = || async {
            let request = revocation.encode(held, SystemTime::now()).map_err(|why| self.unsendable(&why))?;
            let answer = self.exchange(request, deadline).await.map_err(|error| unanswered(&error))?;
            match revocation.read(&answer, SystemTime::now()) {
                RevocationVerdict::Revoked => Ok("revoked"),
                RevocationVerdict::Unknown => Ok("unknown"),
                RevocationVerdict::ClientRefused { code } => Err(self.refused(code)),
                RevocationVerdict::Transient(transient) => Err(transient.into()),
            }
        };
        let outcome = secret::retry_if_rotated(revocation.credential(), is_refused, once).await;
        metrics.revocation(&self.name, outcome.as_ref().copied().unwrap_or_else(ProviderError::outcome));
        outcome.map(drop)
    }

    /// Why a capability is not there, as an operator reads it.
    pub fn lacks(&self, lack: &MissingCapability) -> ProviderError {
        match lack {
            MissingCapability::Unsupported => ProviderError::Unsupported,
            MissingCapability::NotConfigured { missing } => {
                ProviderError::NotConfigured { missing: self.keys(missing) }
            }
        }
    }

    fn refused(&self, code: &'static str) -> ProviderError {
        ProviderError::Refused { code, keys: self.keys(&["client_id", "client_secret"]) }
    }

    /// A token that no URL takes is the only one of its kind; all else is about the client's key.
    fn unsendable(&self, why: &Unsendable) -> ProviderError {
        match why {
            Unsendable::TooLong => ProviderError::Unreadable { cause: why.to_string() },
            Unsendable::NoRefreshToken => ProviderError::Unsupported,
            Unsendable::Key(_) => {
                let provider = &self.name;
                tracing::error!(provider, %why, "Cannot prove the application to the provider");
                ProviderError::Refused { code: "unsendable", keys: self.keys(&["private_key_file"]) }
            }
        }
    }
}

fn is_refused<T>(outcome: &Result<T, ProviderError>) -> bool {
    matches!(outcome, Err(ProviderError::Refused { .. }))
}

impl From<Transient> for ProviderError {
    fn from(transient: Transient) -> Self {
        match transient {
            Transient { throttled: true, retry_after: Some(retry_after), .. } => {
                Self::RateLimited { retry_after }
            }
            Transient { what, retry_after, .. } => {
                Self::Unavailable { cause: what, word: "unavailable", retry_after }
            }
        }
    }
}

fn unanswered(error: &TransportError) -> ProviderError {
    let cause = error.to_string();
    match error {
        TransportError::Malformed { .. } | TransportError::TooLarge { .. } => {
            ProviderError::Unreadable { cause }
        }
        TransportError::Connect { .. } | TransportError::Timeout { .. } | TransportError::Broken { .. } => {
            ProviderError::Unavailable { cause, word: reason(error), retry_after: None }
        }
    }
}

/// A word for a request without an answer. Whether it may have been carried out matters to who reads this.
pub fn reason(error: &TransportError) -> &'static str {
    match error {
        TransportError::Connect { .. } => "unreachable",
        TransportError::Timeout { .. } => "timeout",
        TransportError::Broken { .. } => "connection_broken",
        TransportError::Malformed { .. } | TransportError::TooLarge { .. } => "unreadable_answer",
    }
}
