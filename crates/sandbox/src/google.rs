//! Google's APIs, as far as the sandbox plays them.

mod access;
mod calendar;
mod drive;
mod gmail;
mod oauth;
mod person;
mod refusal;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use http::StatusCode;

use super::reply;
use super::state::World;

/// All of Google's hosts share one table, since no two of their paths collide.
pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/oauth2/v3/userinfo", get(person::userinfo))
        .route("/v1/userinfo", get(person::userinfo))
        .route("/v1/people/me", get(person::people_me))
        .route("/calendar/v3/users/me/calendarList", get(calendar::list))
        .route("/calendar/v3/calendars/{calendar}/events", get(calendar::events).post(calendar::insert))
        .route("/gmail/v1/users/{user}/messages", get(gmail::messages))
        .route("/upload/drive/v3/files", post(drive::upload))
        .route("/drive/v3/files/{id}", get(drive::download))
        .route("/v4/spreadsheets/{id}", get(person::spreadsheet))
        .route("/token", post(oauth::token))
        .route("/revoke", post(oauth::revoke))
        .route("/tokeninfo", get(oauth::tokeninfo))
        .fallback(async || reply::raw(StatusCode::NOT_FOUND, "text/html; charset=UTF-8", NOT_FOUND))
        .method_not_allowed_fallback(async || {
            reply::raw(StatusCode::NOT_FOUND, "text/html; charset=UTF-8", NOT_FOUND)
        })
        .with_state(world)
}

/// What Google's front end answers for a path that no API has: a page, not JSON.
const NOT_FOUND: &str =
    "<!DOCTYPE html><html lang=en><title>Error 404 (Not Found)!!1</title><p><b>404.</b> That's an error.";
