//! What GitHub's REST API checks before, and adds after, every request.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::USER_AGENT;
use http::{HeaderMap, Method};

use super::access::Viewer;
use super::refusal;
use crate::credentials::bearer;
use crate::limits::Standing;
use crate::reply::{Refused, With as _};
use crate::secrets;
use crate::state::account::{Account, Provider};
use crate::state::{HOUR, World};

/// The versions that exist; without a header the first is taken.
const VERSIONS: [&str; 2] = ["2022-11-28", "2026-03-10"];

/// Requests in an hour without a token.
const ANONYMOUS_PER_HOUR: u64 = 60;

/// Content that one user may make in a minute before the secondary limit.
const WRITES_PER_MINUTE: u64 = 80;

const MINUTE: Duration = Duration::from_secs(60);

/// Lets a request through, or refuses it; either answer carries GitHub's usual headers.
pub(super) async fn pass(State(world): State<Arc<World>>, mut request: Request, next: Next) -> Response {
    let headers = request.headers().clone();
    let viewer = match enter(&world, &headers) {
        Ok(viewer) => viewer,
        Err(refused) => return usual(refused.into_response(), &headers),
    };
    let standing = count(&world, &viewer);
    let refused = over(&world, &viewer, &standing, request.method());
    request.extensions_mut().insert(viewer.clone());
    let response = match refused {
        Some(refused) => refused.into_response(),
        None => next.run(request).await,
    };
    scoped(limited(usual(response, &headers), standing), &viewer)
}

/// `User-Agent`, version and token, in this order.
fn enter(world: &World, headers: &HeaderMap) -> Result<Viewer, Refused> {
    if headers.get(USER_AGENT).is_none_or(http::HeaderValue::is_empty) {
        return Err(refusal::no_user_agent());
    }
    let version = version(headers);
    if !VERSIONS.contains(&version) {
        return Err(refusal::unknown_version(version));
    }
    let Some(token) = bearer(headers) else { return Ok(Viewer(None)) };
    let now = world.clock.now();
    let checked = world.state().grants.check(Provider::GitHub, token, now);
    Ok(Viewer(Some(checked.map_err(|_| refusal::bad_credentials())?)))
}

fn version(headers: &HeaderMap) -> &str {
    headers.get("x-github-api-version").map_or(VERSIONS[0], |value| value.to_str().unwrap_or("?"))
}

fn count(world: &World, viewer: &Viewer) -> Standing {
    match &viewer.0 {
        Some(access) => world.count(&access.account, world.providers.github.requests_per_hour, HOUR),
        None => world.count(&named("anonymous"), ANONYMOUS_PER_HOUR, HOUR),
    }
}

fn over(world: &World, viewer: &Viewer, standing: &Standing, method: &Method) -> Option<Refused> {
    let id = viewer.0.as_ref().map_or("anonymous", |access| access.account.id.as_str());
    if !standing.allowed {
        return Some(refusal::rate_limit_exceeded(id));
    }
    if method.is_safe() {
        return None;
    }
    let writes = world.count(&named(&format!("writes of {id}")), WRITES_PER_MINUTE, MINUTE);
    (!writes.allowed).then(|| refusal::secondary_limit(MINUTE.as_secs()))
}

/// A quota that is not a user's own.
fn named(id: &str) -> Account {
    Account { provider: Provider::GitHub, id: id.to_owned() }
}

fn usual(response: Response, headers: &HeaderMap) -> Response {
    response
        .with("server", "github.com")
        .with("x-github-request-id", secrets::hex(&secrets::bytes::<12>()).to_uppercase())
        .with("x-github-media-type", "github.v3; format=json")
        .with("x-github-api-version-selected", version(headers))
}

fn limited(response: Response, standing: Standing) -> Response {
    response
        .with("x-ratelimit-limit", standing.limit)
        .with("x-ratelimit-remaining", standing.remaining)
        .with("x-ratelimit-used", standing.limit - standing.remaining)
        .with("x-ratelimit-reset", standing.reset)
        .with("x-ratelimit-resource", "core")
}

fn scoped(response: Response, viewer: &Viewer) -> Response {
    match &viewer.0 {
        Some(access) => response.with("x-oauth-scopes", access.scopes.join(", ")),
        None => response,
    }
}
