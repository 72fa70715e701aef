//! The API: who the user is, and things in pages.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};

use super::Own;
use crate::form::Form;
use crate::reply::{self, Refused, With as _};

/// How many things there are, and on a page.
const THINGS: usize = 5;
const PAGE: usize = 2;

/// `GET /v1/me`, with scope `profile`.
pub(super) async fn me(State(own): State<Own>, headers: HeaderMap) -> Result<Response, Refused> {
    let access = own.allow(&headers, "profile")?;
    let state = own.world.state();
    let found = state.users.of_account(&access.account);
    let answer = json!({
        "id": access.account.id,
        "name": found.map(|(user, _)| user.name.as_str()),
        "email": found.map(|(user, _)| user.email.as_str()),
    });
    Ok(reply::json(StatusCode::OK, &answer))
}

/// `GET /v1/things?page=`, with scope `things.read`: two on a page, and a `Link` to the next.
pub(super) async fn things(
    State(own): State<Own>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    own.allow(&headers, "things.read")?;
    let form = Form::of_query(uri.query().unwrap_or_default());
    let page = form.get("page").and_then(|text| text.parse::<usize>().ok()).unwrap_or(1).max(1);
    let numbers = (1..=THINGS).skip((page - 1).saturating_mul(PAGE)).take(PAGE);
    let items: Vec<Value> = numbers.map(|id| json!({"id": id, "name": format!("Thing {id}")})).collect();
    let response = reply::json(StatusCode::OK, &json!({"page": page, "items": items}));
    if page.saturating_mul(PAGE) >= THINGS {
        return Ok(response);
    }
    let next = format!("<https://{}/v1/things?page={}>; rel=\"next\"", own.seed.api_host, page + 1);
    Ok(response.with("link", next))
}
