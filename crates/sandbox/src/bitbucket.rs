//! Bitbucket Cloud, as far as the sandbox plays it.

mod api;
mod gate;
mod oauth;
mod refusal;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{get, post};

use super::state::World;

/// `api.bitbucket.org` and `bitbucket.org`, none of whose paths collide.
pub(crate) fn router(world: Arc<World>) -> Router {
    let api = Router::new()
        .route("/user", get(api::user))
        .route("/repositories/{workspace}", get(api::repositories))
        .fallback(async || refusal::not_found())
        .with_state(Arc::clone(&world))
        .layer(middleware::from_fn_with_state(Arc::clone(&world), gate::pass));
    Router::new()
        .nest("/2.0", api)
        .route("/site/oauth2/access_token", post(oauth::access_token).with_state(world))
        .fallback(async || refusal::not_found())
}
