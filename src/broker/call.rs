//! CallProvider.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, Uri, header};

use super::{
    Broker, LiveToken, ProviderEntry, confirmation::is_about_the_token, live_token::Wanted, masking,
};
use crate::{
    audit::Trail,
    deadline::{Deadline, Stage},
    error::Error,
    identity::Selector,
    policy::{CallProvider, ClearedRequest, Permit},
    provider::{
        Provider, RateLimit, Verdict,
        request::{ApiRequest, BODY_LIMIT, RawRequest},
    },
    renewal::Lifeless,
    secret,
    transport::TransportError,
};

/// A token must live this long to be sent: longer than a request is on its way, as a rule.
const CALL_VALIDITY: Duration = Duration::from_secs(10);

/// Headers of one connection (RFC 9110, section 7.6.1), and cookies: neither is the caller's business.
const DROPPED: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "set-cookie",
    "set-cookie2",
];

/// Failures of a server that often pass.
const PASSING: [StatusCode; 3] =
    [StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT];

/// What to send, and as whom.
#[derive(Clone, Debug)]
pub struct Call {
    /// As which identity.
    pub selector: Selector,
    /// What to send, unchecked.
    pub request: RawRequest,
    /// Whether the caller vouches that sending it twice does no harm.
    pub idempotent: bool,
}

/// What the provider answered, and what that means.
#[derive(Debug)]
pub struct Answer {
    /// The provider's answer: the body untouched, save for the token itself and others that came along.
    pub response: Response<Bytes>,
    /// The identity and the token that were used.
    pub live: LiveToken,
    /// How often the request was sent.
    pub attempts: u32,
    /// Set if the answer is a failure that is recognised.
    pub diagnosis: Option<Diagnosis>,
    /// The provider's rate limit as of this answer.
    pub rate_limit: Option<RateLimit>,
    /// The path and query of the next page.
    pub next_page: Option<String>,
}

/// A provider's failure, in one shape for all providers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// What it is.
    pub reason: Reason,
    /// Scopes to ask the user for.
    pub missing_scopes: Vec<String>,
    /// How long the provider asks to wait.
    pub retry_after: Option<Duration>,
    /// Where the user can grant what is missing.
    pub connect_url: Option<String>,
}

/// The failures that are recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The user never granted a scope.
    ScopeNotGranted,
    /// The provider throttles this user or application.
    RateLimited,
    /// The provider fails in a way that may pass.
    Unavailable,
    /// The provider wants something that an operator must set up.
    NotConfigured,
}

/// One request with its repetitions.
struct Sent {
    uri: Uri,
    response: Response<Bytes>,
    verdict: Verdict,
}

impl Broker {
    /// Sends one request to the provider of an identity of the permit's user.
    ///
    /// # Errors
    /// When there is no answer, or no token that the provider accepts. An answer of any other kind is a result.
    pub async fn call(
        &self,
        permit: &Permit<CallProvider>,
        call: Call,
        deadline: &Deadline,
    ) -> Result<Answer, Error> {
        self.foresee(permit, &call)?;
        let wanted = Wanted::by(permit, &call.selector, CALL_VALIDITY);
        let live = self.live_token(&wanted, deadline).await?;
        let entry = self.entry_for(live.identity(), "CallProvider")?;
        let adapter = &*entry.client.adapter;
        let request = ApiRequest::check(call.request, adapter)?;
        let repeatable = call.idempotent || is_idempotent(&request.method);
        let cleared = permit.clear(live.identity(), request, adapter);
        // The path on record is now the one that is sent, and may hold the token, too.
        permit.trail().uses(&live.token().access);
        let request = cleared?;
        let _place = entry.places.try_acquire().map_err(|_| Error::Overloaded)?;
        let attempts = AtomicU32::new(0);
        let exchange = Exchange { entry, request, repeatable, attempts, trail: permit.trail() };
        self.climb(&exchange, live, &wanted, deadline).await.map(|answer| self.with_connect_link(answer))
    }

    /// Refuses what no provider that may be meant would be sent, before anybody is asked anything: what is malformed
    /// for each of them, or not allowed.
    fn foresee(&self, permit: &Permit<CallProvider>, call: &Call) -> Result<(), Error> {
        let mut refusal = Ok(());
        for (selector, entry) in self.providers.meant_by(&call.selector) {
            let adapter = &*entry.client.adapter;
            let outcome = ApiRequest::check(call.request.clone(), adapter)
                .map_err(Error::from)
                .and_then(|request| Ok(permit.foresee(&selector, &request, adapter)?));
            match outcome {
                Ok(()) => return Ok(()),
                // Well-formed for one of them at least.
                Err(error @ Error::Denied(_)) => refusal = Err(error),
                Err(error) => refusal = refusal.and(Err(error)),
            }
        }
        refusal
    }

