//! `/applications/{client_id}/...`: the app inspects and revokes its users' tokens.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::refusal;
use crate::clock::rfc3339;
use crate::credentials;
use crate::reply::{self, Refused};
use crate::secrets;
use crate::state::World;
use crate::state::account::Provider;
use crate::state::grants::{Access, Death};

/// `POST .../token`: what is known of a living token; 404 for a dead one.
pub(super) async fn inspect(
    State(world): State<Arc<World>>,
    Path(client): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let (token, access) = named_token(&world, &client, &headers, &body)?;
    let state = world.state();
    let login = state.users.of_account(&access.account).map(|(_, identity)| identity.nickname.clone());
    let answer = json!({
        "app": {"client_id": client, "name": "sandbox", "url": "https://sandbox.example"},
        "token": token,
        "token_last_eight": token.get(token.len().saturating_sub(8)..),
        "hashed_token": secrets::fingerprint(&token),
        "scopes": access.scopes,
        "created_at": rfc3339(access.issued),
        "expires_at": access.expires.map(rfc3339),
        "user": {"login": login, "id": access.account.id.parse::<u64>().ok()},
    });
    Ok(reply::json(StatusCode::OK, &answer))
}

/// `DELETE .../token`: this access token dies, the user's grant lives on.
pub(super) async fn revoke(
    State(world): State<Arc<World>>,
    Path(client): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let (token, _) = named_token(&world, &client, &headers, &body)?;
    world.state().grants.end(&token, Death::Revoked);
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

/// `DELETE .../grant`: everything that the app holds of the user dies.
pub(super) async fn revoke_grant(
    State(world): State<Arc<World>>,
    Path(client): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let (_, access) = named_token(&world, &client, &headers, &body)?;
    world.state().grants.end_account(&access.account, Death::Revoked);
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

/// The living token that the body names, for an app that proved itself by `Basic`.
fn named_token(
    world: &World,
    client: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<(String, Access), Refused> {
    let app = &world.providers.github;
    let basic = credentials::basic(headers).ok_or_else(refusal::requires_authentication)?;
    let proven = basic.0 == app.client_id && secrets::same(&basic.1, &app.client_secret);
    if !proven || client != app.client_id {
        return Err(refusal::not_found());
    }
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let token =
        asked["access_token"].as_str().ok_or_else(|| refusal::unprocessable("access_token is missing"))?;
    let access = world.state().grants.check(Provider::GitHub, token, world.clock.now());
    Ok((token.to_owned(), access.map_err(|_| refusal::not_found())?))
}
