//! The entry point of every gRPC call. From the outside in: request id, metrics and the audit record
//! (outermost, so that refusals are counted and recorded), the deadline and panics, the caller, and then the
//! RPC, which takes a place among the concurrent calls once its message is complete.
//!
//! One service instead of a stack of layers: an answer from the cache is a few thousand instructions, and
//! each boxed layer would add some hundred.

use std::{convert::Infallible, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use tonic::{Code, Status, body::Body, service::Routes};
use tower::Service;

use super::{
    caller::{self, Identified},
    deadline,
    idp_token::IdpToken,
    observe::{Observation, Observer, trace_id},
    open_calls::OpenCalls,
    pb::idp_token_service_server::IdpTokenServiceServer,
    request_body::TrackedRequestBody,
    response_body::ResponseLimits,
};
use crate::{
    audit::{Audit, AuditGuard, AuditScope},
    authentication::{Authenticated, Authentication},
    broker::{Broker, Error},
    caller::{Peer, Standing},
    deadline::Deadline,
    field::InvalidField,
    memory::{CallMemory, Memory},
    provider::request::BODY_LIMIT,
    rpc::Rpc,
    shares::{Holders, Overload, Shares},
    telemetry::Metrics,
};

/// Maximum concurrent calls, each from the end of its message to the beginning of its answer. Each may hold
/// two bodies of 4 MiB; further callers are better told to go elsewhere than made to wait.
const CALLS_AT_ONCE: usize = 1024;

/// The largest request message, in bytes: the largest body, and room for the rest of the message.
pub const MESSAGE_LIMIT: usize = BODY_LIMIT + 64 * 1024;

const PREFIX: &str = "/idptoken.v1.IdpTokenService/";

/// Everything that answers gRPC calls. Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    broker: Arc<Broker>,
    /// Everything else.
    rest: OpenCalls,
    authentication: Arc<Authentication>,
    /// Places for calls, by caller.
    calls: Shares,
    memory: Memory,
    holders: Holders,
    default_deadline: Duration,
    audit: Audit,
    metrics: Arc<Metrics>,
    observer: Arc<Observer>,
}

impl Gate {
    /// Creates a gate to the RPCs of `broker`; `authentication` identifies their callers, and `audit` records
    /// the calls. All other paths go to `rest`, which stays open: health checks come from clients without
    /// credentials.
    pub fn new(
        broker: Arc<Broker>,
        authentication: Authentication,
        rest: Routes,
        default_deadline: Duration,
        memory: Memory,
        audit: Audit,
        metrics: Arc<Metrics>,
    ) -> Self {
        let calls = Shares::new(CALLS_AT_ONCE);
        let observer = Arc::new(Observer::new(Arc::clone(&metrics)));
        let authentication = Arc::new(authentication);
        Self {
            broker,
            rest: OpenCalls::new(rest),
            authentication,
            calls,
            memory,
            holders: Holders::default(),
            default_deadline,
            audit,
            metrics,
            observer,
        }
    }

