//! Requests a Management token, with retries and a second try if the client secret was just rotated.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::json;
use tokio::time::Instant;

use super::{NEEDED_SCOPES, token::Token};
use crate::{
    auth0::{
        client::Client,
        error::Auth0Error,
        wire::{ErrorBody, TokenAnswer},
    },
    config,
    retry::attempts::RetryBudget,
    telemetry::{Metrics, metrics::Endpoint},
    transport::Transport,
};

/// Limit of one fetch with its retries. All callers share it, so it does not depend on their deadlines.
const FETCH_TIMEOUT: Duration = Duration::from_secs(15);

/// Limit of one attempt, which normally takes well below a second.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(6);

/// Longest [`Fetch::run`]: one fetch with the current secret, and one with the secret read again from its
/// file.
pub(super) const LONGEST_RUN: Duration = Duration::from_secs(2 * FETCH_TIMEOUT.as_secs());

/// Maximum size of an answer in bytes; a Management token with every scope has about 8 KiB.
const ANSWER_LIMIT: usize = 64 * 1024;

/// Longest lifetime in seconds that Auth0 can be configured to issue tokens for: 30 days. A larger number is
/// nonsense.
const LONGEST_LIFETIME: u64 = 2_592_000;

/// Lifetime in seconds assumed if Auth0 gives none: the Management API's default is a day, but guessing low
/// is harmless.
const DEFAULT_LIFETIME: u64 = 3600;

/// A newly issued token.
pub(super) struct Issued {
    /// The token.
    pub(super) token: Token,
    /// When it was requested.
    pub(super) began: Instant,
}

/// Everything that a token request needs.
pub(super) struct Fetch {
    client: Client,
    audience: String,
    transport: Transport,
    budget: RetryBudget,
    metrics: Arc<Metrics>,
}

impl Fetch {
    pub(super) fn new(settings: &config::Auth0, transport: Transport, metrics: Arc<Metrics>) -> Self {
        Self {
            client: Client::new(settings),
            audience: settings.audience.clone(),
            transport,
            budget: RetryBudget::default(),
            metrics,
        }
    }

    /// Fetches a new token, within [`LONGEST_RUN`].
    pub(super) async fn run(&self) -> Result<Issued, Auth0Error> {
        match self.with_retries().await {
            // The secret may have been rotated: what its file holds now has not been tried yet.
            Err(Auth0Error::Misconfigured { .. }) if self.client.secret().reload().await => {
                self.with_retries().await
            }
            outcome => outcome,
        }
    }

    async fn with_retries(&self) -> Result<Issued, Auth0Error> {
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
                issued => return issued,
            }
        }
    }

    async fn once(&self, deadline: Instant) -> Result<Issued, Auth0Error> {
        let request = self.request()?;
        let began = Instant::now();
        let answer = self.transport.send(request, ANSWER_LIMIT, deadline).await?;
        let token = judge(&answer)?;
        tracing::info!(expires_in_s = token.lifetime.as_secs(), scope = %token.scope, "Fetched a Management token");
        Ok(Issued { token, began })
    }

    fn request(&self) -> Result<Request<Bytes>, Auth0Error> {
        self.client.request(json!({ "grant_type": "client_credentials", "audience": self.audience }))
    }
}

/// Interprets the token endpoint's answer.
fn judge(answer: &Response<Bytes>) -> Result<Token, Auth0Error> {
    if answer.status() == StatusCode::OK {
        return accept(answer.body());
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

fn accept(body: &[u8]) -> Result<Token, Auth0Error> {
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
    Token::new(&answer.access_token, answer.scope, lifetime).ok_or_else(nonsense)
}