    /// A 401 was not processed, so sending again with another token is safe for any method; but only once. Without
    /// another one the provider is asked: if the token is alive, the 401 is an answer like any other.
    async fn climb(
        &self,
        exchange: &Exchange<'_>,
        live: LiveToken,
        wanted: &Wanted<'_>,
        deadline: &Deadline,
    ) -> Result<Answer, Error> {
        let first = self.send(exchange, &live, deadline).await?;
        if let Verdict::ScopeNotGranted { .. } = first.verdict {
            return self.with_wider_token(exchange, first, live, wanted, deadline).await;
        }
        let refused = live.token().access.fingerprint();
        if first.verdict != Verdict::TokenRefused || self.is_confirmed(refused) {
            return Ok(exchange.answer(first, live));
        }
        // The new profile may offer another identity to the same selector: another account, or another provider's token.
        let same = live.identity().selector();
        let another = Wanted { selector: &same, rejected: Some(refused), ..*wanted };
        let another = match self.live_token(&another, deadline).await {
            Ok(another) => another,
            Err(error) => {
                let may_live = is_about_the_token(&error);
                deadline.enter(Stage::Provider);
                let is_alive = may_live && self.is_alive(exchange.entry, &live).await;
                return if is_alive { Ok(exchange.answer(first, live)) } else { Err(error) };
            }
        };

        let second = self.send(exchange, &another, deadline).await?;
        if second.verdict != Verdict::TokenRefused || self.is_alive(exchange.entry, &another).await {
            return Ok(exchange.answer(second, another));
        }
        Err(self.reauthentication(another.identity(), Lifeless::Refused))
    }

    /// The user may have granted the scope since the kept profile was read: with the token of another login the request
    /// is sent once more. What was refused for its scopes was not processed.
    async fn with_wider_token(
        &self,
        exchange: &Exchange<'_>,
        first: Sent,
        live: LiveToken,
        wanted: &Wanted<'_>,
        deadline: &Deadline,
    ) -> Result<Answer, Error> {
        let same = live.identity().selector();
        let wanted = Wanted { selector: &same, ..*wanted };
        let Some(another) = self.token_of_later_login(&live, &wanted, deadline).await else {
            return Ok(exchange.answer(first, live));
        };
        match self.send(exchange, &another, deadline).await {
            Ok(second) if second.verdict != Verdict::TokenRefused => Ok(exchange.answer(second, another)),
            // It may have been carried out, and the first answer would say that it was not.
            Err(error) if exchange.may_be_done_despite(&error) => Err(error),
            Ok(_) | Err(_) => Ok(exchange.answer(first, live)),
        }
    }

    async fn send(
        &self,
        exchange: &Exchange<'_>,
        live: &LiveToken,
        deadline: &Deadline,
    ) -> Result<Sent, Error> {
        let is_refused = |sent: &Result<Sent, Error>| {
            sent.as_ref().is_ok_and(|sent| sent.verdict == Verdict::NotConfigured)
        };
        let send = || self.send_with_retries(exchange, live, deadline);
        secret::proving(exchange.entry.client.adapter.client_secret(), is_refused, send).await
    }

    async fn send_with_retries(
        &self,
        exchange: &Exchange<'_>,
        live: &LiveToken,
        deadline: &Deadline,
    ) -> Result<Sent, Error> {
        deadline.enter(Stage::Provider);
        let mut attempts = exchange.entry.budget.begin(deadline.at());
        loop {
            let outcome = self.send_once(exchange, live, deadline).await;
            let wait = match &outcome {
                Ok(sent) => sent.wait_before_repeating(),
                Err(error) => error.is_broken_connection().then_some(None),
            };
            match wait {
                Some(wait) if exchange.repeatable && attempts.again(wait).await => {}
                _ => return outcome.map_err(|error| exchange.error(&error, live)),
            }
        }
    }

    async fn send_once(
        &self,
        exchange: &Exchange<'_>,
        live: &LiveToken,
        deadline: &Deadline,
    ) -> Result<Sent, TransportError> {
        let adapter = &exchange.entry.client.adapter;
        exchange.attempts.fetch_add(1, Ordering::Relaxed);
        exchange.trail.sends(&live.token().access);
        let request = adapter.encode(exchange.request.request(), &live.token().access);
        let uri = request.uri().clone();
        let outcome = exchange.entry.client.transport.send(request, BODY_LIMIT, deadline.at()).await;
        let outcome = outcome.map(|response| {
            exchange.trail.answered(response.status().as_u16());
            let verdict = adapter.judge(&response, SystemTime::now());
            Sent { uri, response, verdict }
        });
        let word = outcome.as_ref().map_or("no_answer", |sent| sent.verdict.outcome());
        self.metrics.provider_request(&live.identity().provider, word);
        outcome
    }
}

