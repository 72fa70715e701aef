//! CallProvider.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Method, Response, StatusCode, Uri};

use super::{Broker, Error};
use crate::{
    context::{Authorized, Ctx},
    deadline::Stage,
    identity::{Identity, Selector},
    policy::{CallProvider, ClearedRequest, Denied, Permit},
    provider::{
        Verdict,
        request::{ApiRequest, BODY_LIMIT, RawRequest},
    },
    provider_client::ProviderClient,
    rpc::Rpc,
    secret,
    tokens::{LiveToken, Owner, Replacement, TokenRequest, Unusable},
    transport::TransportError,
};

mod answer;

use answer::presentable;
pub use answer::{Answer, Diagnosis, Reason};

const OPERATION: &str = Rpc::CallProvider.name();

/// A token must live this long to be sent: longer than a request is on its way, as a rule.
const CALL_VALIDITY: Duration = Duration::from_secs(10);

/// What a call holds beside bodies, in bytes: headers both ways, and the buffers of its connection.
const ROOM: usize = 512 * 1024;

/// Failures of a server that often pass.
const PASSING: [StatusCode; 3] =
    [StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT];

/// What to send.
#[derive(Clone, Debug)]
pub struct Call {
    /// What to send, unchecked.
    pub request: RawRequest,
    /// Whether the caller vouches that sending it twice does no harm.
    pub idempotent: bool,
}

/// One request with its repetitions.
struct Sent {
    uri: Uri,
    response: Response<Bytes>,
    verdict: Verdict,
}

/// The request as one provider that may be meant would be sent it.
struct Candidate<'a> {
    client: &'a Arc<ProviderClient>,
    request: ApiRequest,
}

impl Broker {
    /// Sends one request to the provider of an identity of the permit's user, which `selector` means.
    ///
    /// # Errors
    /// When there is no answer, or no token that the provider accepts. An answer of any other kind is a
    /// result.
    pub async fn call(
        &self,
        authorized: &Authorized<'_, Permit<CallProvider>>,
        selector: &Selector,
        call: Call,
    ) -> Result<Answer, Error> {
        let (ctx, permit) = (authorized.ctx(), authorized.permit());
        let candidates = self.candidates(permit, selector, &call.request)?;
        let request = TokenRequest::of(authorized, selector, CALL_VALIDITY);
        let live = self.tokens.get(&request).await.map_err(|error| self.error(error, OPERATION))?;
        let (client, sent) = self.chosen(candidates, live.identity(), call.request)?;
        let repeatable = call.idempotent || is_idempotent(&sent.method);
        let cleared = self.clear(ctx, permit, &live, sent, client)?;
        let _place = client.places.take(ctx.holder(), 1)?;
        // What is begun is finished, so nothing is begun without room.
        let _room = ctx.memory().begin(ROOM)?;
        let exchange = Exchange { client, request: cleared, repeatable, attempts: AtomicU32::new(0), ctx };
        let answer = self.send_with_reauth(&exchange, live, &request).await?;
        Ok(self.with_connect_link(answer))
    }

