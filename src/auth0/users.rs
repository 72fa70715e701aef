//! `GET /api/v2/users/{id}`: one user's identities, with their tokens.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use tokio::time::Instant;

use super::{
    error::Auth0Error,
    limiter::{Asks, Limiter},
    management_token::{Grant, ManagementToken},
    wire::{ErrorBody, UserAnswer},
};
use crate::{
    cache::Loaded,
    config,
    identity::{Profile, UserId},
    retry::attempts::RetryBudget,
    telemetry::{Metrics, metrics::Endpoint},
    transport::Transport,
};

/// Maximum size of an answer in bytes; a profile of ten identities with tokens has about 20 KiB.
const ANSWER_LIMIT: usize = 256 * 1024;

/// Limit of one read with its queueing and retries. All callers that want the same user share it, so it does
/// not depend on their deadlines; it is shorter than the default one.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// Limit of one attempt, which normally takes well below a second.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(6);

/// Reads users.
pub(super) struct Users {
    base_url: String,
    /// Connections whose tokens are in Token Vault.
    vault: BTreeSet<String>,
    management_token: Arc<ManagementToken>,
    transport: Transport,
    limiter: Limiter,
    budget: RetryBudget,
    metrics: Arc<Metrics>,
}

/// Why a read failed: its Management token was refused, which another may change, or another error.
enum ReadError {
    TokenRefused,
    Other(Auth0Error),
}

impl Users {
    pub(super) fn new(
        settings: &config::Auth0,
        management_token: Arc<ManagementToken>,
        transport: Transport,
        limiter: Limiter,
        metrics: Arc<Metrics>,
    ) -> Self {
        let base_url = settings.base_url.to_string();
        let vault = settings.token_vault.as_ref().map(|vault| vault.connections.clone()).unwrap_or_default();
        Self {
            base_url,
            vault,
            management_token,
            transport,
            limiter,
            budget: RetryBudget::default(),
            metrics,
        }
    }

    /// Somebody else asks for a user whose read may be waiting for its turn.
    pub(super) fn join(&self, user: &UserId, asks: Asks) {
        self.limiter.join(user, asks);
    }

    /// Reads `user`; `None` if Auth0 does not know them.
    ///
    /// # Errors
    /// When Auth0 gives no usable answer.
    pub(super) async fn read(&self, user: &UserId, asks: Asks) -> Result<Option<Profile>, Auth0Error> {
        let deadline = Instant::now() + READ_TIMEOUT;
        let read = self.with_retries(user, asks, deadline);
        // The timeout also covers the wait for the turn.
        match tokio::time::timeout_at(deadline, read).await {
            Err(_) => Err(self.limiter.wait(asks.holder).map_or_else(
                || Auth0Error::unavailable("no profile within 20 s"),
                |retry_after| Auth0Error::RateLimited { retry_after },
            )),
            Ok(Err(Auth0Error::UserNotFound)) => Ok(None),
            Ok(outcome) => outcome.map(Some),
        }
    }

    async fn with_retries(
        &self,
        user: &UserId,
        asks: Asks,
        deadline: Instant,
    ) -> Result<Profile, Auth0Error> {
        let mut attempts = self.budget.begin(deadline);
        loop {
            let outcome = self.with_live_token(user, asks, deadline).await;
            match outcome {
                Err(error) => match error.is_transient() {
                    Some(wait) if attempts.again(Self::own_wait(&error, wait)).await => {}
                    _ => return Err(error),
                },
                profile => return profile,
            }
        }
    }

    /// Returns the wait before a retry: zero for a reached limit, since the limiter delays the next attempt
    /// itself.
    fn own_wait(error: &Auth0Error, wait: Option<Duration>) -> Option<Duration> {
        if matches!(error, Auth0Error::RateLimited { .. }) { Some(Duration::ZERO) } else { wait }
    }

    /// Reads the user, and once more with another Management token after a 401.
    async fn with_live_token(
        &self,
        user: &UserId,
        asks: Asks,
        deadline: Instant,
    ) -> Result<Profile, Auth0Error> {
        let grant = self.management_token.get(None).await?;
        match self.once(user, asks, &grant, deadline).await {
            Err(ReadError::TokenRefused) => {}
            Err(ReadError::Other(error)) => return Err(error),
            Ok(profile) => return Ok(profile),
        }
        let grant = self.management_token.get(Some(&grant)).await?;
        self.once(user, asks, &grant, deadline).await.map_err(|refusal| match refusal {
            ReadError::TokenRefused => {
                Auth0Error::misconfigured("it does not accept a new Management token either")
            }
            ReadError::Other(error) => error,
        })
    }

