//! The Management API: `GET /api/v2/users/{id}`.

mod access;
mod refusal;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State, rejection::PathRejection};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::{HeaderMap, StatusCode, Uri};
use serde_json::Value;

use super::profile;
use crate::form::Form;
use crate::limits::Standing;
use crate::reply::{self, Refused, With as _};
use crate::state::World;

/// Auth0 accepts ids up to here.
const ID_BYTES: usize = 1024;

/// The Management API's endpoints, behind its rate limit.
pub(crate) fn router(world: Arc<World>) -> Router {
    let api = Router::new()
        .route("/users/{id}", get(read_user).fallback(async || refusal::not_found()))
        .fallback(async || refusal::not_found())
        .with_state(Arc::clone(&world));
    Router::new().nest("/api/v2", api.layer(middleware::from_fn_with_state(world, limit)))
}

/// Every answer tells how full the tenant's bucket is; an empty one refuses before anything is looked at.
async fn limit(State(world): State<Arc<World>>, request: Request, next: Next) -> Response {
    let now = world.clock.now();
    let standing = world.state().bucket.take(now);
    let response = match standing.allowed {
        true => next.run(request).await,
        false => refusal::too_many_requests().into_response(),
    };
    told(response, standing)
}

fn told(response: Response, standing: Standing) -> Response {
    response
        .with("x-ratelimit-limit", standing.limit)
        .with("x-ratelimit-remaining", standing.remaining)
        .with("x-ratelimit-reset", standing.reset)
}

async fn read_user(
    State(world): State<Arc<World>>,
    id: Result<Path<String>, PathRejection>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    // axum splits the raw path and decodes each part once, so that `%2F` stays inside the id.
    let id = id.map(|Path(id)| id).unwrap_or_default();
    let profile = read(&world, &id, uri.query().unwrap_or_default(), &headers)?;
    Ok(reply::json(StatusCode::OK, &profile))
}

fn read(world: &World, id: &str, query: &str, headers: &HeaderMap) -> Result<Value, Refused> {
    let bearer = access::bearer(world, headers)?;
    if !id.contains('|') || id.len() > ID_BYTES {
        return Err(refusal::invalid_id(id));
    }
    let (fields, include) = asked_fields(query)?;
    bearer.may_read(id)?;
    let state = world.state();
    let user = state.users.get(id).ok_or_else(refusal::no_such_user)?;
    let whole = profile::of(user, bearer.has("read:user_idp_tokens"));
    Ok(Value::Object(profile::select(whole, fields.as_deref(), include)))
}

fn asked_fields(query: &str) -> Result<(Option<String>, bool), Refused> {
    for (name, _) in url::form_urlencoded::parse(query.as_bytes()) {
        if name != "fields" && name != "include_fields" {
            return Err(refusal::invalid_query(&format!("Additional properties not allowed: {name}")));
        }
    }
    let form = Form::of_query(query);
    let include = match form.get("include_fields") {
        None | Some("true") => true,
        Some("false") => false,
        Some(_) => return Err(refusal::invalid_query("Expected type boolean on property include_fields")),
    };
    Ok((form.get("fields").map(str::to_owned), include))
}
