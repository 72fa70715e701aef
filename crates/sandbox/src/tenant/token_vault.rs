//! Token Vault at `POST /oauth/token`: a token of the provider for a subject token, of a worker or of an end
//! user.

use std::net::IpAddr;

use axum::response::Response;
use http::StatusCode;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::json;

use crate::clock::unix;
use crate::form::{Form, refusal};
use crate::reply::{self, Refused};
use crate::seed::PrivilegedWorkerSeed;
use crate::state::World;

/// The grant type of all exchanges.
pub(super) const GRANT_TYPE: &str =
    "urn:auth0:params:oauth:grant-type:token-exchange:federated-connection-access-token";

const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const VAULT_TOKEN: &str = "http://auth0.com/oauth/token-type/token-vault-access-token";
const CONNECTION_TOKEN: &str = "http://auth0.com/oauth/token-type/federated-connection-access-token";

/// A worker's subject token is refused when it is older, in seconds, whatever its `exp` says.
const SUBJECT_AGE: u64 = 60;

/// How far the clocks may differ.
const SKEW: u64 = 10;

/// What a worker signs.
#[derive(Deserialize)]
struct Subject {
    sub: String,
    iat: u64,
    jti: String,
    audit_context: String,
    exp: Option<u64>,
}

/// An access token of the tenant.
#[derive(Deserialize)]
struct UserToken {
    sub: String,
    exp: u64,
}

/// Exchanges the subject token of the request, for a client that has proved itself.
pub(super) fn exchange(world: &World, client: &str, form: &Form) -> Result<Response, Refused> {
    let subject_token = required(form, "subject_token")?;
    let subject_type = required(form, "subject_token_type")?;
    let requested = required(form, "requested_token_type")?;
    let connection = required(form, "connection")?;
    let (subject, expected) = match subject_type {
        JWT => (Kind::Worker, VAULT_TOKEN),
        ACCESS_TOKEN => (Kind::EndUser, CONNECTION_TOKEN),
        _ => return Err(invalid("Unsupported subject_token_type")),
    };
    if requested != expected {
        return Err(invalid("Unsupported requested_token_type"));
    }
    let user = match subject {
        Kind::Worker => by_worker(world, client, subject_token, connection)?,
        Kind::EndUser => by_end_user(world, client, subject_token)?,
    };
    answer(world, &user, connection, form.get("login_hint"), requested)
}

/// Who signed the subject token.
enum Kind {
    Worker,
    EndUser,
}

fn answer(
    world: &World,
    user: &str,
    connection: &str,
    login_hint: Option<&str>,
    issued_type: &str,
) -> Result<Response, Refused> {
    let now = world.clock.now();
    let opened = world.state().open_vault(user, connection, login_hint, now);
    let opened = opened.ok_or_else(not_connected)?;
    let mut answer = json!({
        "access_token": opened.access,
        "issued_token_type": issued_type,
        "token_type": "Bearer",
    });
    if !opened.scopes.is_empty() {
        answer["scope"] = json!(opened.scopes.join(" "));
    }
    if let Some(end) = opened.expires {
        answer["expires_in"] = json!(end.duration_since(now).unwrap_or_default().as_secs());
    }
    Ok(reply::json(StatusCode::OK, &answer))
}

/// The user for whom a privileged worker signed.
fn by_worker(world: &World, client: &str, token: &str, connection: &str) -> Result<String, Refused> {
    let worker = worker_of(world, client).ok_or_else(|| {
        refusal(StatusCode::FORBIDDEN, "unauthorized_client", "Client is not a privileged worker.")
    })?;
    let subject = verified(world, client, &worker, token)?;
    if !worker.ip_allowlist.iter().any(|entry| is_loopback(entry)) {
        return Err(denied("The IP address is not allowed."));
    }
    if !worker.connections.iter().any(|own| own == connection) {
        return Err(denied("The connection is not granted to the client."));
    }
    let is_first = world.state().vault.is_first(client, subject.jti);
    if is_first { Ok(subject.sub) } else { Err(invalid("The subject token was used before.")) }
}

