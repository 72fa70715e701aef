//! The user, and repositories in pages.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use http::{StatusCode, Uri};
use serde_json::{Value, json};

use super::gate::Caller;
use super::refusal;
use crate::form::Form;
use crate::reply::{self, Refused, With as _};
use crate::state::World;
use crate::state::grants::Access;

/// The API's own base, which stands in links whatever the sandbox's address is.
const API: &str = "https://api.bitbucket.org/2.0";

/// Each account's workspace, which is called after its nickname, has these repositories.
const REPOSITORIES: [&str; 3] = ["unix", "plan9", "regex"];

/// How many items a page holds unless `pagelen` says otherwise, and at most.
const PAGE: (usize, usize) = (10, 100);

/// `GET /2.0/user`, with scope `account`.
pub(super) async fn user(State(world): State<Arc<World>>, caller: Caller) -> Result<Response, Refused> {
    let access = caller.may("account")?;
    let nickname = nickname(&world, access);
    let state = world.state();
    let name = state.users.of_account(&access.account).map(|(user, _)| user.name.clone());
    let body = json!({
        "type": "user",
        "uuid": access.account.id,
        "username": nickname,
        "nickname": nickname,
        "display_name": name,
        "links": {"self": {"href": format!("{API}/users/{}", access.account.id)}},
    });
    Ok(reply::json(StatusCode::OK, &body).with("x-accepted-oauth-scopes", "account"))
}

/// `GET /2.0/repositories/{workspace}`, with scope `repository`; other workspaces than the caller's are not
/// seen.
pub(super) async fn repositories(
    State(world): State<Arc<World>>,
    Path(workspace): Path<String>,
    uri: Uri,
    caller: Caller,
) -> Result<Response, Refused> {
    let access = caller.may("repository")?;
    if workspace != nickname(&world, access) {
        return Err(refusal::not_found());
    }
    let form = Form::of_query(uri.query().unwrap_or_default());
    let number =
        |name, fallback: usize| form.get(name).and_then(|text| text.parse().ok()).unwrap_or(fallback);
    let length = number("pagelen", PAGE.0).clamp(1, PAGE.1);
    let page = number("page", 1).max(1);
    let body = paged(&workspace, page, length);
    Ok(reply::json(StatusCode::OK, &body).with("x-accepted-oauth-scopes", "repository"))
}

fn paged(workspace: &str, page: usize, length: usize) -> Value {
    let end = page.saturating_mul(length);
    let names = REPOSITORIES.iter().skip(end - length).take(length);
    let values: Vec<Value> = names.map(|name| shown(workspace, name)).collect();
    let mut body = json!({"values": values, "pagelen": length, "size": REPOSITORIES.len(), "page": page});
    if end < REPOSITORIES.len() {
        body["next"] = json!(format!("{API}/repositories/{workspace}?pagelen={length}&page={}", page + 1));
    }
    body
}

fn shown(workspace: &str, name: &str) -> Value {
    json!({"type": "repository", "name": name, "full_name": format!("{workspace}/{name}"), "is_private": true})
}

fn nickname(world: &World, access: &Access) -> String {
    let state = world.state();
    state.users.of_account(&access.account).map(|(_, one)| one.nickname.clone()).unwrap_or_default()
}
