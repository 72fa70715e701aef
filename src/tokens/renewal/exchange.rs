//! One renewal's exchange with the provider.

use std::time::SystemTime;

use bytes::Bytes;
use http::{Response, StatusCode};
use tokio::time::Instant;

use super::{failure::RenewalFailure, lease::HeldLease};
use crate::{
    provider::{Renewal, RenewalVerdict, Source, TokenPair, Tokens, Unsendable},
    provider_client::{ProviderClient, reason},
    secret,
    store::StoreError,
};

/// What became of it.
pub(super) enum Outcome {
    Renewed(Tokens),
    Failed(RenewalFailure),
}

impl Outcome {
    /// The request was cut off, since another replica may send the same token from now on. Whether it was
    /// carried out is not known.
    pub(super) fn lease_ended(client: &ProviderClient) -> Self {
        let provider = &client.name;
        tracing::warn!(provider, "The lease ended during a request for new tokens; the grant is kept");
        Self::Failed(RenewalFailure::Transient { reason: "timeout", retry_after: None })
    }
}

/// Asks for new tokens, while the lease is ours: once, and once more with the client's credential if that was
/// replaced in its file meanwhile. `None` if the lease is another replica's by now: then nothing was sent.
///
/// # Errors
/// When the store does not say whose the lease is: then nothing was sent either.
pub(super) async fn renew(
    client: &ProviderClient,
    renewal: &dyn Renewal,
    held: TokenPair<'_>,
    lease: &HeldLease,
    deadline: Instant,
) -> Result<Option<Outcome>, StoreError> {
    let once = || once(client, renewal, held, lease, deadline);
    let is_refused = |attempt: &Result<Attempt, StoreError>| matches!(attempt, Ok(Attempt::Refused(_)));
    Ok(match secret::retry_if_rotated(Some(renewal.credential()), is_refused, once).await? {
        Attempt::Made(outcome) => Some(outcome),
        Attempt::Refused(refused) => Some(refused.told(client)),
        Attempt::NotOurs => None,
    })
}

/// What one attempt came to.
enum Attempt {
    Made(Outcome),
    Refused(Refused),
    /// The lease is another replica's by now, and nothing was sent.
    NotOurs,
}

/// The provider refuses the application, by this code.
struct Refused {
    code: &'static str,
}

impl Refused {
    /// An operator must mend it, so it is an error in the log.
    fn told(self, client: &ProviderClient) -> Outcome {
        let provider = &client.name;
        tracing::error!(
            provider,
            code = self.code,
            "The provider refuses this application's request for new tokens: check client_id, the client's secret or \
             key, token_auth_method, token_url and scopes of this provider"
        );
        Outcome::Failed(RenewalFailure::Transient { reason: self.code, retry_after: None })
    }
}

async fn once(
    client: &ProviderClient,
    renewal: &dyn Renewal,
    held: TokenPair<'_>,
    lease: &HeldLease,
    deadline: Instant,
) -> Result<Attempt, StoreError> {
    let mut request = match renewal.encode(held, SystemTime::now()) {
        Ok(request) => request,
        Err(error) => return Ok(Attempt::Refused(unsendable(client, &error))),
    };
    // The last thing before the provider is asked: a process that was asleep, or cut off from the store, may
    // have lost the lease, and with it the right to send what was stored before.
    if !lease.confirm().await? {
        let provider = &client.name;
        tracing::warn!(provider, "A lease was lost before the provider was asked for new tokens");
        return Ok(Attempt::NotOurs);
    }
    // And once more when the token is written: there may be a connection to set up before.
    request.extensions_mut().insert(lease.guard());
    let Some(answer) = lease.bound(client.exchange(request, deadline)).await else {
        return Ok(Attempt::Made(Outcome::lease_ended(client)));
    };
    Ok(match answer {
        Ok(answer) => read(client, renewal, held, &answer),
        Err(error) => {
            let provider = &client.name;
            tracing::warn!(provider, %error, "No answer to a request for new tokens; the grant is kept");
            let reason = reason(&error);
            Attempt::Made(Outcome::Failed(RenewalFailure::Transient { reason, retry_after: None }))
        }
    })
}

fn unsendable(client: &ProviderClient, error: &Unsendable) -> Refused {
    let provider = &client.name;
    tracing::error!(provider, %error, "Cannot ask for new tokens");
    Refused { code: "unsendable" }
}

fn read(
    client: &ProviderClient,
    renewal: &dyn Renewal,
    held: TokenPair<'_>,
    answer: &Response<Bytes>,
) -> Attempt {
    let provider = &client.name;
    Attempt::Made(match renewal.read(answer, SystemTime::now()) {
        RenewalVerdict::Renewed(tokens) => Outcome::Renewed(tokens),
        RenewalVerdict::GrantDead { code } => {
            tracing::warn!(provider, code, "The provider says that a grant has ended");
            let token = (renewal.source() == Source::LiveAccessToken).then(|| held.access.fingerprint());
            Outcome::Failed(RenewalFailure::Dead { code, token })
        }
        RenewalVerdict::ClientRefused { code } => return Attempt::Refused(Refused { code }),
        RenewalVerdict::Transient(transient) => {
            tracing::warn!(provider, what = transient.what, "No new tokens this time; the grant is kept");
            let throttled = answer.status() == StatusCode::TOO_MANY_REQUESTS;
            let reason = if throttled { "rate_limited" } else { "unavailable" };
            Outcome::Failed(RenewalFailure::Transient { reason, retry_after: transient.retry_after })
        }
    })
}