fn worker_of(world: &World, client: &str) -> Option<PrivilegedWorkerSeed> {
    let state = world.state();
    state.clients.iter().find(|one| one.id() == client)?.privileged_worker().cloned()
}

/// Everything comes from loopback here.
fn is_loopback(entry: &str) -> bool {
    let address = entry.split('/').next().unwrap_or_default();
    address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn verified(
    world: &World,
    client: &str,
    worker: &PrivilegedWorkerSeed,
    token: &str,
) -> Result<Subject, Refused> {
    let unverified = || invalid("The subject token could not be verified.");
    let header = jsonwebtoken::decode_header(token).map_err(|_| unverified())?;
    if header.typ.as_deref() != Some("token-vault-req+jwt") {
        return Err(invalid("The subject token must have the type token-vault-req+jwt."));
    }
    let pem = worker.public_key.as_deref().ok_or_else(unverified)?;
    let key = DecodingKey::from_rsa_pem(pem.as_bytes()).map_err(|_| unverified())?;
    let mut rules = rules(&world.issuer(), client);
    rules.algorithms = vec![Algorithm::RS256, Algorithm::RS384, Algorithm::PS256];
    let subject = jsonwebtoken::decode::<Subject>(token, &key, &rules).map_err(|_| unverified())?.claims;
    let now = unix(world.clock.now());
    let is_timely = subject.iat <= now + SKEW
        && now <= subject.iat + SUBJECT_AGE
        && subject.exp.is_none_or(|exp| now <= exp + SKEW);
    let has_context = (1..=256).contains(&subject.audit_context.chars().count());
    match (is_timely, has_context && !subject.jti.is_empty()) {
        (false, _) => Err(invalid("The subject token is too old.")),
        (_, false) => Err(invalid("The subject token lacks jti or audit_context.")),
        _ => Ok(subject),
    }
}

/// The user whose access token for the client's own API this is.
fn by_end_user(world: &World, client: &str, token: &str) -> Result<String, Refused> {
    let audience = audience_of(world, client).ok_or_else(|| {
        refusal(StatusCode::FORBIDDEN, "unauthorized_client", "Client is not linked to an API.")
    })?;
    let rules = rules(&audience, &world.issuer());
    let claims = jsonwebtoken::decode::<UserToken>(token, world.key().public(), &rules);
    let claims = claims.map_err(|_| invalid("The subject token could not be verified."))?.claims;
    if unix(world.clock.now()) >= claims.exp {
        return Err(invalid("The subject token has expired."));
    }
    Ok(claims.sub)
}

fn audience_of(world: &World, client: &str) -> Option<String> {
    let state = world.state();
    state.clients.iter().find(|one| one.id() == client)?.resource_server().map(str::to_owned)
}

/// Times are checked against the sandbox's own clock.
fn rules(audience: &str, issuer: &str) -> Validation {
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_audience(&[audience]);
    rules.set_issuer(&[issuer]);
    rules.set_required_spec_claims(&["aud", "iss", "sub"]);
    rules.validate_exp = false;
    rules
}

fn required<'a>(form: &'a Form, name: &str) -> Result<&'a str, Refused> {
    form.get(name).ok_or_else(|| invalid(&format!("Missing required parameter: {name}")))
}

fn invalid(description: &str) -> Refused {
    refusal(StatusCode::BAD_REQUEST, "invalid_request", description)
}

fn denied(description: &str) -> Refused {
    refusal(StatusCode::FORBIDDEN, "access_denied", description)
}

/// No such account in the vault, or one whose token has ended and cannot be renewed.
fn not_connected() -> Refused {
    let code = "federated_connection_refresh_token_not_found";
    refusal(StatusCode::UNAUTHORIZED, code, "Federated connection Refresh Token not found.")
}
