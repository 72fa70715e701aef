//! GitHub's API, uploads and OAuth endpoints, as far as the sandbox plays them.

mod access;
mod apps;
mod files;
mod gate;
mod oauth;
mod refusal;
mod repos;
mod user;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{get, post};

use super::state::World;

/// All of GitHub's hosts; the REST API stands behind the gate, the OAuth endpoints do not.
pub(crate) fn router(world: Arc<World>) -> Router {
    let api = Router::new()
        .route("/user", get(user::me))
        .route("/user/repos", get(repos::mine))
        .route("/repos/{owner}/{repo}", get(repos::one))
        .route("/repositories/{id}", get(repos::by_id))
        .route("/repos/{owner}/{repo}/issues", get(repos::issues).post(repos::open_issue))
        .route("/repos/{owner}/{repo}/tarball", get(files::tarball))
        .route("/repos/{owner}/{repo}/contents/{*path}", get(files::contents))
        .route("/repos/{owner}/{repo}/releases/{release}/assets", post(files::upload))
        .route("/repos/{owner}/{repo}/releases/assets/{asset}", get(files::asset))
        .fallback(async || refusal::not_found())
        .method_not_allowed_fallback(async || refusal::not_found())
        .layer(middleware::from_fn_with_state(Arc::clone(&world), gate::pass));
    // These authenticate the app instead of a user.
    let apps = Router::new()
        .route("/applications/{client_id}/token", post(apps::inspect).delete(apps::revoke))
        .route("/applications/{client_id}/grant", axum::routing::delete(apps::revoke_grant))
        .route("/login/oauth/access_token", post(oauth::access_token))
        .route("/{owner}/{repo}/legacy.tar.gz/{*reference}", get(files::archive));
    apps.merge(api).with_state(world)
}
