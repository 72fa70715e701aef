//! `login.microsoftonline.com`: renewal, by scope on version 2 and by resource on version 1. Each renewal
//! brings another refresh token, and the old ones stay good. There is no revocation and no inspection.
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#refresh-the-access-token>

mod refusal;
mod wish;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use self::refusal::Aadsts;
use crate::clock::unix;
use crate::credentials;
use crate::form::Form;
use crate::reply::{self, Refused, With as _};
use crate::secrets;
use crate::state::World;
use crate::state::account::Provider;
use crate::state::grants::{Access, Consent, Death, GRAPH, Grants, Issued, Rotation, Wish};

/// `POST /{tenant}/oauth2/v2.0/token`.
pub(super) async fn token(
    State(world): State<Arc<World>>,
    Path(tenant): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let form = Form::read(&headers, &body);
    let renewed = renew(&world, &tenant, &headers, form.as_ref(), wish::by_scope);
    let (issued, access) = renewed.map_err(|error| error.refuse(world.clock.now()))?;
    let seconds = seconds(&access);
    let mut answer = json!({
        "token_type": "Bearer", "scope": scope(&access),
        "expires_in": seconds, "ext_expires_in": seconds, "access_token": issued.access,
    });
    issued.refresh.iter().for_each(|token| answer["refresh_token"] = json!(token));
    Ok(sent(&answer))
}

/// `POST /{tenant}/oauth2/token`, where numbers come as text.
/// <https://learn.microsoft.com/previous-versions/azure/active-directory/azuread-dev/v1-protocols-oauth-code>
pub(super) async fn token_v1(
    State(world): State<Arc<World>>,
    Path(tenant): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let form = Form::read(&headers, &body);
    let renewed = renew(&world, &tenant, &headers, form.as_ref(), wish::by_resource);
    let (issued, access) = renewed.map_err(|error| error.refuse(world.clock.now()))?;
    let seconds = seconds(&access).map(|seconds| seconds.to_string());
    let answer = json!({
        "token_type": "Bearer", "scope": access.scopes.join(" "), "resource": access.resource,
        "expires_in": seconds, "ext_expires_in": seconds,
        "expires_on": access.expires.map(|end| unix(end).to_string()),
        "not_before": unix(access.issued).to_string(),
        "access_token": issued.access, "refresh_token": issued.refresh,
    });
    Ok(sent(&answer))
}

/// What a request asks for, and what of the refresh tokens: one of the two versions of the endpoint.
type Reading = fn(&World, &Form, &Consent) -> Result<(Wish, Rotation), Aadsts>;

/// Tenant, client and grant, in this order.
fn renew(
    world: &World,
    tenant: &str,
    headers: &HeaderMap,
    form: Option<&Form>,
    read: Reading,
) -> Result<(Issued, Access), Aadsts> {
    let form = form.ok_or(Aadsts::Malformed)?;
    let accounts = accounts(world, tenant).ok_or_else(|| Aadsts::NoTenant(tenant.to_owned()))?;
    authenticate(world, headers, form)?;
    match form.get("grant_type") {
        Some("refresh_token") => {}
        Some(_) => return Err(Aadsts::GrantType),
        None => return Err(Aadsts::Missing("grant_type")),
    }
    let token = form.get("refresh_token").ok_or(Aadsts::Missing("refresh_token"))?;
    let now = world.clock.now();
    let grants = &mut world.state().grants;
    let consent = present(grants, accounts, token, now)?;
    let (wish, rotation) = read(world, form, &consent)?;
    grants.renew(token, rotation, Some(wish), now).ok_or(Aadsts::Malformed)
}

/// Whose refresh tokens are taken where.
fn accounts(world: &World, tenant: &str) -> Option<&'static [Provider]> {
    let own = &world.providers.microsoft;
    match tenant {
        "common" => Some(&[Provider::Entra, Provider::MicrosoftAccount]),
        "consumers" => Some(&[Provider::MicrosoftAccount]),
        "organizations" => Some(&[Provider::Entra]),
        named if named == own.tenant || named == own.tenant_domain => Some(&[Provider::Entra]),
        _ => None,
    }
}

fn authenticate(world: &World, headers: &HeaderMap, form: &Form) -> Result<(), Aadsts> {
    let own = &world.providers.microsoft;
    let basic = credentials::basic(headers);
    let (id, secret) = match &basic {
        Some((id, secret)) => (Some(id.as_str()), Some(secret.as_str())),
        None => (form.get("client_id"), form.get("client_secret")),
    };
    if id.ok_or(Aadsts::Missing("client_id"))? != own.client_id {
        return Err(Aadsts::NoClient);
    }
    match secret.ok_or(Aadsts::NoSecret)? {
        shown if secrets::same(shown, &own.client_secret) => Ok(()),
        _ => Err(Aadsts::WrongSecret),
    }
}

fn present(
    grants: &mut Grants,
    accounts: &[Provider],
    token: &str,
    now: std::time::SystemTime,
) -> Result<Consent, Aadsts> {
    let mut reason = Death::Unknown;
    for &at in accounts {
        match grants.present(at, token, Rotation::Adds, now) {
            Ok(consent) => return Ok(consent),
            Err(Death::Unknown) => {}
            Err(death) => reason = death,
        }
    }
    Err(match reason {
        Death::Unknown => Aadsts::Malformed,
        Death::Expired => Aadsts::Inactive,
        Death::AppRemoved => Aadsts::NoConsent,
        Death::Revoked | Death::PasswordChanged => Aadsts::Revoked,
    })
}

fn seconds(access: &Access) -> Option<u64> {
    access.expires.map(|end| unix(end).saturating_sub(unix(access.issued)))
}

/// Graph's scopes by their short names, others with their API's address.
fn scope(access: &Access) -> String {
    let resource = access.resource.as_deref().filter(|resource| *resource != GRAPH);
    let Some(resource) = resource else { return access.scopes.join(" ") };
    let full: Vec<String> = access.scopes.iter().map(|scope| format!("{resource}/{scope}")).collect();
    full.join(" ")
}

fn sent(answer: &Value) -> Response {
    reply::json(StatusCode::OK, answer).with("cache-control", "no-store, no-cache").with("pragma", "no-cache")
}
