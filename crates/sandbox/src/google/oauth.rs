//! `oauth2.googleapis.com`: renewal, revocation and inspection of tokens.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri};
use serde_json::json;

use crate::clock::unix;
use crate::credentials;
use crate::form::{Form, refusal};
use crate::reply::{self, Refused, With as _};
use crate::state::World;
use crate::state::account::Provider;
use crate::state::grants::{Access, Death, Issued, Rotation};

/// `POST /token` with `grant_type=refresh_token`: a new access token; the refresh token stays good and is not
/// repeated.
pub(super) async fn token(
    State(world): State<Arc<World>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let form = Form::read(&headers, &body).ok_or_else(|| bad_request("invalid_request", "Bad Request"))?;
    authenticate(&world, &headers, &form)?;
    if form.get("grant_type") != Some("refresh_token") {
        return Err(bad_request("unsupported_grant_type", "Invalid grant_type"));
    }
    let Some(token) = form.get("refresh_token") else {
        return Err(bad_request("invalid_request", "Missing required parameter: refresh_token"));
    };
    let now = world.clock.now();
    let (issued, access) = renew(&world, token, now)
        .ok_or_else(|| bad_request("invalid_grant", "Token has been expired or revoked."))?;
    let expires_in = access.expires.map(|end| unix(end).saturating_sub(unix(now)));
    let answer = json!({
        "access_token": issued.access,
        "expires_in": expires_in,
        "scope": access.scopes.join(" "),
        "token_type": "Bearer",
    });
    Ok(reply::json(StatusCode::OK, &answer).with("cache-control", "no-store"))
}

fn renew(world: &World, token: &str, now: SystemTime) -> Option<(Issued, Access)> {
    let grants = &mut world.state().grants;
    grants.present(Provider::Google, token, Rotation::Keeps, now).ok()?;
    grants.renew(token, Rotation::Keeps, None, now)
}

fn authenticate(world: &World, headers: &HeaderMap, form: &Form) -> Result<(), Refused> {
    let google = &world.providers.google;
    if credentials::is_app(headers, form, &google.client_id, &google.client_secret) {
        return Ok(());
    }
    Err(refusal(StatusCode::UNAUTHORIZED, "invalid_client", "Unauthorized"))
}

/// `POST /revoke`: an access or a refresh token, and either ends the whole grant.
pub(super) async fn revoke(
    State(world): State<Arc<World>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let query = Form::of_query(uri.query().unwrap_or_default());
    let form = Form::read(&headers, &body);
    let token = form.as_ref().and_then(|form| form.get("token")).or(query.get("token"));
    let token = token.ok_or_else(|| bad_request("invalid_request", "Missing required parameter: token"))?;
    let mut state = world.state();
    let family = state.grants.family_of(Provider::Google, token, world.clock.now());
    let family = family.ok_or_else(|| bad_request("invalid_token", "Token expired or revoked"))?;
    state.grants.end_family(family, Death::Revoked);
    Ok(reply::json(StatusCode::OK, &json!({})))
}

/// `GET /tokeninfo?access_token=`: numbers come as text.
pub(super) async fn tokeninfo(State(world): State<Arc<World>>, uri: Uri) -> Result<Response, Refused> {
    let query = Form::of_query(uri.query().unwrap_or_default());
    let now = world.clock.now();
    let state = world.state();
    let token = query.get("access_token").unwrap_or_default();
    let access = state.grants.check(Provider::Google, token, now);
    let access = access.map_err(|_| bad_request("invalid_token", "Invalid Value"))?;
    let client = &world.providers.google.client_id;
    let end = access.expires.map_or(0, unix);
    let answer = json!({
        "azp": client, "aud": client, "sub": access.account.id, "scope": access.scopes.join(" "),
        "exp": end.to_string(), "expires_in": end.saturating_sub(unix(now)).to_string(),
        "access_type": "offline",
    });
    Ok(reply::json(StatusCode::OK, &answer))
}

fn bad_request(error: &str, description: &str) -> Refused {
    refusal(StatusCode::BAD_REQUEST, error, description)
}
