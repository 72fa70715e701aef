//! Microsoft: the token endpoints, Graph and SharePoint, for work accounts (`waad`) and personal ones
//! (`windowslive`).

mod access;
mod graph;
mod login;
mod sharepoint;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use http::StatusCode;

use super::reply;
use super::state::World;

/// `login.microsoftonline.com`.
pub(crate) fn login(world: Arc<World>) -> Router {
    Router::new()
        .route("/{tenant}/oauth2/v2.0/token", post(login::token))
        .route("/{tenant}/oauth2/token", post(login::token_v1))
        .fallback(async || reply::raw(StatusCode::NOT_FOUND, "text/html; charset=utf-8", ""))
        .with_state(world)
}

/// `graph.microsoft.com`.
pub(crate) fn graph(world: Arc<World>) -> Router {
    Router::new()
        .route("/v1.0/me", get(graph::me))
        .route("/v1.0/me/messages", get(graph::messages))
        .fallback(async || graph::not_found())
        .with_state(world)
}

/// `{organisation}.sharepoint.com`.
pub(crate) fn sharepoint(world: Arc<World>) -> Router {
    Router::new()
        .route("/_api/web", get(sharepoint::web))
        .route("/_api/web/lists", get(sharepoint::lists))
        .fallback(async || sharepoint::no_such_site())
        .with_state(world)
}