    /// Answers one gRPC request. Other protocols are translated or refused before the gate.
    ///
    /// Not `async`: the request moves into its handler's box at once, instead of with the future of every
    /// layer on the way.
    pub fn answer<B>(&self, request: Request<B>) -> Answer
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        let rpc = request.uri().path().strip_prefix(PREFIX).and_then(Rpc::named);
        let entry = rpc.map_or_else(AuditGuard::default, |_| self.audit.begin());
        let scope = entry.scope();
        scope.begins(
            Rpc::label(rpc),
            || trace_id(request.headers()),
            request.extensions().get::<Arc<Peer>>().map(|peer| &**peer),
        );
        let observation = Observation::begin(Arc::clone(&self.observer), rpc, request.headers(), entry);
        let work = self.start(rpc, request, scope.clone());
        Box::pin(async move {
            let outcome = match work {
                Ok(work) => work.finish().await,
                Err(error) => Err(error),
            };
            let mut response = outcome.unwrap_or_else(|error| Status::from(error).into_http());
            // A call that was refused early has not reserved its place in the audit log yet.
            if let Err(unrecorded) = scope.reserve().await {
                response = Status::from(Error::from(unrecorded)).into_http();
            }
            observation.end(&mut response);
            Ok(response)
        })
    }

    /// Tells why no new call can be taken now; `None` if one can.
    pub fn why_full(&self) -> Option<&'static str> {
        if self.calls.free() == 0 {
            return Some("all places for calls are taken");
        }
        (!self.memory.has_room()).then_some("the memory for calls is used up")
    }

    /// Wraps a request body from which the gate's own request is made, and which has at most `most` bytes, so
    /// that it counts for the call. The call's memory goes with that request, as an extension.
    pub fn count<B>(&self, body: B, most: usize) -> (TrackedRequestBody<B>, CallMemory) {
        let memory = self.memory.call();
        (TrackedRequestBody::source(body, memory.clone(), most), memory)
    }

    fn start<B>(&self, rpc: Option<Rpc>, mut request: Request<B>, scope: AuditScope) -> Result<Work, Error>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        let Some(rpc) = rpc else {
            let peer = request.extensions().get::<Arc<Peer>>().cloned();
            return Ok(Work::Rest(self.rest.answer(request.map(Body::new), peer.as_deref())?));
        };
        // A call takes its place once its message is complete; if no place is free, its message is not read.
        if self.calls.free() == 0 {
            return Err(Overload::Exhausted.into());
        }
        let allowed = deadline::allowed(request.headers(), self.default_deadline)?;
        let deadline = Deadline::from_now(allowed);
        let broker = Arc::clone(&self.broker);
        let memory = request.extensions_mut().remove().unwrap_or_else(|| self.memory.call());
        let request = request.map(|body| TrackedRequestBody::message(body, memory.clone(), MESSAGE_LIMIT));
        let standing = request.extensions().get::<Arc<Standing>>().cloned();
        let api = {
            let (deadline, calls, memory) = (deadline.clone(), self.calls.clone(), memory.clone());
            let holders = self.holders.clone();
            move |Authenticated { caller, proof }| {
                scope.caller(&caller, proof);
                memory.is_for(holders.of(&caller));
                deadline.cut_for(&caller);
                if let Some(standing) = standing {
                    standing.proves();
                }
                let api = IdpToken::new(broker, caller, deadline, memory, calls, scope);
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
        Ok(Work::Rpc { rpc, memory, deadline, metrics: Arc::clone(&self.metrics), answer })
    }
}

/// A future answer.
pub type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// A request in progress.
enum Work {
    /// For one of the contract's RPCs.
    Rpc { rpc: Rpc, memory: CallMemory, deadline: Deadline, metrics: Arc<Metrics>, answer: Answer },
    /// For another service.
    Rest(Answer),
}

impl Work {
    async fn finish(self) -> Result<Response<Body>, Error> {
        match self {
            Self::Rpc { rpc, memory, deadline, metrics, answer } => {
                let Ok(response) = deadline::enforce(&deadline, answer).await?;
                memory.message_ends();
                let mut response = explain_refusal(response, rpc)?;
                // The RPC that must cost least, and whose answers are small.
                if rpc == Rpc::GetIdentityToken {
                    return Ok(response);
                }
                let limits = ResponseLimits::new(memory, deadline.at(), metrics);
                response.extensions_mut().insert(limits.clone());
                Ok(response.map(|body| limits.apply(body)))
            }
            Self::Rest(answer) => {
                let Ok(response) = answer.await;
                Ok(response)
            }
        }
    }
}

/// Replaces tonic's refusals of messages that are too large or cannot be decoded. They happen before the RPC,
/// and their status tells a program nothing; the service's own statuses all have details.
fn explain_refusal(response: Response<Body>, rpc: Rpc) -> Result<Response<Body>, Error> {
    let status = response.extensions().get::<Status>();
    let Some(status) = status.filter(|status| status.details().is_empty()) else { return Ok(response) };
    // Only a request's body can be that large.
    let (field, problem) = match status.code() {
        Code::OutOfRange if rpc == Rpc::CallProvider => ("request.body", TOO_LARGE),
        Code::OutOfRange => ("(message)", TOO_LARGE),
        Code::Internal => {
            ("(message)", "is missing or cannot be decoded; is the client generated from this contract?")
        }
        _ => return Ok(response),
    };
    Err(InvalidField::new(field, problem).into())
}

const TOO_LARGE: &str = "makes the message larger than 4 MiB and 64 KiB, the most that is taken";
