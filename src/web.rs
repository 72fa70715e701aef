//! Web protocols: gRPC-Web and Connect on the gRPC port, for browsers, apps and curl.
//!
//! They stand before the [`Gate`]: a request of either protocol is translated into the equivalent gRPC
//! request, and the answer back. Authentication, policy, deadlines, limits and metrics are those of the gate.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, HeaderValue, Method, Request, Response, Version, header};
use hyper::body::Incoming;
use tonic::body::Body;
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer, Service};

use crate::{
    service::{Answer, Gate},
    telemetry::{HttpRejection, Metrics},
};

mod connect;
mod content;
mod cors;
mod frame;
mod gzip;
mod json;
mod origin;
mod refusal;

use connect::Connect;
use content::Content;
use cors::Cors;
use json::Schema;
use origin::OriginPolicy;

pub use origin::AuthMode;

/// Everything that answers on the port: the gate, and the protocols before it.
pub struct Web {
    gate: Gate,
    grpc_web: GrpcWebService<Inner>,
    connect: Connect,
    cors: Cors,
    origin_policy: OriginPolicy,
    metrics: Arc<Metrics>,
}

impl Web {
    /// Creates the protocols before `gate`. Only pages of `allowed_origins` may read answers. If `auth_mode`
    /// says that callers need not prove their identity, requests from pages of other origins are refused as
    /// well.
    pub fn new(
        gate: Gate,
        allowed_origins: &[HeaderValue],
        auth_mode: AuthMode,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            grpc_web: GrpcWebLayer::new().layer(Inner(gate.clone())),
            connect: Connect::new(Schema::new()),
            cors: Cors::new(allowed_origins.to_vec()),
            origin_policy: OriginPolicy::new(auth_mode, allowed_origins.to_vec()),
            gate,
            metrics,
        }
    }

    /// Answers one request.
    pub fn answer(&self, request: Request<Incoming>) -> Answer {
        if is_native(&request) {
            return self.gate.answer(request);
        }
        if let Some(preflight) = self.cors.preflight(&request) {
            return at_once(preflight);
        }
        let cors_headers = self.cors.headers_for(request.headers());
        let answer = self.judge(request).unwrap_or_else(|refusal| {
            self.metrics.request_refused(refusal);
            at_once(refusal.into_response())
        });
        Box::pin(async move {
            let Ok(mut response) = answer.await;
            cors_headers.put(response.headers_mut());
            harden(response.headers_mut());
            Ok(response)
        })
    }

    fn judge(&self, request: Request<Incoming>) -> Result<Answer, HttpRejection> {
        self.origin_policy.check(&request)?;
        let is_rpc = self.connect.serves(request.uri().path());
        let content = Content::of(request.headers());
        if request.method() != Method::POST && (is_rpc || content.is_some()) {
            return Err(HttpRejection::Method);
        }
        match content.ok_or(HttpRejection::MediaType)? {
            Content::Grpc => Ok(self.gate.answer(request)),
            Content::GrpcWeb => Ok(Box::pin(self.grpc_web.clone().call(request))),
            Content::Connect(_) if !is_rpc => Err(HttpRejection::NotFound),
            Content::Connect(shape) => Ok(self.connect.answer(&self.gate, shape, request)),
        }
    }
}

/// Returns whether a program speaks plain gRPC: browsers have neither HTTP/2 without TLS nor its trailers,
/// and send their origin. This is the protocols' whole cost on the hot path.
fn is_native<B>(request: &Request<B>) -> bool {
    request.version() == Version::HTTP_2
        && Content::of(request.headers()) == Some(Content::Grpc)
        && !request.headers().contains_key(header::ORIGIN)
}

/// Forbids browsers and proxies to store an answer or guess its type.
fn harden(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

fn at_once(response: Response<Body>) -> Answer {
    Box::pin(std::future::ready(Ok(response)))
}

/// The gate as the service that tonic-web wraps.
#[derive(Clone)]
struct Inner(Gate);

impl Service<Request<Body>> for Inner {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        self.0.answer(request)
    }
}
