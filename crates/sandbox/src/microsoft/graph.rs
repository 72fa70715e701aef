//! Microsoft Graph. <https://learn.microsoft.com/graph/errors>

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};

use super::access::{self, Unfit};
use crate::clock::{rfc3339, unix};
use crate::form::Form;
use crate::reply::{self, Refused, With as _};
use crate::secrets;
use crate::state::World;
use crate::state::grants::{Access, GRAPH};

/// The span of a mailbox's quota: <https://learn.microsoft.com/graph/throttling-limits>
const TEN_MINUTES: Duration = Duration::from_secs(600);

/// Each mailbox has these messages.
const SUBJECTS: [&str; 5] = ["Welcome", "Agenda", "Minutes", "Invoice", "Goodbye"];

/// How many messages a page holds unless `$top` says otherwise.
const PAGE: usize = 10;

/// `GET /v1.0/me`, with scope `User.Read`.
pub(super) async fn me(State(world): State<Arc<World>>, headers: HeaderMap) -> Result<Response, Refused> {
    let access = enter(&world, &headers)?;
    if !access.has_any(&["User.Read", "User.ReadWrite"]) {
        let text = "Insufficient privileges to complete the operation.";
        return Err(failure(&world, StatusCode::FORBIDDEN, "Authorization_RequestDenied", text).into());
    }
    let state = world.state();
    let found = state.users.of_account(&access.account).map(|(user, _)| user);
    let body = json!({
        "@odata.context": format!("{GRAPH}/v1.0/$metadata#users/$entity"),
        "id": access.account.id,
        "displayName": found.map(|user| user.name.as_str()),
        "mail": found.map(|user| user.email.as_str()),
        "userPrincipalName": found.map(|user| user.email.as_str()),
    });
    Ok(answer(StatusCode::OK, &body))
}

/// `GET /v1.0/me/messages`, with scope `Mail.Read`, in pages with an `@odata.nextLink`.
pub(super) async fn messages(
    State(world): State<Arc<World>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let access = enter(&world, &headers)?;
    if !access.has_any(&["Mail.Read", "Mail.ReadWrite"]) {
        let text = "Access is denied. Check credentials and try again.";
        return Err(failure(&world, StatusCode::FORBIDDEN, "ErrorAccessDenied", text).into());
    }
    let form = Form::of_query(uri.query().unwrap_or_default());
    let number = |name| form.get(name).and_then(|text| text.parse::<usize>().ok());
    let (top, skip) = (number("$top").unwrap_or(PAGE).clamp(1, 1000), number("$skip").unwrap_or(0));
    let subjects = SUBJECTS.iter().zip(1..).skip(skip).take(top);
    let value: Vec<Value> =
        subjects.map(|(subject, id)| json!({"id": format!("AAMk{id}"), "subject": subject})).collect();
    let mut body =
        json!({"@odata.context": format!("{GRAPH}/v1.0/$metadata#users('me')/messages"), "value": value});
    let next = skip.saturating_add(top);
    if next < SUBJECTS.len() {
        let link = format!("{GRAPH}/v1.0/me/messages?%24top={top}&%24skip={next}");
        body["@odata.nextLink"] = json!(link);
    }
    Ok(answer(StatusCode::OK, &body))
}

/// 400 for a path that Graph does not know: it takes it for a segment of a resource.
pub(super) fn not_found() -> Response {
    let error = json!({"error": {"code": "BadRequest", "message": "Resource not found for the segment."}});
    answer(StatusCode::BAD_REQUEST, &error)
}

/// The token, then the quota.
fn enter(world: &World, headers: &HeaderMap) -> Result<Access, Refused> {
    let access = access::check(world, headers, GRAPH).map_err(|unfit| unauthorized(world, unfit))?;
    let limit = world.providers.microsoft.requests_per_ten_minutes;
    let standing = world.count(&access.account, limit, TEN_MINUTES);
    if standing.allowed {
        return Ok(access);
    }
    let wait = standing.reset.saturating_sub(unix(world.clock.now())).max(1);
    let text = "Too many requests. Please retry after the time that Retry-After names.";
    let refused = failure(world, StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", text);
    Err(refused.with("retry-after", wait).into())
}

/// <https://learn.microsoft.com/graph/resolve-auth-errors>
fn unauthorized(world: &World, unfit: Unfit) -> Refused {
    let text = match unfit {
        Unfit::Absent => "Access token is empty.",
        Unfit::Audience => "Access token validation failure. Invalid audience.",
        Unfit::Dead => "Access token has expired or is not yet valid.",
        Unfit::Unknown => "CompactToken parsing failed with error code: 80049217",
    };
    let challenge = "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", \
                     client_id=\"00000003-0000-0000-c000-000000000000\"";
    let refused = failure(world, StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken", text);
    refused.with("www-authenticate", challenge).into()
}

fn failure(world: &World, status: StatusCode, code: &str, message: &str) -> Response {
    let id = secrets::hex(&secrets::bytes::<16>());
    let inner = json!({"date": rfc3339(world.clock.now()), "request-id": id, "client-request-id": id});
    answer(status, &json!({"error": {"code": code, "message": message, "innerError": inner}}))
}

fn answer(status: StatusCode, body: &Value) -> Response {
    reply::json(status, body)
        .with("content-type", "application/json;odata.metadata=minimal;odata.streaming=true;charset=utf-8")
        .with("request-id", secrets::hex(&secrets::bytes::<16>()))
}
