//! The way in. From the outside in: request id and metrics (outside everything, so that refusals are counted), the
//! limit on calls at once, the deadline with the end of panics, the caller, and then the RPC.
//!
//! One service instead of a stack of layers: the answer out of the cache is a few thousand instructions, and each
//! boxed layer would add some hundred.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use tokio::sync::Semaphore;
use tonic::{Code, Status, body::Body, service::Routes};
use tower::Service;

use super::{
    IdpToken, deadline,
    idp_token::Context,
    observe::{METHODS, Observation},
    pb::idp_token_service_server::IdpTokenServiceServer,
};
use crate::{
    error::Error, field::InvalidField, policy::Caller, provider::request::BODY_LIMIT, telemetry::Metrics,
};

/// Calls worked on at once. Each may hold two bodies of 4 MiB: what comes on top would rather be told to go
/// elsewhere than wait.
const CALLS_AT_ONCE: usize = 1024;

/// A request message: the largest body, and room for the rest of it.
const MESSAGE_LIMIT: usize = BODY_LIMIT + 64 * 1024;

const PREFIX: &str = "/idptoken.v1.IdpTokenService/";

/// Everything that answers on the gRPC port. Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    api: IdpTokenServiceServer<IdpToken>,
    /// Health and reflection, and UNIMPLEMENTED for what nobody knows.
    rest: Routes,
    calls: Arc<Semaphore>,
    default_deadline: Duration,
    metrics: Arc<Metrics>,
}

impl Gate {
    /// A gate before `api` and, for all other paths, `rest`.
    pub fn new(api: IdpToken, rest: Routes, default_deadline: Duration, metrics: Arc<Metrics>) -> Self {
        let api = IdpTokenServiceServer::new(api).max_decoding_message_size(MESSAGE_LIMIT);
        let calls = Arc::new(Semaphore::new(CALLS_AT_ONCE));
        Self { api, rest: rest.prepare(), calls, default_deadline, metrics }
    }

    /// Answers one request, whatever happens.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        if !speaks_grpc(&request) {
            return not_grpc();
        }
        let method = method(request.uri().path());
        let observation = Observation::begin(Arc::clone(&self.metrics), method, request.headers());
        let outcome = if method == METHODS.len() - 1 {
            Ok(self.answer_rest(request).await)
        } else {
            self.answer_api(request).await.and_then(|response| explain_refusal(response, METHODS[method]))
        };
        let mut response = outcome.unwrap_or_else(|error| Status::from(error).into_http());
        observation.end(&mut response);
        response
    }

    async fn answer_api<B>(&self, mut request: Request<B>) -> Result<Response<Body>, Error>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        let _place = self.calls.try_acquire().map_err(|_| Error::Overloaded)?;
        let allowed = deadline::allowed(request.headers(), self.default_deadline)?;
        let deadline = deadline::from_now(allowed);
        let context = Context { caller: Caller::Anonymous, deadline: deadline.clone() };
        request.extensions_mut().insert(context);
        let Ok(response) = deadline::enforce(deadline, self.api.clone().call(request)).await?;
        Ok(response)
    }

    async fn answer_rest<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        let Ok(response) = self.rest.clone().call(request.map(Body::new)).await;
        response
    }
}

/// The index of the RPC in [`METHODS`]; that of `other` for anything else.
fn method(path: &str) -> usize {
    let other = METHODS.len() - 1;
    let Some(name) = path.strip_prefix(PREFIX) else { return other };
    METHODS[..other].iter().position(|method| *method == name).unwrap_or(other)
}

/// tonic refuses a message over [`MESSAGE_LIMIT`], or one that it cannot read, before the RPC sees it, with a status
/// that tells a program nothing.
fn explain_refusal(response: Response<Body>, method: &str) -> Result<Response<Body>, Error> {
    let refused = response.extensions().get::<Status>().filter(|status| status.details().is_empty());
    let (field, problem) = match refused.map(Status::code) {
        Some(Code::OutOfRange) => (
            // Nothing else in the contract is ever that large.
            if method == "CallProvider" { "request.body" } else { "(message)" },
            "makes the message larger than 4 MiB and 64 KiB, the most that is taken: use StreamProvider, whose \
             bodies have no limit",
        ),
        Some(Code::Internal) => {
            ("(message)", "cannot be read as a request of this RPC; are the stubs up to date?")
        }
        _ => return Ok(response),
    };
    Err(InvalidField::new(field, problem).into())
}

fn speaks_grpc<B>(request: &Request<B>) -> bool {
    request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// For browsers and curl: a gRPC status would reach them as an empty page with HTTP status 200.
fn not_grpc() -> Response<Body> {
    const TEXT: &str = "This port speaks gRPC (content-type application/grpc over HTTP/2). \
                        Try: grpcurl -plaintext HOST:PORT list\n";
    let mut response =
        Response::new(Body::new(http_body_util::Full::new(Bytes::from_static(TEXT.as_bytes()))));
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
