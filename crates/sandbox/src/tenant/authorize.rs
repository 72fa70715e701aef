//! `/authorize`: the authorization code flow with PKCE, and a plain page to choose a user on.

mod page;

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{StatusCode, Uri};
use serde_json::json;
use url::Url;

use super::end_user_token;
use crate::clock::unix;
use crate::form::{Form, refusal};
use crate::reply::{self, Refused};
use crate::secrets;
use crate::state::World;
use crate::state::clients::Code;
use crate::state::users::{Identity, LoginKind};

/// Auth0's codes are good for a short time only.
const CODE_LIFETIME: Duration = Duration::from_secs(600);

/// The name under which the page sends the chosen user back; not a parameter of Auth0's.
const CHOSEN: &str = "sandbox_user";

/// Shows the page, or sends the browser back with a code or an error.
pub(crate) async fn show(State(world): State<Arc<World>>, uri: Uri) -> Response {
    let query = uri.query().unwrap_or_default();
    let form = Form::of_query(query);
    let back = match way_back(&world, &form) {
        Ok(back) => back,
        Err(refused) => return refused.into_response(),
    };
    if form.get("response_type") != Some("code") {
        return send_back(back, &form, &[("error", "unsupported_response_type")]);
    }
    if form.get("code_challenge").is_some() && form.get("code_challenge_method") != Some("S256") {
        return send_back(back, &form, &[("error", "invalid_request")]);
    }
    match (form.get(CHOSEN), form.get("prompt")) {
        (Some(user), _) => logged_in(&world, back, &form, user),
        (None, Some("none")) => send_back(back, &form, &[("error", "login_required")]),
        (None, _) => page::choose_user(&world, query, &form),
    }
}

/// Where the browser goes back to: only to what the client registered, compared byte for byte.
fn way_back(world: &World, form: &Form) -> Result<Url, Refused> {
    let client = form.get("client_id").unwrap_or_default();
    let uri = form.get("redirect_uri").unwrap_or_default();
    let state = world.state();
    let Some(client) = state.clients.iter().find(|one| one.id() == client) else {
        return Err(page::oops(StatusCode::FORBIDDEN, "Unknown client").into());
    };
    let registered = client.returns_to(uri).then(|| Url::parse(uri).ok()).flatten();
    registered.ok_or_else(|| page::oops(StatusCode::FORBIDDEN, "Callback URL mismatch").into())
}

fn send_back(mut back: Url, form: &Form, pairs: &[(&str, &str)]) -> Response {
    back.query_pairs_mut().extend_pairs(pairs);
    if let Some(state) = form.get("state") {
        back.query_pairs_mut().append_pair("state", state);
    }
    reply::redirect(StatusCode::FOUND, back.as_str())
}

fn logged_in(world: &World, back: Url, form: &Form, user: &str) -> Response {
    if !log_in(world, form, user) {
        let text = "The user has no identity of that connection";
        return send_back(back, form, &[("error", "access_denied"), ("error_description", text)]);
    }
    let code = secrets::opaque();
    let owned = |name: &str| form.get(name).map(str::to_owned);
    let record = Code {
        client_id: owned("client_id").unwrap_or_default(),
        redirect_uri: owned("redirect_uri").unwrap_or_default(),
        user: user.to_owned(),
        audience: owned("audience"),
        scope: owned("scope").unwrap_or_default(),
        nonce: owned("nonce"),
        challenge: owned("code_challenge"),
        expires: world.clock.now() + CODE_LIFETIME,
    };
    world.state().codes.insert(code.clone(), record);
    send_back(back, form, &[("code", &code)])
}

