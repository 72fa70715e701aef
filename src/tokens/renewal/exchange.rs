//! One renewal's exchange with the provider.

use std::time::SystemTime;

use bytes::Bytes;
use http::{Response, StatusCode};
use tokio::time::Instant;

use super::failure::RenewalFailure;
use crate::{
    provider::{Held, Renewal, RenewalVerdict, Source, Tokens, Unsendable},
    provider_client::{ProviderClient, reason},
    secret,
};

/// What became of it.
pub(super) enum Outcome {
    Renewed(Tokens),
    Failed(RenewalFailure),
}

impl Outcome {
    /// The request was cut off, since another replica may send the same token from now on. Whether it was carried out is
    /// not known.
    pub(super) fn lease_ended(client: &ProviderClient) -> Self {
        let provider = &client.name;
        tracing::warn!(provider, "The lease ended during a request for new tokens; the grant is kept");
        Self::Failed(RenewalFailure::Transient { reason: "lease_ended", retry_after: None })
    }
}

/// Asks for new tokens: once, and once more with the client's credential if that was replaced in its file meanwhile.
pub(super) async fn renew(
    client: &ProviderClient,
    renewal: &dyn Renewal,
    held: Held<'_>,
    deadline: Instant,
) -> Outcome {
    let once = || once(client, renewal, held, deadline);
    let outcome = secret::proving(Some(renewal.credential()), Result::is_err, once).await;
    outcome.unwrap_or_else(|refused| refused.told(client))
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
    held: Held<'_>,
    deadline: Instant,
) -> Result<Outcome, Refused> {
    let request = renewal.encode(held, SystemTime::now()).map_err(|error| unsendable(client, &error))?;
    match client.exchange(request, deadline).await {
        Ok(answer) => read(client, renewal, held, &answer),
        Err(error) => {
            let provider = &client.name;
            tracing::warn!(provider, %error, "No answer to a request for new tokens; the grant is kept");
            Ok(Outcome::Failed(RenewalFailure::Transient { reason: reason(&error), retry_after: None }))
        }
    }
}

fn unsendable(client: &ProviderClient, error: &Unsendable) -> Refused {
    let provider = &client.name;
    tracing::error!(provider, %error, "Cannot ask for new tokens");
    Refused { code: "unsendable" }
}

fn read(
    client: &ProviderClient,
    renewal: &dyn Renewal,
    held: Held<'_>,
    answer: &Response<Bytes>,
) -> Result<Outcome, Refused> {
    let provider = &client.name;
    match renewal.read(answer, SystemTime::now()) {
        RenewalVerdict::Renewed(tokens) => Ok(Outcome::Renewed(tokens)),
        RenewalVerdict::GrantDead { code } => {
            tracing::warn!(provider, code, "The provider says that a grant has ended");
            let token = (renewal.source() == Source::LiveAccessToken).then(|| held.access.fingerprint());
            Ok(Outcome::Failed(RenewalFailure::Dead { code, token }))
        }
        RenewalVerdict::ClientRefused { code } => Err(Refused { code }),
        RenewalVerdict::Passing(passing) => {
            tracing::warn!(provider, what = passing.what, "No new tokens this time; the grant is kept");
            let throttled = answer.status() == StatusCode::TOO_MANY_REQUESTS;
            let reason = if throttled { "rate_limited" } else { "unavailable" };
            Ok(Outcome::Failed(RenewalFailure::Transient { reason, retry_after: passing.retry_after }))
        }
    }
}
