//! The way in. From the outside in: request id and metrics (outside everything, so that refusals are counted), the
//! limit on calls at once, the deadline with the end of panics, the caller, and then the RPC.
//!
//! One service instead of a stack of layers: the answer out of the cache is a few thousand instructions, and each
//! boxed layer would add some hundred.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Code, Status, body::Body, service::Routes};
use tower::Service;

use super::{
    caller::{self, Identified},
    deadline,
    idp_token::IdpToken,
    observe::{METHODS, Observation, trace_id},
    pb::idp_token_service_server::IdpTokenServiceServer,
};
use crate::{
    audit::{Audit, Entry, Trail},
    authentication::{Authentication, Proven},
    broker::Broker,
    deadline::Deadline,
    error::Error,
    field::InvalidField,
    provider::request::BODY_LIMIT,
    telemetry::Metrics,
};

/// Calls worked on at once. Each may hold two bodies of 4 MiB: what comes on top would rather be told to go
/// elsewhere than wait.
const CALLS_AT_ONCE: usize = 1024;

/// A request message, in bytes: the largest body, and room for the rest of it.
pub const MESSAGE_LIMIT: usize = BODY_LIMIT + 64 * 1024;

/// The index of `other` in [`METHODS`].
const OTHER: usize = METHODS.len() - 1;

const PREFIX: &str = "/idptoken.v1.IdpTokenService/";

/// Everything that answers on the gRPC port. Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    broker: Arc<Broker>,
    /// Health and reflection, and UNIMPLEMENTED for what nobody knows.
    rest: Routes,
    authentication: Arc<Authentication>,
    calls: Arc<Semaphore>,
    default_deadline: Duration,
    metrics: Arc<Metrics>,
    audit: Audit,
}

impl Gate {
    /// A gate before the RPCs of `broker`, whose callers `authentication` identifies, and, for all other paths, `rest`. That
    /// stays open: health checks come from those who have nothing to prove.
    pub fn new(
        broker: Arc<Broker>,
        authentication: Authentication,
        rest: Routes,
        default_deadline: Duration,
        metrics: Arc<Metrics>,
    ) -> Self {
        let calls = Arc::new(Semaphore::new(CALLS_AT_ONCE));
        let authentication = Arc::new(authentication);
        let audit = Audit::default();
        Self { broker, rest: rest.prepare(), authentication, calls, default_deadline, metrics, audit }
    }

    /// Records every call in `audit`. Without, none is.
    #[must_use]
    pub fn recorded_in(self, audit: Audit) -> Self {
        Self { audit, ..self }
    }