/// The login at the provider behind it, with the scopes of `connection_scope` added to the grant.
fn log_in(world: &World, form: &Form, user: &str) -> bool {
    let now = world.clock.now();
    let mut state = world.state();
    let Some(found) = state.users.get(user) else { return false };
    let first = found.identities.first().map(|one| one.connection.clone());
    let Some(connection) = form.get("connection").map(str::to_owned).or(first) else { return false };
    match state.users.identity(user, &connection).map(Identity::account) {
        Ok(Some(_)) => state.log_in(user, &connection, kind(form), now).is_ok(),
        Ok(None) => state.note_login(user, now).is_ok(),
        Err(_) => false,
    }
}

fn kind(form: &Form) -> LoginKind {
    let scopes = form.get("connection_scope").unwrap_or_default();
    let split = scopes.split([',', ' ']).map(str::trim).filter(|scope| !scope.is_empty());
    let consent = form.get("prompt") == Some("consent") || form.get("approval_prompt") == Some("force");
    LoginKind {
        more_scopes: split.map(str::to_owned).collect(),
        offline_consent: consent && form.get("access_type") == Some("offline"),
    }
}

/// `grant_type=authorization_code` at `/oauth/token`: a code is good once, for its client and its redirect
/// URI.
pub(crate) fn exchange(world: &World, client: &str, form: &Form) -> Result<Response, Refused> {
    let code = form.get("code").unwrap_or_default();
    let now = world.clock.now();
    let code = world.state().codes.remove(code).filter(|code| code.client_id == client && now < code.expires);
    let code = code.ok_or_else(|| invalid_grant("Invalid authorization code"))?;
    if form.get("redirect_uri") != Some(code.redirect_uri.as_str()) {
        return Err(invalid_grant("The redirect URI is wrong."));
    }
    if !proves(world, client, form, code.challenge.as_deref()) {
        return Err(invalid_grant("Failed to verify code verifier"));
    }
    Ok(reply::json(StatusCode::OK, &tokens(world, client, &code)))
}

fn invalid_grant(text: &str) -> Refused {
    refusal(StatusCode::FORBIDDEN, "invalid_grant", text)
}

/// A public client has nothing but the verifier to prove that it began the flow.
fn proves(world: &World, client: &str, form: &Form, challenge: Option<&str>) -> bool {
    let Some(challenge) = challenge else {
        return !world.state().clients.iter().any(|one| one.id() == client && one.is_public());
    };
    let digest = digest::digest(&digest::SHA256, form.get("code_verifier").unwrap_or_default().as_bytes());
    secrets::same(&URL_SAFE_NO_PAD.encode(digest.as_ref()), challenge)
}

fn tokens(world: &World, client: &str, code: &Code) -> serde_json::Value {
    let lifetime = code.audience.as_deref().and_then(|audience| world.lifetime_for(audience));
    let access = match (&code.audience, lifetime) {
        (Some(audience), Some(_)) => end_user_token(world, &code.user, audience, &code.scope),
        // Without an audience the token opens /userinfo at most and says nothing.
        _ => secrets::opaque(),
    };
    let seconds = lifetime.map_or(86_400, |lifetime| lifetime.as_secs());
    let mut answer =
        json!({"access_token": access, "scope": code.scope, "expires_in": seconds, "token_type": "Bearer"});
    if code.scope.split(' ').any(|scope| scope == "openid") {
        answer["id_token"] = json!(id_token(world, client, code));
    }
    answer
}

/// Who logged in, with name and address where the scopes `profile` and `email` asked for them.
fn id_token(world: &World, client: &str, code: &Code) -> String {
    let now = unix(world.clock.now());
    let mut claims = json!({
        "iss": world.issuer(), "sub": code.user, "aud": client, "iat": now, "exp": now + 36_000, "nonce": code.nonce,
    });
    if let Some(user) = world.state().users.get(&code.user) {
        let asked = |wanted| code.scope.split(' ').any(|scope| scope == wanted);
        let told = [("profile", "name", &user.name), ("email", "email", &user.email)];
        told.into_iter().filter(|(scope, ..)| asked(*scope)).for_each(|(_, name, value)| {
            claims[name] = json!(value);
        });
    }
    world.key().sign(&claims)
}
