//! The token with which the Management API is called: fetched once however many callers, renewed ahead of its end.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::time::Instant;

use super::{
    client::Client,
    error::{Auth0Error, LONGEST_WINDOW},
    wire::{ErrorBody, TokenAnswer},
};
use crate::{
    cache::{Cache, Loaded, Rest, Use},
    config,
    retry::attempts::RetryBudget,
    telemetry::{Metrics, metrics::Endpoint},
    transport::Transport,
};

/// What the client grant for the Management API must contain. Without the second, Auth0 answers 200 and silently
/// leaves the tokens out.
pub const NEEDED_SCOPES: [&str; 2] = ["read:users", "read:user_idp_tokens"];

/// A failed fetch is not repeated at once by the next caller.
const REST: Rest<Auth0Error> = Rest {
    first: Duration::from_secs(1),
    most: Duration::from_secs(30),
    least: |error| error.is_transient().flatten().unwrap_or_default().min(LONGEST_WINDOW),
};

/// One fetch with its retries. Shared by all callers, so it has a limit of its own.
const FETCH_TIMEOUT: Duration = Duration::from_secs(15);

/// One attempt; a fetch normally takes well below a second.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(6);

/// Bytes; a Management token with every scope there is has about 8 KiB.
const ANSWER_LIMIT: usize = 64 * 1024;

/// The new token is fetched when this share of the old one's life has passed, give or take: early enough to survive
/// an outage of an hour or two, jittered so that replicas do not come together.
const RENEW_AT: std::ops::Range<f64> = 0.80..0.90;

/// A token is not used in its last moments, in which a request might still be on its way.
const MARGIN: Duration = Duration::from_secs(10);

/// A token that Auth0 refuses this soon after issuing it will not be cured by fetching another one.
const YOUNG: Duration = Duration::from_secs(10);

/// Seconds: the longest that Auth0 can be told to issue tokens for, 30 days. A larger number is nonsense.
const LONGEST_LIFETIME: u64 = 2_592_000;

/// Assumed where Auth0 does not say: the Management API's default is a day, but guessing low is harmless.
const DEFAULT_LIFETIME: u64 = 3600;

/// A Management token at hand.
pub(super) struct Grant {
    /// `Bearer ...`, marked as sensitive.
    pub(super) authorization: HeaderValue,
    scopes: String,
    renew_at: Instant,
    expires: Instant,
}

/// Fetches and keeps the Management token.
pub(super) struct ManagementToken {
    kept: Cache<(), Arc<Grant>, Auth0Error>,
    fetch: Arc<Fetch>,
}

impl ManagementToken {
    pub(super) fn new(settings: &config::Auth0, transport: Transport, metrics: Arc<Metrics>) -> Self {
        let fetch = Fetch {
            client: Client::new(settings),
            audience: settings.audience.clone(),
            transport,
            budget: RetryBudget::default(),
            metrics,
        };
        // One entry, which must not be forgotten for being idle: it is needed when the next caller comes.
        let kept = Cache::new(1, Duration::from_secs(30 * 24 * 3600), REST);
        Self { kept, fetch: Arc::new(fetch) }
    }

    /// The token at hand, or a new one; `refused` is one that the Management API did not take.
    ///
    /// # Errors
    /// When there is none to be had.
    pub(super) async fn get(
        &self,
        refused: Option<&Loaded<Arc<Grant>>>,
    ) -> Result<Loaded<Arc<Grant>>, Auth0Error> {
        if refused.is_some_and(|grant| grant.began.elapsed() < YOUNG) {
            return Err(Auth0Error::misconfigured(
                "it does not accept a Management token that it has just issued; check `auth0.audience`, and that \
                 `auth0.base_url` is the domain that issued the token",
            ));
        }
        let judge = |kept: &Loaded<Arc<Grant>>| {
            let now = Instant::now();
            match refused {
                Some(refused) if kept.began <= refused.began => {
                    Use::ReloadSince(refused.began + Duration::from_nanos(1))
                }
                _ if now + MARGIN >= kept.value.expires => Use::Reload,
                _ if now >= kept.value.renew_at => Use::TakeAndReload,
                _ => Use::Take,
            }
        };
        let fetch = Arc::clone(&self.fetch);
        self.kept.get(&(), judge, |_, _| async move { fetch.run().await.map(Arc::new) }).await
    }
}

/// Which scopes the Management token of `auth0` was granted.
///
/// # Errors
/// When there is no token.
pub async fn granted_scopes(auth0: &super::Auth0) -> Result<Vec<String>, Auth0Error> {
    let grant = auth0.management_token.get(None).await?;
    Ok(grant.value.scopes.split_whitespace().map(str::to_owned).collect())
}

/// All that a token request needs.
struct Fetch {
    client: Client,
    audience: String,
    transport: Transport,
    budget: RetryBudget,
    metrics: Arc<Metrics>,
}

