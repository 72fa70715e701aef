//! `POST github.com/login/oauth/access_token`: renewal of expiring tokens, with rotation.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::clock::unix;
use crate::credentials;
use crate::form::Form;
use crate::reply;
use crate::state::World;
use crate::state::account::Provider;
use crate::state::grants::{Access, Issued, Rotation};

/// Half a year, the life of a refresh token.
const REFRESH_LIFETIME: u64 = 15_811_200;

/// Errors come with status 200; without `Accept: application/json` everything comes as a form.
pub(super) async fn access_token(
    State(world): State<Arc<World>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answer = match Form::read(&headers, &body) {
        Some(form) => renew(&world, &headers, &form),
        None => error("bad_request", "The body could not be read."),
    };
    let wants_json = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if wants_json.contains("json") {
        return reply::json(StatusCode::OK, &answer);
    }
    reply::raw(StatusCode::OK, "application/x-www-form-urlencoded; charset=utf-8", as_form(&answer))
}

fn renew(world: &World, headers: &HeaderMap, form: &Form) -> Value {
    let app = &world.providers.github;
    if !credentials::is_app(headers, form, &app.client_id, &app.client_secret) {
        return error(
            "incorrect_client_credentials",
            "The client_id and/or client_secret passed are incorrect.",
        );
    }
    if form.get("grant_type") != Some("refresh_token") {
        return error("unsupported_grant_type", "The grant type is not supported.");
    }
    let now = world.clock.now();
    let token = form.get("refresh_token").unwrap_or_default();
    let Some((issued, access)) = rotate(world, token, now) else {
        return error("bad_refresh_token", "The refresh token passed is incorrect or expired.");
    };
    json!({
        "access_token": issued.access,
        "expires_in": access.expires.map(|end| unix(end).saturating_sub(unix(now))),
        "refresh_token": issued.refresh,
        "refresh_token_expires_in": REFRESH_LIFETIME,
        "token_type": "bearer",
        "scope": access.scopes.join(","),
    })
}

/// The old pair dies at once, and a spent refresh token ends the grant.
fn rotate(world: &World, token: &str, now: SystemTime) -> Option<(Issued, Access)> {
    let grants = &mut world.state().grants;
    grants.present(Provider::GitHub, token, Rotation::GuardsPair, now).ok()?;
    grants.renew(token, Rotation::GuardsPair, None, now)
}

fn error(code: &str, description: &str) -> Value {
    json!({"error": code, "error_description": description, "error_uri": "https://docs.github.com/apps"})
}

fn as_form(answer: &Value) -> String {
    let mut out = form_urlencoded::Serializer::new(String::new());
    for (name, value) in answer.as_object().into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        out.append_pair(name, &text);
    }
    out.finish()
}
