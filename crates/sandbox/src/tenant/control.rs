//! Steering the sandbox over HTTP, under `/sandbox/`: for people, and for tests in other languages.

mod fault;

use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use http::{StatusCode, Uri};
use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::error::SandboxError;
use crate::form::Form;
use crate::journal::redacted;
use crate::reply::{self, Refused};
use crate::state::users::{Identity, LoginKind, User};
use crate::state::{State as Changing, World};

/// The endpoints. None of them answers a token, and none is written into the journal.
pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/sandbox/journal", get(journal).delete(clear_journal))
        .route("/sandbox/faults", get(faults).post(script).delete(clear_faults))
        .route("/sandbox/reuse", get(reuse))
        .route("/sandbox/users", get(users))
        .route("/sandbox/users/{id}/{connection}/{action}", post(change))
        .route("/sandbox/users/{id}/{connection}/link-to/{other}", post(link))
        .route("/sandbox/clock/{by}", post(advance))
        .fallback(async || {
            problem(StatusCode::NOT_FOUND, "journal, faults, reuse, users and clock are under /sandbox/")
        })
        .with_state(world)
}

async fn journal(State(world): State<Arc<World>>, uri: Uri) -> Result<Response, Refused> {
    let after = after(&uri).map_err(|text| problem(StatusCode::BAD_REQUEST, &text))?;
    let entries = world.journal.entries();
    let newer = entries.iter().filter(|entry| entry.number > after);
    Ok(reply::pretty(StatusCode::OK, &newer.map(redacted).collect()))
}

/// `?after=NUMBER`: only what arrived after that entry.
fn after(uri: &Uri) -> Result<u64, String> {
    let form = Form::of_query(uri.query().unwrap_or_default());
    let Some(text) = form.get("after") else { return Ok(0) };
    text.parse().map_err(|_| format!("{text:?} is not the number of an entry"))
}

async fn clear_journal(State(world): State<Arc<World>>) -> StatusCode {
    world.journal.clear();
    StatusCode::NO_CONTENT
}

/// What waits, without bodies of answers.
async fn faults(State(world): State<Arc<World>>) -> Response {
    reply::pretty(StatusCode::OK, &world.faults.waiting().iter().map(fault::shown).collect())
}

async fn script(State(world): State<Arc<World>>, body: Bytes) -> Result<StatusCode, Refused> {
    let fault = fault::read(&body, &world.domain, &world.providers.generic);
    let fault = fault.map_err(|text| problem(StatusCode::BAD_REQUEST, &text))?;
    world.faults.script(fault);
    Ok(StatusCode::NO_CONTENT)
}

async fn clear_faults(State(world): State<Arc<World>>) -> StatusCode {
    world.faults.clear();
    StatusCode::NO_CONTENT
}

async fn advance(State(world): State<Arc<World>>, Path(by): Path<String>) -> Result<StatusCode, Refused> {
    let time = humantime::parse_duration(&by).map_err(|error| {
        problem(StatusCode::BAD_REQUEST, &format!("{by:?} is not a duration like 90s or 1h: {error}"))
    })?;
    world.clock.advance(time);
    Ok(StatusCode::NO_CONTENT)
}

/// How often dead refresh tokens were used again.
async fn reuse(State(world): State<Arc<World>>) -> Response {
    let reuse = world.state().grants.reuse();
    let shown = json!({"requests": reuse.requests, "families_revoked": reuse.families_revoked});
    reply::pretty(StatusCode::OK, &shown)
}

async fn users(State(world): State<Arc<World>>) -> Response {
    let now = world.clock.now();
    let state = world.state();
    reply::pretty(StatusCode::OK, &state.users.iter().map(|user| shown(&state, user, now)).collect())
}

fn shown(state: &Changing, user: &User, now: SystemTime) -> Value {
    let identities: Vec<Value> = user.identities.iter().map(|one| shown_identity(state, one, now)).collect();
    json!({
        "user_id": user.id, "name": user.name, "last_login": rfc3339(user.last_login), "identities": identities,
    })
}

fn shown_identity(state: &Changing, identity: &Identity, now: SystemTime) -> Value {
    let access = identity.access_token.as_deref().and_then(|token| state.grants.find(token));
    let token = match (access, &identity.access_token) {
        (Some(access), _) => {
            access.death(now).map_or_else(|| "alive".to_owned(), |death| format!("{death:?}"))
        }
        (None, Some(_)) => "not issued by a provider of the sandbox".to_owned(),
        (None, None) => "none".to_owned(),
    };
    json!({
        "connection": identity.connection,
        "provider": identity.strategy,
        "user_id": identity.user_id,
        "logged_in": rfc3339(identity.logged_in),
        "access_token": token.to_lowercase(),
        "expires_at": access.and_then(|one| one.expires).map(rfc3339),
        "scopes": access.map(|one| &one.scopes),
        "refresh_token": identity.refresh_token.is_some(),
    })
}

const ACTIONS: &str = "log-in, consent, expire, expire-all, revoke, change-password, forget and unlink";

async fn change(
    State(world): State<Arc<World>>,
    Path((id, connection, action)): Path<(String, String, String)>,
) -> Result<StatusCode, Refused> {
    let now = world.clock.now();
    let mut state = world.state();
    let done = match action.as_str() {
        "log-in" => state.log_in(&id, &connection, LoginKind::default(), now).map(drop),
        "consent" => state.log_in(&id, &connection, LoginKind::consent(), now).map(drop),
        "expire" => state.expire_token(&id, &connection, now),
        "expire-all" => state.expire_all(&id, &connection, now),
        "revoke" => state.revoke_token(&id, &connection),
        "change-password" => state.change_password(&id, &connection),
        "forget" => state.forget_token(&id, &connection),
        "unlink" => state.unlink(&id, &connection),
        _ => {
            let text = format!("no action {action:?}; there are {ACTIONS}");
            return Err(problem(StatusCode::NOT_FOUND, &text).into());
        }
    };
    done.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn link(
    State(world): State<Arc<World>>,
    Path((id, connection, other)): Path<(String, String, String)>,
) -> Result<StatusCode, Refused> {
    world.state().link(&other, &id, &connection).map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn refused(error: SandboxError) -> Refused {
    problem(StatusCode::NOT_FOUND, &error.to_string()).into()
}

fn problem(status: StatusCode, text: &str) -> Response {
    reply::pretty(status, &json!({"error": text}))
}