impl Fetch {
    async fn run(&self) -> Result<Grant, Auth0Error> {
        match self.with_retries().await {
            // The secret may have been rotated: what the file says now has not been tried yet.
            Err(Auth0Error::Misconfigured { .. }) if self.client.secret().reload().await => {
                self.with_retries().await
            }
            outcome => outcome,
        }
    }

    async fn with_retries(&self) -> Result<Grant, Auth0Error> {
        let deadline = Instant::now() + FETCH_TIMEOUT;
        let mut attempts = self.budget.begin(deadline);
        loop {
            let outcome = self.once(deadline.min(Instant::now() + ATTEMPT_TIMEOUT)).await;
            let word = outcome.as_ref().map_or_else(Auth0Error::outcome, |_| "ok");
            self.metrics.auth0_request(Endpoint::Token, word);
            match outcome {
                Err(error) => match error.is_transient() {
                    Some(wait) if attempts.again(wait).await => {}
                    _ => return Err(error),
                },
                grant => return grant,
            }
        }
    }

    async fn once(&self, deadline: Instant) -> Result<Grant, Auth0Error> {
        let request = self.request()?;
        let began = Instant::now();
        let answer = self.transport.send(request, ANSWER_LIMIT, deadline).await?;
        let grant = judge(&answer, began)?;
        let left = grant.expires.saturating_duration_since(Instant::now());
        let expiry = SystemTime::now() + left;
        let unix = expiry.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        self.metrics.management_token(unix.try_into().unwrap_or(i64::MAX));
        tracing::info!(expires_in_s = left.as_secs(), scope = %grant.scopes, "Fetched a Management token");
        Ok(grant)
    }

    fn request(&self) -> Result<Request<Bytes>, Auth0Error> {
        self.client.request(json!({ "grant_type": "client_credentials", "audience": self.audience }))
    }
}

/// What the token endpoint's answer means.
fn judge(answer: &Response<Bytes>, began: Instant) -> Result<Grant, Auth0Error> {
    if answer.status() == StatusCode::OK {
        return accept(answer.body(), began);
    }
    let body = ErrorBody::parse(answer.body());
    if let Some(error) = Auth0Error::of_common(answer, &body) {
        return Err(error);
    }
    let status = answer.status().as_u16();
    let detail = match (status, body.code()) {
        (401, _) => {
            "401 for the client credentials: check `auth0.client_id` and the client secret or private key, \
             and that the application's authentication method matches"
                .to_owned()
        }
        (403, "unauthorized_client") => "403: the grant type `client_credentials` is switched off for the \
             application (Applications > Advanced Settings > Grant Types)"
            .to_owned(),
        (403, _) => {
            "403: the application has no client grant for `auth0.audience`; authorize it for the Auth0 \
             Management API, with read:users and read:user_idp_tokens; with a custom domain, set `auth0.audience` to \
             that of the tenant's own domain"
                .to_owned()
        }
        (400..=499, "") => format!(
            "{status} at the token endpoint, without the error that Auth0 sends; check `auth0.domain` and \
             `auth0.base_url`"
        ),
        (400..=499, code) => {
            format!("{status} {code} at the token endpoint; check `auth0.domain` and `auth0.audience`")
        }
        _ => return Err(Auth0Error::unavailable(format!("it answered {status} at the token endpoint"))),
    };
    Err(Auth0Error::misconfigured(detail))
}

fn accept(body: &[u8], began: Instant) -> Result<Grant, Auth0Error> {
    let nonsense =
        || Auth0Error::unavailable("its token endpoint answered 200 without a usable access token");
    let answer: TokenAnswer = serde_json::from_slice(body).map_err(|_| nonsense())?;
    let missing: Vec<_> = NEEDED_SCOPES
        .into_iter()
        .filter(|scope| !answer.scope.split_whitespace().any(|s| s == *scope))
        .collect();
    if !missing.is_empty() {
        return Err(Auth0Error::Misconfigured {
            detail: format!(
                "the client grant for the Management API lacks {}; add it under Applications > APIs > Auth0 Management \
                 API",
                missing.join(" and ")
            ),
            missing_scopes: missing,
        });
    }
    let lifetime = Duration::from_secs(answer.expires_in.unwrap_or(DEFAULT_LIFETIME).min(LONGEST_LIFETIME));
    let share = RENEW_AT.start + (RENEW_AT.end - RENEW_AT.start) * fastrand::f64();
    Ok(Grant {
        authorization: bearer(&answer.access_token).ok_or_else(nonsense)?,
        scopes: answer.scope,
        renew_at: began + lifetime.mul_f64(share),
        expires: began + lifetime,
    })
}

fn bearer(token: &SecretString) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret())).ok()?;
    value.set_sensitive(true);
    Some(value)
}
