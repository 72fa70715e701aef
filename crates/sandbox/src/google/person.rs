//! Who the user is; and a spreadsheet API that a project may have switched off.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::access::Method;
use super::refusal;
use crate::reply::{self, Refused};
use crate::state::World;

const USERINFO: Method = Method {
    service: "openidconnect.googleapis.com",
    name: "google.identity.openidconnect.UserInfo",
    scopes: &[
        "openid",
        "https://www.googleapis.com/auth/userinfo.profile",
        "https://www.googleapis.com/auth/userinfo.email",
    ],
};

const PEOPLE: Method = Method {
    service: "people.googleapis.com",
    name: "google.people.v1.PeopleService.GetPerson",
    scopes: &["https://www.googleapis.com/auth/userinfo.profile"],
};

const SPREADSHEET: Method = Method {
    service: "sheets.googleapis.com",
    name: "google.apps.sheets.v4.SpreadsheetsService.GetSpreadsheet",
    scopes: &[
        "https://www.googleapis.com/auth/spreadsheets",
        "https://www.googleapis.com/auth/spreadsheets.readonly",
    ],
};

/// `GET /oauth2/v3/userinfo` and `GET openidconnect.googleapis.com/v1/userinfo`.
pub(super) async fn userinfo(
    State(world): State<Arc<World>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let access = USERINFO.allow(&world, &headers)?;
    let mut answer = json!({"sub": access.account.id});
    let state = world.state();
    if let Some((user, _)) = state.users.of_account(&access.account) {
        if access.has_any(&["https://www.googleapis.com/auth/userinfo.email", "email"]) {
            answer["email"] = json!(user.email);
            answer["email_verified"] = json!(true);
        }
        if access.has_any(&["https://www.googleapis.com/auth/userinfo.profile", "profile"]) {
            answer["name"] = json!(user.name);
        }
    }
    Ok(reply::json(StatusCode::OK, &answer))
}

/// `GET people.googleapis.com/v1/people/me`.
pub(super) async fn people_me(
    State(world): State<Arc<World>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let access = PEOPLE.allow(&world, &headers)?;
    let state = world.state();
    let name = state.users.of_account(&access.account).map(|(user, _)| user.name.clone());
    let answer = json!({
        "resourceName": format!("people/{}", access.account.id),
        "etag": "%EgUBAi43PRoEAQIFByIM",
        "names": [{"displayName": name, "metadata": {"primary": true}}],
    });
    Ok(reply::json(StatusCode::OK, &answer))
}

/// `GET sheets.googleapis.com/v4/spreadsheets/{id}`: nobody in the sandbox has a spreadsheet.
pub(super) async fn spreadsheet(
    State(world): State<Arc<World>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    SPREADSHEET.allow(&world, &headers)?;
    Err(refusal::not_found("Requested entity was"))
}
