//! `POST /oauth/token`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::authorize;
use super::client_auth::authenticate;
use super::token_vault;
use crate::clock::unix;
use crate::form::{Form, refusal};
use crate::reply::{self, Refused, With as _};
use crate::secrets;
use crate::state::World;

/// Issues a token for the grant types that the tenant has.
pub(crate) async fn issue(State(world): State<Arc<World>>, headers: HeaderMap, body: Bytes) -> Response {
    let form = Form::read(&headers, &body);
    let form =
        form.ok_or_else(|| refusal(StatusCode::BAD_REQUEST, "invalid_request", "The body is not valid JSON"));
    let response = form.and_then(|form| issue_for(&world, &headers, &form)).into_response();
    response.with("cache-control", "no-store").with("pragma", "no-cache")
}

fn issue_for(world: &World, headers: &HeaderMap, form: &Form) -> Result<Response, Refused> {
    let grant_type = form.get("grant_type").ok_or_else(|| {
        refusal(StatusCode::BAD_REQUEST, "invalid_request", "Missing required parameter: grant_type")
    })?;
    let client = authenticate(world, headers, form)?;
    if !may_use(world, &client, grant_type) {
        let text = format!("Grant type '{grant_type}' not allowed for the client.");
        return Err(refusal(StatusCode::FORBIDDEN, "unauthorized_client", &text));
    }
    match grant_type {
        "client_credentials" => client_credentials(world, &client, form),
        "authorization_code" => authorize::exchange(world, &client, form),
        token_vault::GRANT_TYPE => token_vault::exchange(world, &client, form),
        _ => Err(refusal(
            StatusCode::FORBIDDEN,
            "unsupported_grant_type",
            &format!("Unsupported grant type: {grant_type}"),
        )),
    }
}

fn may_use(world: &World, client: &str, grant_type: &str) -> bool {
    world.state().clients.iter().any(|one| one.id() == client && one.may_use(grant_type))
}

fn client_credentials(world: &World, client: &str, form: &Form) -> Result<Response, Refused> {
    let Some(audience) = form.get("audience") else { return Ok(opaque()) };
    let Some(lifetime) = world.lifetime_for(audience) else {
        let text = format!("Service not found: {audience}");
        return Err(refusal(StatusCode::FORBIDDEN, "access_denied", &text));
    };
    let granted = granted(world, client, audience).ok_or_else(|| {
        let text = format!("Client \"{client}\" is not authorized to access resource server \"{audience}\".");
        refusal(StatusCode::FORBIDDEN, "access_denied", &text)
    })?;
    let scope = narrowed(granted, form.get("scope")).join(" ");
    let now = world.clock.now();
    let mut claims = json!({
        "iss": world.issuer(),
        "sub": format!("{client}@clients"),
        "aud": audience,
        "iat": unix(now),
        "exp": unix(now + lifetime),
        "gty": "client-credentials",
        "azp": client,
    });
    let mut answer = json!({"expires_in": lifetime.as_secs(), "token_type": "Bearer"});
    if !scope.is_empty() {
        claims["scope"] = json!(scope);
        answer["scope"] = json!(scope);
    }
    answer["access_token"] = json!(world.key().sign(&claims));
    Ok(reply::json(StatusCode::OK, &answer))
}

/// Without an audience a client gets a token that says nothing and opens nothing, the Management API least of
/// all.
fn opaque() -> Response {
    let answer = json!({"access_token": secrets::opaque(), "expires_in": 86_400, "token_type": "Bearer"});
    reply::json(StatusCode::OK, &answer)
}

/// The scopes that the client was granted for the audience; `None` without a grant.
fn granted(world: &World, client: &str, audience: &str) -> Option<Vec<String>> {
    let state = world.state();
    let client = state.clients.iter().find(|one| one.id() == client)?;
    if audience == world.audience() {
        return client.management_scopes().map(<[String]>::to_vec);
    }
    client.has_audience(audience).then(Vec::new)
}

fn narrowed(granted: Vec<String>, asked: Option<&str>) -> Vec<String> {
    let Some(asked) = asked else { return granted };
    let asked: Vec<&str> = asked.split(' ').collect();
    granted.into_iter().filter(|scope| asked.contains(&scope.as_str())).collect()
}