    /// The request as each provider that may be meant would be sent it. Refuses what none would be sent,
    /// before anybody is asked anything: what is malformed for each of them, or not allowed.
    fn candidates(
        &self,
        permit: &Permit<CallProvider>,
        selector: &Selector,
        raw: &RawRequest,
    ) -> Result<Vec<Candidate<'_>>, Error> {
        let (mut candidates, mut refusal) = (Vec::new(), Ok(()));
        for (selector, client) in self.providers.meant_by(selector) {
            let adapter = &*client.adapter;
            let outcome = ApiRequest::check(raw.clone(), adapter)
                .map_err(Error::from)
                .and_then(|request| Ok(permit.foresee(&selector, &request, adapter).map(|()| request)?));
            match outcome {
                Ok(request) => candidates.push(Candidate { client, request }),
                // Well-formed for one of them at least.
                Err(error @ Error::Denied(_)) => refusal = Err(error),
                Err(error) => refusal = refusal.and(Err(error)),
            }
        }
        if candidates.is_empty() { refusal.map(|()| candidates) } else { Ok(candidates) }
    }

    /// The provider of `identity`, and the request for it. One that was refused beforehand is refused in its
    /// own words.
    fn chosen<'a>(
        &'a self,
        candidates: Vec<Candidate<'a>>,
        identity: &Identity,
        raw: RawRequest,
    ) -> Result<(&'a Arc<ProviderClient>, ApiRequest), Error> {
        let unsupported = || Error::OperationUnsupported {
            provider: Some(identity.provider.clone()),
            operation: OPERATION,
        };
        let client = self.providers.of(identity).ok_or_else(unsupported)?;
        let candidate = candidates.into_iter().find(|candidate| Arc::ptr_eq(candidate.client, client));
        let request = match candidate {
            Some(candidate) => candidate.request,
            None => ApiRequest::check(raw, &*client.adapter)?,
        };
        Ok((client, request))
    }

    /// Asks the policy about the request with the token of `live`, and puts on record what is sent.
    fn clear(
        &self,
        ctx: &Ctx,
        permit: &Permit<CallProvider>,
        live: &LiveToken,
        request: ApiRequest,
        client: &ProviderClient,
    ) -> Result<ClearedRequest, Denied> {
        let adapter = &*client.adapter;
        let path = adapter.sent_path(request.path_and_query.path());
        ctx.audit().request(Some(request.method.as_str()), &request.host, &path);
        // The path may hold the token.
        ctx.audit().uses(&live.token().access);
        permit.clear(live.identity(), request, adapter)
    }

    /// A 401 was not processed, so sending again with another token is safe for any method; but only once. If
    /// the provider says that the token is active, the 401 is an answer like any other.
    async fn send_with_reauth(
        &self,
        exchange: &Exchange<'_>,
        live: LiveToken,
        request: &TokenRequest<'_>,
    ) -> Result<Answer, Error> {
        let first = self.send(exchange, &live).await?;
        if let Verdict::ScopeNotGranted { .. } = first.verdict {
            return Box::pin(self.with_wider_token(exchange, first, live, request)).await;
        }
        if first.verdict != Verdict::TokenRefused {
            return Ok(exchange.answer(first, live));
        }
        let another = match Box::pin(self.tokens.replace(&live, request)).await {
            Ok(Replacement::Another(another)) => another,
            Ok(Replacement::StillActive) => return Ok(exchange.answer(first, live)),
            Err(error) => return Err(self.error(error, OPERATION)),
        };
        let second = self.send(exchange, &another).await?;
        if second.verdict != Verdict::TokenRefused || self.tokens.says_active(&another).await {
            return Ok(exchange.answer(second, another));
        }
        let identity = another.identity();
        let (owner, connect_url) = (Owner::of(identity), self.link_for(identity, &[]));
        Err(Error::ReauthenticationRequired { owner, why: Unusable::Refused, connect_url })
    }

    /// The user may have granted the scope since the kept profile was read: with the token of another login
    /// the request is sent once more. What was refused for its scopes was not processed.
    async fn with_wider_token(
        &self,
        exchange: &Exchange<'_>,
        first: Sent,
        live: LiveToken,
        request: &TokenRequest<'_>,
    ) -> Result<Answer, Error> {
        let same = live.identity().selector();
        let request = TokenRequest { selector: &same, ..*request };
        let Some(another) = self.tokens.of_later_login(&live, &request).await else {
            return Ok(exchange.answer(first, live));
        };
        match self.send(exchange, &another).await {
            Ok(second) if second.verdict != Verdict::TokenRefused => Ok(exchange.answer(second, another)),
            // It may have been carried out, and the first answer would say that it was not.
            Err(error) if exchange.may_be_done_despite(&error) => Err(error),
            Ok(_) | Err(_) => Ok(exchange.answer(first, live)),
        }
    }

    async fn send(&self, exchange: &Exchange<'_>, live: &LiveToken) -> Result<Sent, Error> {
        let is_refused = |sent: &Result<Sent, Error>| {
            sent.as_ref().is_ok_and(|sent| sent.verdict == Verdict::NotConfigured)
        };
        let send = || self.send_with_retries(exchange, live);
        secret::retry_if_rotated(exchange.client.adapter.client_secret(), is_refused, send).await
    }

    async fn send_with_retries(&self, exchange: &Exchange<'_>, live: &LiveToken) -> Result<Sent, Error> {
        let deadline = exchange.ctx.deadline();
        deadline.enter(Stage::Provider);
        let mut attempts = exchange.client.budget.begin(deadline.at());
        loop {
            let outcome = self.send_once(exchange, live).await;
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

    async fn send_once(&self, exchange: &Exchange<'_>, live: &LiveToken) -> Result<Sent, TransportError> {
        let Exchange { client, ctx, .. } = exchange;
        exchange.attempts.fetch_add(1, Ordering::Relaxed);
        ctx.audit().sends(&live.token().access);
        let request = client.adapter.encode(exchange.request.request(), &live.token().access);
        let uri = request.uri().clone();
        let outcome = client.transport.send_for(ctx.memory(), request, BODY_LIMIT, ctx.deadline().at()).await;
        let outcome = outcome.map(|response| {
            ctx.audit().answered(response.status().as_u16());
            let verdict = client.adapter.judge(&response, SystemTime::now());
            if verdict == Verdict::Accepted {
                client.application.accepted(&live.token().access);
            }
            Sent { uri, response, verdict }
        });
        let word = outcome.as_ref().map_or("no_answer", |sent| sent.verdict.outcome());
        self.metrics.provider_request(&live.identity().provider, word);
        outcome
    }
}

/// What is sent, and to whom.
struct Exchange<'a> {
    client: &'a ProviderClient,
    request: ClearedRequest,
    /// Whether it may be sent again where it may have been processed.
    repeatable: bool,
    /// How often it was sent.
    attempts: AtomicU32,
    ctx: &'a Ctx,
}

impl Exchange<'_> {
    fn answer(&self, sent: Sent, live: LiveToken) -> Answer {
        let adapter = &self.client.adapter;
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

    /// Whether a request that failed with `error`, and that must not be sent twice, may have been carried
    /// out.
    fn may_be_done_despite(&self, error: &Error) -> bool {
        !self.repeatable && !matches!(error, Error::ProviderUnavailable { .. })
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
            // A 500 would be the same again. What passes without being a server error is Graph's word, in a
            // 400.
            Verdict::Unavailable { .. } if status.is_server_error() && !PASSING.contains(&status) => None,
            Verdict::Unavailable { retry_after } => Some(*retry_after),
            Verdict::Accepted
            | Verdict::TokenRefused
            | Verdict::ScopeNotGranted { .. }
            | Verdict::NotConfigured => None,
        }
    }
}
