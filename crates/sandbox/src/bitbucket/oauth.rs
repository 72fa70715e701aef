//! `POST bitbucket.org/site/oauth2/access_token`: renewal, after which the old refresh token is dead.
//! <https://developer.atlassian.com/cloud/bitbucket/oauth-2>

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use crate::clock::unix;
use crate::credentials;
use crate::form::{Form, refusal};
use crate::reply::{self, Refused};
use crate::secrets;
use crate::state::World;
use crate::state::account::Provider;
use crate::state::grants::{Access, Issued, Rotation};

/// The application proves itself by `Basic` alone.
pub(super) async fn access_token(
    State(world): State<Arc<World>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    if !is_consumer(&world, &headers) {
        return Err(bad_request("unauthorized_client", "Invalid OAuth client credentials"));
    }
    let form = Form::read(&headers, &body);
    let form = form.ok_or_else(|| bad_request("invalid_request", "No grant_type"))?;
    match form.get("grant_type") {
        Some("refresh_token") => {}
        Some(_) => return Err(bad_request("unsupported_grant_type", "Unsupported grant type")),
        None => return Err(bad_request("invalid_request", "No grant_type")),
    }
    let token = form.get("refresh_token").unwrap_or_default();
    let (issued, access) = renew(&world, token)?;
    let answer = json!({
        "access_token": issued.access,
        "refresh_token": issued.refresh,
        "expires_in": access.expires.map(|end| unix(end).saturating_sub(unix(access.issued))),
        "scope": access.scopes.join(" "),
        "state": "refresh_token",
        "token_type": "bearer",
    });
    Ok(reply::json(StatusCode::OK, &answer))
}

fn is_consumer(world: &World, headers: &HeaderMap) -> bool {
    let consumer = &world.providers.bitbucket;
    credentials::basic(headers).is_some_and(|(id, secret)| {
        id == consumer.client_id && secrets::same(&secret, &consumer.client_secret)
    })
}

/// A spent, an expired, a revoked and a made-up refresh token look the same:
/// <https://community.atlassian.com/t5/Bitbucket-questions/How-do-I-refresh-a-token/qaq-p/1545002>
fn renew(world: &World, token: &str) -> Result<(Issued, Access), Refused> {
    let invalid = || bad_request("invalid_request", "Invalid refresh_token");
    let now = world.clock.now();
    let grants = &mut world.state().grants;
    grants.present(Provider::Bitbucket, token, Rotation::Replaces, now).map_err(|_| invalid())?;
    grants.renew(token, Rotation::Replaces, None, now).ok_or_else(invalid)
}

fn bad_request(error: &str, description: &str) -> Refused {
    refusal(StatusCode::BAD_REQUEST, error, description)
}
