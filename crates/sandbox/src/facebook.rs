//! Facebook's Graph API, as far as the sandbox plays it.

mod access;
mod me;
mod oauth;
mod refusal;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get};
use http::Uri;
use tower::ServiceExt as _;

use super::reply::With as _;
use super::state::World;

/// The newest version of the API.
const NEWEST: u32 = 25;

/// The oldest version that still answers; calls without a version get it.
const OLDEST: u32 = 20;

/// Graph behind its version prefix.
pub(crate) fn router(world: Arc<World>) -> Router {
    let graph = Router::new()
        .route("/me", get(me::profile))
        .route("/me/friends", get(me::friends))
        .route("/me/posts", get(me::posts))
        .route("/me/feed", axum::routing::post(me::publish))
        .route("/debug_token", get(oauth::debug_token))
        .route("/oauth/access_token", get(oauth::exchange))
        .route("/{user}/permissions", delete(oauth::remove_app))
        .route("/{user}/permissions/{permission}", delete(oauth::remove_permission))
        .fallback(async |uri: Uri| refusal::unknown_path(uri.path()))
        .method_not_allowed_fallback(async |uri: Uri| refusal::unknown_path(uri.path()))
        .with_state(world);
    Router::new().fallback(async || ()).layer(middleware::from_fn_with_state(graph, versioned))
}

/// Takes the version off the path, and tells in a header which one answered.
async fn versioned(State(graph): State<Router>, mut request: Request, _next: Next) -> Response {
    let path = request.uri().path();
    let (version, rest) = match split(path) {
        Some((version, rest)) if (OLDEST..=NEWEST).contains(&version) => (version, rest.to_owned()),
        Some(_) => return refusal::unknown_path(path).into_response(),
        None => (OLDEST, path.to_owned()),
    };
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let Ok(uri) = Uri::try_from(format!("{rest}{query}")) else {
        return refusal::unknown_path(&rest).into_response();
    };
    *request.uri_mut() = uri;
    let answer = graph.oneshot(request).await.unwrap_or_else(|never| match never {});
    answer.with("facebook-api-version", format!("v{version}.0")).with("x-fb-trace-id", refusal::trace())
}

/// `/v25.0/me` is version 25 and `/me`.
fn split(path: &str) -> Option<(u32, &str)> {
    let (first, _) = path.strip_prefix("/v")?.split_once('/')?;
    let version = first.strip_suffix(".0")?.parse().ok()?;
    Some((version, &path[first.len() + 2..]))
}