/// What is sent, and to whom.
struct Exchange<'a> {
    entry: &'a ProviderEntry,
    request: ClearedRequest,
    /// Whether it may be sent again where it may have been processed.
    repeatable: bool,
    /// How often it was sent.
    attempts: AtomicU32,
    trail: &'a Trail,
}

impl Exchange<'_> {
    fn answer(&self, sent: Sent, live: LiveToken) -> Answer {
        let adapter = &self.entry.client.adapter;
        let rate_limit = adapter.rate_limit(sent.response.headers(), SystemTime::now());
        let next_page = adapter.next_page(&sent.uri, &sent.response);
        Answer {
            response: presentable(sent.response, &live, &**adapter),
            attempts: self.attempts.load(Ordering::Relaxed),
            diagnosis: Diagnosis::of(sent.verdict),
            rate_limit,
            next_page,
            live,
        }
    }

    fn error(&self, error: &TransportError, live: &LiveToken) -> Error {
        let provider = live.identity().provider.clone();
        match *error {
            TransportError::Timeout { .. } => Error::DeadlineExceeded(Stage::Provider),
            TransportError::TooLarge { status, limit, .. } => {
                Error::ResponseTooLarge { provider, status, limit }
            }
            TransportError::Malformed { .. } => {
                Error::ProviderProtocol { provider, cause: error.to_string() }
            }
            TransportError::Broken { .. } if !self.repeatable => {
                Error::ProviderOutcomeUnknown { provider, cause: error.to_string() }
            }
            TransportError::Connect { .. } | TransportError::Broken { .. } => {
                Error::ProviderUnavailable { provider, cause: error.to_string(), retry_after: None }
            }
        }
    }

    /// Whether a request that failed with `error`, and that must not be sent twice, may have been carried out.
    fn may_be_done_despite(&self, error: &Error) -> bool {
        !self.repeatable && !matches!(error, Error::ProviderUnavailable { .. })
    }
}

/// The answer without what is not for the caller.
fn presentable(response: Response<Bytes>, live: &LiveToken, adapter: &dyn Provider) -> Response<Bytes> {
    let token = &live.token().access;
    let (mut head, body) = response.into_parts();
    drop_hop_by_hop(&mut head.headers);
    masking::mask_headers(&mut head.headers, token);
    let body = masking::mask_body(body, token);
    let others = adapter.tokens_of_others(&body);
    Response::from_parts(head, masking::mask_places(body, &others))
}

fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(',').map(|name| name.trim().to_owned()))
        .collect();
    for name in DROPPED.into_iter().chain(named.iter().map(String::as_str)) {
        headers.remove(name);
    }
}

/// The methods that RFC 9110 (section 9.2.2) calls idempotent, less those that are never sent.
fn is_idempotent(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE].contains(method)
}

impl Sent {
    /// How long to wait before sending again; `None` if the answer stands.
    fn wait_before_repeating(&self) -> Option<Option<Duration>> {
        let status = self.response.status();
        match &self.verdict {
            // A limit told in another way, and without a wait, is a matter of minutes or hours.
            Verdict::RateLimited { retry_after: None } if status != StatusCode::TOO_MANY_REQUESTS => None,
            Verdict::RateLimited { retry_after } => Some(*retry_after),
            // A 500 would be the same again. What passes without being a server error is Graph's word, in a 400.
            Verdict::Unavailable { .. } if status.is_server_error() && !PASSING.contains(&status) => None,
            Verdict::Unavailable { retry_after } => Some(*retry_after),
            Verdict::Accepted
            | Verdict::TokenRefused
            | Verdict::ScopeNotGranted { .. }
            | Verdict::NotConfigured => None,
        }
    }
}

impl Diagnosis {
    fn of(verdict: Verdict) -> Option<Self> {
        let (reason, missing_scopes, retry_after) = match verdict {
            // A refusal that gets here is not about the token, which the provider says is alive.
            Verdict::Accepted | Verdict::TokenRefused => return None,
            Verdict::ScopeNotGranted { missing } => (Reason::ScopeNotGranted, missing, None),
            Verdict::RateLimited { retry_after } => (Reason::RateLimited, Vec::new(), retry_after),
            Verdict::Unavailable { retry_after } => (Reason::Unavailable, Vec::new(), retry_after),
            Verdict::NotConfigured => (Reason::NotConfigured, Vec::new(), None),
        };
        Some(Self { reason, missing_scopes, retry_after, connect_url: None })
    }
}
