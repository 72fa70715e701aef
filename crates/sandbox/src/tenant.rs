//! The Auth0 tenant.

mod authorize;
mod client_auth;
pub(crate) mod control;
mod management;
mod profile;
mod token;
mod token_vault;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use http::StatusCode;
use serde_json::json;

use super::clock::unix;
use super::reply;
use super::state::World;

/// The tenant's endpoints.
pub(crate) fn router(world: Arc<World>) -> Router {
    let open = Router::new()
        .route("/oauth/token", post(token::issue))
        .route("/authorize", get(authorize::show))
        .route("/.well-known/jwks.json", get(jwks))
        .route("/.well-known/openid-configuration", get(openid_configuration))
        .fallback(async || reply::raw(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "Not found."))
        .with_state(Arc::clone(&world));
    open.merge(management::router(world))
}

async fn jwks(State(world): State<Arc<World>>) -> Response {
    reply::json(StatusCode::OK, &world.key().jwks())
}

/// Discovery names the canonical domain, as at a real tenant, wherever the sandbox listens.
async fn openid_configuration(State(world): State<Arc<World>>) -> Response {
    let issuer = world.issuer();
    let at = |path: &str| format!("{issuer}{path}");
    reply::json(
        StatusCode::OK,
        &json!({
            "issuer": issuer,
            "authorization_endpoint": at("authorize"),
            "token_endpoint": at("oauth/token"),
            "jwks_uri": at(".well-known/jwks.json"),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "code_challenge_methods_supported": ["S256"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported":
                ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
            "token_endpoint_auth_signing_alg_values_supported": ["RS256", "RS384", "PS256"],
            "grant_types_supported": ["authorization_code", "client_credentials"],
        }),
    )
}

/// A signed access token for a user, as the login page's flow ends with.
pub(crate) fn end_user_token(world: &World, user: &str, audience: &str, scope: &str) -> String {
    let now = world.clock.now();
    let lifetime = world.lifetime_for(audience).unwrap_or(std::time::Duration::from_secs(7_200));
    let claims = json!({
        "iss": world.issuer(),
        "sub": user,
        "aud": audience,
        "iat": unix(now),
        "exp": unix(now + lifetime),
        "scope": scope,
    });
    world.key().sign(&claims)
}