    async fn once(
        &self,
        user: &UserId,
        asks: Asks,
        grant: &Loaded<Arc<Grant>>,
        deadline: Instant,
    ) -> Result<Profile, ReadError> {
        self.limiter.turn(user, asks, deadline).await.map_err(ReadError::Other)?;
        let deadline = deadline.min(Instant::now() + ATTEMPT_TIMEOUT);
        let request = self.request(user, &grant.value).map_err(ReadError::Other)?;
        let outcome = match self.transport.send(request, ANSWER_LIMIT, deadline).await {
            Ok(answer) => {
                self.limiter.observe(&answer);
                let outcome = judge(&answer, user, &self.vault);
                if let Err(ReadError::Other(Auth0Error::RateLimited { retry_after })) = &outcome {
                    self.limiter.close(*retry_after);
                }
                outcome
            }
            Err(error) => Err(ReadError::Other(error.into())),
        };
        let word = match &outcome {
            Ok(_) => "ok",
            Err(ReadError::TokenRefused) => "token_refused",
            Err(ReadError::Other(error)) => error.outcome(),
        };
        self.metrics.auth0_request(Endpoint::Users, word);
        outcome
    }

    fn request(&self, user: &UserId, grant: &Grant) -> Result<Request<Bytes>, Auth0Error> {
        let uri = format!(
            "{}api/v2/users/{}?fields=user_id,identities,last_login&include_fields=true",
            self.base_url,
            user.path_segment()
        );
        Request::builder()
            .uri(uri)
            .header(header::AUTHORIZATION, &grant.authorization)
            .header(header::ACCEPT, "application/json")
            .body(Bytes::new())
            .map_err(|_| Auth0Error::misconfigured("`auth0.base_url` makes no valid URL"))
    }
}

/// Exposes [`judge`]; see [`crate::fuzzing`].
#[cfg(fuzzing)]
pub(crate) fn profile_in(
    answer: &Response<Bytes>,
    user: &UserId,
    vault: &BTreeSet<String>,
) -> Result<Profile, Option<Auth0Error>> {
    judge(answer, user, vault).map_err(|refusal| match refusal {
        ReadError::TokenRefused => None,
        ReadError::Other(error) => Some(error),
    })
}

/// Interprets the answer by the table of <https://auth0.com/docs/api/management/v2/users/get-users-by-id>.
fn judge(answer: &Response<Bytes>, user: &UserId, vault: &BTreeSet<String>) -> Result<Profile, ReadError> {
    if answer.status() == StatusCode::OK {
        let profile: Result<UserAnswer, _> = serde_json::from_slice(answer.body());
        let nonsense = |detail: &str| ReadError::Other(Auth0Error::unavailable(detail));
        let profile = profile.map_err(|_| nonsense("it answered 200 without a readable profile"))?;
        // Whatever stands between us and Auth0, nobody gets another user's tokens.
        let profile = profile.into_profile(user.clone(), vault);
        return profile.ok_or_else(|| nonsense("it answered with the profile of another user"));
    }
    let body = ErrorBody::parse(answer.body());
    if let Some(error) = Auth0Error::of_common(answer, &body) {
        return Err(ReadError::Other(error));
    }
    Err(match answer.status() {
        StatusCode::UNAUTHORIZED => ReadError::TokenRefused,
        StatusCode::NOT_FOUND if body.is_management_api() => ReadError::Other(Auth0Error::UserNotFound),
        // An id that Auth0 finds malformed belongs to nobody. Any other 400 is about the token or the query,
        // not the user.
        StatusCode::BAD_REQUEST if body.code() == "invalid_uri" => ReadError::Other(Auth0Error::UserNotFound),
        StatusCode::BAD_REQUEST if body.is_management_api() => {
            let code = body.code();
            ReadError::Other(Auth0Error::misconfigured(format!(
                "400 {code} from the Management API; check `auth0.audience`"
            )))
        }
        StatusCode::FORBIDDEN if body.is_management_api() => ReadError::Other(Auth0Error::misconfigured(
            "403 from the Management API: the client grant lacks read:users or read:user_idp_tokens",
        )),
        status => ReadError::Other(Auth0Error::unavailable(format!(
            "it answered {status} without the Management API's error body; check `auth0.base_url`"
        ))),
    })
}
