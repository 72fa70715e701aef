//! The way in. From the outside in: request id, metrics and the call's record (outside everything, so that refusals are
//! counted and recorded), the deadline with the end of panics, the caller, and then the RPC. That takes its place among the calls
//! at once when its message is whole.
//!
//! One service instead of a stack of layers: the answer out of the cache is a few thousand instructions, and each
//! boxed layer would add some hundred.

use std::{convert::Infallible, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use tokio::sync::Semaphore;
use tonic::{Code, Status, body::Body, service::Routes};
use tower::Service;

use super::{
    arriving::Arriving,
    backlog::{BACKLOG, Backlog},
    caller::{self, Identified},
    deadline,
    idp_token::IdpToken,
    leaving::Departure,
    observe::{METHODS, Observation, Observer, trace_id},
    pb::idp_token_service_server::IdpTokenServiceServer,
};
use crate::{
    audit::{Audit, AuditGuard, AuditScope},
    authentication::{Authenticated, Authentication},
    broker::{Broker, Error},
    caller::Peer,
    deadline::Deadline,
    field::InvalidField,
    provider::request::BODY_LIMIT,
    telemetry::Metrics,
};

/// Calls worked on at once, from the end of their message to the beginning of their answer. Each may hold two bodies of
/// 4 MiB: what comes on top would rather be told to go elsewhere than wait.
const CALLS_AT_ONCE: usize = 1024;

/// A request message, in bytes: the largest body, and room for the rest of it.
pub const MESSAGE_LIMIT: usize = BODY_LIMIT + 64 * 1024;

/// The index of `other` in [`METHODS`].
const OTHER: usize = METHODS.len() - 1;

/// Its answer is small, and the one that must cost least.
const CACHED: &str = "GetIdentityToken";

const PREFIX: &str = "/idptoken.v1.IdpTokenService/";

/// Everything that answers on the gRPC port. Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    broker: Arc<Broker>,
    /// Health and reflection, and UNIMPLEMENTED for what nobody knows.
    rest: Routes,
    authentication: Arc<Authentication>,
    calls: Arc<Semaphore>,
    backlog: Arc<Backlog>,
    default_deadline: Duration,
    audit: Audit,
    observer: Arc<Observer>,
}

impl Gate {
    /// A gate before the RPCs of `broker`, whose callers `authentication` identifies and whose calls `audit` records, and, for
    /// all other paths, `rest`. That stays open: health checks come from those who have nothing to prove.
    pub fn new(
        broker: Arc<Broker>,
        authentication: Authentication,
        rest: Routes,
        default_deadline: Duration,
        audit: Audit,
        metrics: Arc<Metrics>,
    ) -> Self {
        let calls = Arc::new(Semaphore::new(CALLS_AT_ONCE));
        let backlog = Arc::new(Backlog::new(BACKLOG, Arc::clone(&metrics)));
        let observer = Arc::new(Observer::new(metrics));
        let authentication = Arc::new(authentication);
        Self {
            broker,
            rest: rest.prepare(),
            authentication,
            calls,
            backlog,
            default_deadline,
            audit,
            observer,
        }
    }

    /// Answers one request, whatever happens. It must be gRPC: what is not is turned away, or made gRPC, before the gate.
    ///
    /// Not `async`: the request goes into the box of its handler at once, instead of being moved with the future of
    /// every layer on the way.
    pub fn answer<B>(&self, request: Request<B>) -> Answer
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        let method = method(request.uri().path());
        let entry = if method == OTHER { AuditGuard::default() } else { self.audit.begin() };
        let scope = entry.scope();
        scope.begins(
            METHODS[method],
            || trace_id(request.headers()),
            request.extensions().get::<Arc<Peer>>().map(|peer| &**peer),
        );
        let observation = Observation::begin(Arc::clone(&self.observer), method, request.headers(), entry);
        let work = self.start(method, request, scope.clone());
        Box::pin(async move {
            let outcome = match work {
                Ok(work) => work.finish().await,
                Err(error) => Err(error),
            };
            let mut response = outcome.unwrap_or_else(|error| Status::from(error).into_http());
            // A call that was refused before anybody worked on it has no place in the log yet.
            if let Err(unrecorded) = scope.reserve().await {
                response = Status::from(Error::from(unrecorded)).into_http();
            }
            observation.end(&mut response);
            Ok(response)
        })
    }

    /// A request's body that others read before the gate does: what comes of it counts for the same limits.
    /// Its message has at most `most` bytes.
    pub fn count<B>(&self, body: B, most: usize) -> Arriving<B> {
        Arriving::new(body, Arc::clone(&self.backlog), most)
    }

    fn start<B>(&self, method: usize, request: Request<B>, scope: AuditScope) -> Result<Work, Error>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        if method == OTHER {
            return Ok(Work::Rest(Box::pin(self.rest.clone().call(request.map(Body::new)))));
        }
        // Calls take their places when their messages are whole; where there is none left, no message need come.
        if self.calls.available_permits() == 0 {
            return Err(Error::Overloaded);
        }
        let allowed = deadline::allowed(request.headers(), self.default_deadline)?;
        let deadline = Deadline::from_now(allowed);
        let broker = Arc::clone(&self.broker);
        let request = request.map(|body| self.count(body, MESSAGE_LIMIT));
        let api = {
            let (deadline, calls) = (deadline.clone(), Arc::clone(&self.calls));
            move |Authenticated { caller, proof }| {
                scope.caller(&caller, proof);
                let api = IdpToken::new(broker, caller, deadline, calls, scope);
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
        Ok(Work::Rpc { method, backlog: Arc::clone(&self.backlog), deadline, answer })
    }
}

/// An answer to come.
pub type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// A request that is being answered.
enum Work {
    /// By one of our RPCs.
    Rpc { method: usize, backlog: Arc<Backlog>, deadline: Deadline, answer: Answer },
    /// By another service.
    Rest(Answer),
}

impl Work {
    async fn finish(self) -> Result<Response<Body>, Error> {
        match self {
            Self::Rpc { method, backlog, deadline, answer } => {
                let until = deadline.at();
                let Ok(response) = deadline::enforce(deadline, answer).await?;
                let mut response = explain_refusal(response, METHODS[method])?;
                if METHODS[method] == CACHED {
                    return Ok(response);
                }
                let departure = Departure { backlog, until };
                response.extensions_mut().insert(departure.clone());
                Ok(response.map(|body| departure.of(body)))
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
