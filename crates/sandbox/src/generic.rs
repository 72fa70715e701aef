//! A provider that follows the standards: a connection of `oauth2` or `oidc`, with a small API of its own.

mod access;
mod api;
mod client;
mod oauth;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use http::StatusCode;
use serde_json::json;

use super::reply;
use super::seed::GenericSeed;
use super::state::World;
use super::state::account::Provider;

/// One connection's provider, and the world that it is in.
#[derive(Clone)]
struct Own {
    world: Arc<World>,
    provider: Provider,
    seed: Arc<GenericSeed>,
}

/// API and authorization server share one table, since no two of their paths collide.
pub(crate) fn router(world: Arc<World>, index: usize, seed: GenericSeed) -> Router {
    Router::new()
        .route("/v1/me", get(api::me))
        .route("/v1/things", get(api::things))
        .route("/oauth2/token", post(oauth::token))
        .route("/oauth2/revoke", post(oauth::revoke))
        .route("/oauth2/introspect", post(oauth::introspect))
        .fallback(async || reply::json(StatusCode::NOT_FOUND, &json!({"error": "not_found"})))
        .with_state(Own { world, provider: Provider::Generic(index), seed: Arc::new(seed) })
}