    /// Answers one request, whatever happens. It must be gRPC: what is not is turned away, or made gRPC, before the gate.
    ///
    /// Not `async`: the request goes into the box of its handler at once, instead of being moved with the future of
    /// every layer on the way.
    pub fn answer<B>(&self, request: Request<B>) -> Answer
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        let method = method(request.uri().path());
        let observation = Observation::begin(Arc::clone(&self.metrics), method, request.headers());
        let entry = if method == OTHER { Some(Entry::default()) } else { self.audit.begin() };
        match entry {
            Some(entry) => self.work_on(method, request, observation.recorded_in(entry), Duration::ZERO),
            None => Box::pin(self.clone().answer_later(method, request, observation)),
        }
    }

    /// While no call can be recorded: waits a little until this one can. What cannot be recorded is not done.
    async fn answer_later<B>(
        self,
        method: usize,
        request: Request<B>,
        observation: Observation,
    ) -> Result<Response<Body>, Infallible>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        let began = Instant::now();
        match self.place_on_record(request.headers()).await {
            Ok(entry) => {
                let observation = observation.recorded_in(entry);
                self.work_on(method, request, observation, began.elapsed()).await
            }
            Err(error) => {
                let mut response = Status::from(error).into_http();
                observation.end(&mut response);
                Ok(response)
            }
        }
    }

    async fn place_on_record(&self, headers: &HeaderMap) -> Result<Entry, Error> {
        // Those who wait are no more than those who are worked on.
        let _place = self.calls.try_acquire().map_err(|_| Error::Overloaded)?;
        let longest = deadline::allowed(headers, self.default_deadline)?;
        self.audit.wait(longest).await.ok_or(Error::Unrecorded)
    }

    /// Answers a call that has its place on record, for which it `waited`.
    fn work_on<B>(
        &self,
        method: usize,
        request: Request<B>,
        observation: Observation,
        waited: Duration,
    ) -> Answer
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        let trail = observation.trail();
        trail.begins(METHODS[method], trace_id(request.headers()), request.extensions().get());
        let work = self.start(method, request, &trail, waited);
        Box::pin(async move {
            let outcome = match work {
                Ok(work) => work.finish().await,
                Err(error) => Err(error),
            };
            let mut response = outcome.unwrap_or_else(|error| Status::from(error).into_http());
            observation.end(&mut response);
            Ok(response)
        })
    }

    fn start<B>(
        &self,
        method: usize,
        request: Request<B>,
        trail: &Trail,
        waited: Duration,
    ) -> Result<Work, Error>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        if method == OTHER {
            return Ok(Work::Rest(Box::pin(self.rest.clone().call(request.map(Body::new)))));
        }
        let place = Arc::clone(&self.calls).try_acquire_owned().map_err(|_| Error::Overloaded)?;
        let allowed = deadline::allowed(request.headers(), self.default_deadline)?;
        let deadline = Deadline::from_now(allowed.saturating_sub(waited));
        let broker = Arc::clone(&self.broker);
        let api = {
            let (deadline, trail) = (deadline.clone(), trail.clone());
            move |Proven { caller, proof }| {
                trail.caller(&caller, proof);
                let api = IdpToken::new(broker, caller, deadline, trail);
                IdpTokenServiceServer::new(api).max_decoding_message_size(MESSAGE_LIMIT)
            }
        };
        let answer = match caller::identify(&self.authentication, request.headers(), request.extensions())? {
            Identified::Caller(proven) => api(proven).call(request),
            Identified::Bearer(token) => {
                let authentication = Arc::clone(&self.authentication);
                Box::pin(async move {
                    match authentication.verify(token).await {
                        Ok(proven) => api(proven).call(request).await,
                        Err(error) => Ok(Status::from(Error::from(error)).into_http()),
                    }
                })
            }
        };
        Ok(Work::Rpc { method, place, deadline, answer })
    }
}

/// An answer to come.
pub type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// A request that is being answered.
enum Work {
    /// By one of our RPCs.
    Rpc { method: usize, place: OwnedSemaphorePermit, deadline: Deadline, answer: Answer },
    /// By another service.
    Rest(Answer),
}

impl Work {
    async fn finish(self) -> Result<Response<Body>, Error> {
        match self {
            Self::Rpc { method, place: _place, deadline, answer } => {
                let Ok(response) = deadline::enforce(deadline, answer).await?;
                explain_refusal(response, METHODS[method])
            }
            Self::Rest(answer) => {
                let Ok(response) = answer.await;
                Ok(response)
            }
        }
    }
}

/// The index of the RPC in [`METHODS`]; [`OTHER`] for anything else.
fn method(path: &str) -> usize {
    let Some(name) = path.strip_prefix(PREFIX) else { return OTHER };
    METHODS[..OTHER].iter().position(|method| *method == name).unwrap_or(OTHER)
}

/// tonic refuses a message that is too large or that cannot be decoded before the RPC sees it, with a status that tells
/// a program nothing. Our own statuses all have details.
fn explain_refusal(response: Response<Body>, method: &str) -> Result<Response<Body>, Error> {
    let status = response.extensions().get::<Status>();
    let Some(status) = status.filter(|status| status.details().is_empty()) else { return Ok(response) };
    // Nothing but a body is ever that large.
    let (field, problem) = match status.code() {
        Code::OutOfRange if method == "CallProvider" => ("request.body", TOO_LARGE),
        Code::OutOfRange => ("(message)", TOO_LARGE),
        Code::Internal => {
            ("(message)", "is missing or cannot be decoded; is the client generated from this contract?")
        }
        _ => return Ok(response),
    };
    Err(InvalidField::new(field, problem).into())
}

const TOO_LARGE: &str = "makes the message larger than 4 MiB and 64 KiB, the most that is taken";
