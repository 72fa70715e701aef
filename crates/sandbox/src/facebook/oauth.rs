//! Longer-lived tokens, inspection, and removing the app.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};

use super::access::Caller;
use super::refusal;
use crate::clock::unix;
use crate::credentials;
use crate::form::Form;
use crate::reply::{self, Refused};
use crate::secrets;
use crate::state::World;
use crate::state::account::Provider;
use crate::state::grants::{Access, Death, Issue};

/// About 60 days, the life of a long-lived token.
const LONG_LIFE: Duration = Duration::from_secs(5_183_944);

/// The data access of an app ends 90 days after the login.
const DATA_ACCESS: Duration = Duration::from_secs(90 * 86_400);

/// `GET /oauth/access_token?grant_type=fb_exchange_token`: a new long-lived token for one that still lives;
/// the old lives on.
pub(super) async fn exchange(
    State(world): State<Arc<World>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let form = Form::of_query(uri.query().unwrap_or_default());
    let app = &world.providers.facebook;
    if !credentials::is_app(&headers, &form, &app.client_id, &app.client_secret) {
        return Err(refusal::invalid_argument(1, "Error validating client secret."));
    }
    if form.get("grant_type") != Some("fb_exchange_token") {
        return Err(refusal::invalid_argument(1, "Invalid grant_type"));
    }
    let now = world.clock.now();
    let token = form.get("fb_exchange_token").unwrap_or_default();
    let mut state = world.state();
    let old = state.grants.check(Provider::Facebook, token, now);
    let old = old.map_err(|death| refusal::dead_token(death, now, &app.client_id))?;
    let issued = state.grants.issue(Issue {
        account: old.account,
        scopes: old.scopes,
        resource: None,
        issued: now,
        lifetime: Some(LONG_LIFE),
        access: None,
        refresh: None,
    });
    let answer =
        json!({"access_token": issued.access, "token_type": "bearer", "expires_in": LONG_LIFE.as_secs()});
    Ok(reply::json(StatusCode::OK, &answer))
}

/// `GET /debug_token?input_token=`, with `APPID|SECRET` as access token: the one inspection that tells the
/// issue time.
pub(super) async fn debug_token(
    State(world): State<Arc<World>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let form = Form::of_query(uri.query().unwrap_or_default());
    let app = &world.providers.facebook;
    let own = format!("{}|{}", app.client_id, app.client_secret);
    let shown = credentials::bearer(&headers).or(form.get("access_token")).unwrap_or_default();
    if !secrets::same(shown, &own) {
        return Err(refusal::invalid_argument(190, "Invalid OAuth access token."));
    }
    let Some(input) = form.get("input_token") else {
        return Err(refusal::invalid_argument(100, "(#100) The parameter input_token is required"));
    };
    let state = world.state();
    let access = state.grants.find(input).filter(|one| one.account.provider == Provider::Facebook);
    let now = world.clock.now();
    let data = access.map_or_else(unknown, |access| known(&app.client_id, access, access.death(now)));
    Ok(reply::json(StatusCode::OK, &json!({"data": data})))
}

fn unknown() -> Value {
    json!({"is_valid": false, "scopes": [], "error": {"code": 190, "message": "Invalid OAuth access token."}})
}

fn known(app: &str, access: &Access, death: Option<Death>) -> Value {
    let mut data = json!({
        "app_id": app,
        "type": "USER",
        "application": "sandbox",
        "user_id": access.account.id,
        "is_valid": death.is_none(),
        "issued_at": unix(access.issued),
        "expires_at": access.expires.map_or(0, unix),
        "data_access_expires_at": unix(access.issued + DATA_ACCESS),
        "scopes": access.scopes,
    });
    if let Some(death) = death {
        let subcode = subcode(death);
        data["error"] = json!({"code": 190, "subcode": subcode, "message": "Error validating access token"});
    }
    data
}

fn subcode(death: Death) -> Option<u32> {
    match death {
        Death::Unknown => None,
        Death::Expired => Some(463),
        Death::Revoked | Death::AppRemoved => Some(458),
        Death::PasswordChanged => Some(460),
    }
}

/// `DELETE /{user}/permissions`: the app is removed, and every token of the user dies.
pub(super) async fn remove_app(
    State(world): State<Arc<World>>,
    Path(user): Path<String>,
    caller: Caller,
) -> Result<Response, Refused> {
    own(&caller, &user)?;
    world.state().grants.end_account(&caller.access.account, Death::AppRemoved);
    Ok(caller.told(reply::json(StatusCode::OK, &json!({"success": true}))))
}

/// `DELETE /{user}/permissions/{permission}`: the tokens live on without it.
pub(super) async fn remove_permission(
    State(world): State<Arc<World>>,
    Path((user, permission)): Path<(String, String)>,
    caller: Caller,
) -> Result<Response, Refused> {
    own(&caller, &user)?;
    let left: Vec<String> = caller.access.scopes.iter().filter(|one| **one != permission).cloned().collect();
    world.state().grants.set_scopes(&caller.access.account, &left);
    Ok(caller.told(reply::json(StatusCode::OK, &json!({"success": true}))))
}

fn own(caller: &Caller, user: &str) -> Result<(), Refused> {
    if user == "me" || user == caller.access.account.id {
        return Ok(());
    }
    Err(refusal::invalid_argument(100, "Unsupported delete request. Object does not exist or is not yours."))
}
