//! One listener for everything: reads a request, writes it down, lets a fault happen or the right system
//! answer.

mod amended;
mod broken;

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use super::faults::{Act, Effect};
use super::hosts::{self, Site};
use super::journal::Entry;
use super::state::World;
use super::{bitbucket, facebook, generic, github, google, microsoft, playground, tenant};

/// The systems that answer.
pub(crate) struct Sites {
    world: Arc<World>,
    tenant: Router,
    control: Router,
    playground: Router,
    google: Router,
    github: Router,
    facebook: Router,
    bitbucket: Router,
    graph: Router,
    microsoft_login: Router,
    sharepoint: Router,
    generic: Vec<Router>,
}

/// Why a connection closes without an answer: a fault said so, or the client left in the middle of its body.
#[derive(Debug, thiserror::Error)]
enum Closed {
    #[error("a scripted fault cut the connection")]
    Cut,
    #[error("the request's body broke off")]
    Request(#[from] hyper::Error),
}

/// Serves until the task is aborted, which closes every connection.
pub(crate) async fn serve(listener: TcpListener, sites: Arc<Sites>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _peer)) => _ = connections.spawn(serve_one(stream, Arc::clone(&sites))),
            Err(error) => rest_after(&error).await,
        }
    }
}

/// Out of file handles, mostly: other connections have to end first.
async fn rest_after(error: &io::Error) {
    tracing::warn!(%error, "The sandbox could not accept a connection");
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
}

async fn serve_one(stream: TcpStream, sites: Arc<Sites>) {
    // Small answers must not wait for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(move |request| Arc::clone(&sites).answer(request));
    // Connections end in errors by design here: faults cut them.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

impl Sites {
    /// All systems over one world.
    pub(crate) fn new(world: &Arc<World>) -> Arc<Self> {
        Arc::new(Self {
            world: Arc::clone(world),
            tenant: unlimited(tenant::router(Arc::clone(world))),
            control: tenant::control::router(Arc::clone(world)),
            playground: playground::router(Arc::clone(world)),
            google: unlimited(google::router(Arc::clone(world))),
            github: unlimited(github::router(Arc::clone(world))),
            facebook: unlimited(facebook::router(Arc::clone(world))),
            bitbucket: unlimited(bitbucket::router(Arc::clone(world))),
            graph: unlimited(microsoft::graph(Arc::clone(world))),
            microsoft_login: unlimited(microsoft::login(Arc::clone(world))),
            sharepoint: unlimited(microsoft::sharepoint(Arc::clone(world))),
            generic: generic_routers(world),
        })
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>, Closed> {
        let (parts, body) = request.into_parts();
        let named = hosts::named_in(&parts);
        let site = Site::of(&named, &self.world.providers.generic);
        let body = body.collect().await?.to_bytes();
        if let Some(own) = self.own(site, parts.uri.path()) {
            return Ok(call(own, parts, body).await);
        }
        let host = if site == Site::Tenant { self.world.domain.clone() } else { named };
        let number = self.world.journal.record(self.entry(&host, &parts, &body));
        let act = self.world.faults.pick(&host, &parts.method, parts.uri.path());
        let response = self.act(act, site, parts, body).await?;
        self.world.journal.answered(number, response.status());
        Ok(response)
    }

    /// What no tenant and no provider has: no fault hits it, and the journal leaves it out.
    fn own(&self, site: Site, path: &str) -> Option<&Router> {
        match path.split('/').nth(1) {
            _ if site != Site::Tenant => None,
            Some("sandbox") => Some(&self.control),
            Some("playground") => Some(&self.playground),
            _ => None,
        }
    }

    fn entry(&self, host: &str, parts: &Parts, body: &Bytes) -> Entry {
        Entry {
            number: 0,
            time: self.world.clock.now(),
            host: host.to_owned(),
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().map(str::to_owned),
            headers: parts.headers.clone(),
            body: body.clone(),
            status: None,
        }
    }

    async fn act(
        &self,
        act: Option<Act>,
        site: Site,
        parts: Parts,
        body: Bytes,
    ) -> Result<Response<Body>, Closed> {
        let Some(act) = act else { return Ok(call(self.router(site), parts, body).await) };
        if act.effect.needs_request() || act.processed {
            // Before the wait: a client that gives up meanwhile does not undo what was done for it.
            let real = call(self.router(site), parts, body).await;
            tokio::time::sleep(act.delay).await;
            return misbehave(act.effect, real).await;
        }
        tokio::time::sleep(act.delay).await;
        match act.effect {
            Effect::Pass => Ok(call(self.router(site), parts, body).await),
            effect => misbehave(effect, Response::new(Body::empty())).await,
        }
    }

    fn router(&self, site: Site) -> &Router {
        match site {
            Site::Tenant => &self.tenant,
            Site::Google => &self.google,
            Site::GitHub => &self.github,
            Site::Facebook => &self.facebook,
            Site::Bitbucket => &self.bitbucket,
            Site::Graph => &self.graph,
            Site::MicrosoftLogin => &self.microsoft_login,
            Site::SharePoint => &self.sharepoint,
            Site::Generic(index) => self.generic.get(index).unwrap_or(&self.tenant),
        }
    }
}

fn generic_routers(world: &Arc<World>) -> Vec<Router> {
    let seeds = world.providers.generic.iter().cloned().enumerate();
    seeds.map(|(index, seed)| unlimited(generic::router(Arc::clone(world), index, seed))).collect()
}

/// axum refuses bodies over 2 MB, which the played systems do not; this one is in memory already.
fn unlimited(router: Router) -> Router {
    router.layer(DefaultBodyLimit::disable())
}

async fn misbehave(effect: Effect, real: Response<Body>) -> Result<Response<Body>, Closed> {
    match effect {
        Effect::Pass => Ok(real),
        Effect::Answer(status, headers, body) => Ok(scripted(status, headers, body)),
        Effect::Amend(patch) => Ok(amended::by(&patch, real).await),
        Effect::Cut => Err(Closed::Cut),
        Effect::CutBody(after) => Ok(real.map(|body| broken::after(body, after))),
        Effect::Hang => std::future::pending().await,
    }
}

fn scripted(status: StatusCode, headers: http::HeaderMap, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

async fn call(router: &Router, parts: Parts, body: Bytes) -> Response<Body> {
    let request = Request::from_parts(parts, Body::from(body));
    let answer = router.clone().oneshot(request).await;
    answer.unwrap_or_else(|never| match never {})
}
