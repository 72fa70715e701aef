//! Renewal (RFC 6749, section 6), revocation (RFC 7009) and introspection (RFC 7662).

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::Own;
use crate::clock::unix;
use crate::form::{Form, refusal};
use crate::reply::{self, Refused, With as _};
use crate::state::grants::{Access, Consent, Death, Issued, Rotation, Wish};

/// `POST /oauth2/token` with `grant_type=refresh_token`.
pub(super) async fn token(
    State(own): State<Own>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let form = read(&own, &headers, &body)?;
    let grant_type = form.get("grant_type").ok_or_else(|| missing("grant_type"))?;
    if grant_type != "refresh_token" {
        return Err(bad_request("unsupported_grant_type", "Only refresh_token is supported"));
    }
    let token = form.get("refresh_token").ok_or_else(|| missing("refresh_token"))?;
    let (issued, access) = renew(&own, token, form.get("scope"))?;
    Ok(reply::json(StatusCode::OK, &tokens(&own, &issued, &access)).with("cache-control", "no-store"))
}

/// The client is looked at before anything else.
fn read(own: &Own, headers: &HeaderMap, body: &Bytes) -> Result<Form, Refused> {
    let form = Form::read(headers, body).ok_or_else(|| bad_request("invalid_request", "Not a form"))?;
    own.authenticate(headers, &form)?;
    Ok(form)
}

fn renew(own: &Own, token: &str, scope: Option<&str>) -> Result<(Issued, Access), Refused> {
    let rotation = if own.seed.rotates { Rotation::Guards } else { Rotation::Keeps };
    let now = own.world.clock.now();
    let grants = &mut own.world.state().grants;
    let consent = grants.present(own.provider, token, rotation, now).map_err(|_| invalid_grant())?;
    let wish = wish(&consent, scope)?;
    grants.renew(token, rotation, wish, now).ok_or_else(invalid_grant)
}

/// Fewer scopes than granted may be asked for, and no others. What is refused here has not used the refresh
/// token.
fn wish(consent: &Consent, scope: Option<&str>) -> Result<Option<Wish>, Refused> {
    let Some(scope) = scope else { return Ok(None) };
    let scopes: Vec<String> = scope.split_ascii_whitespace().map(str::to_owned).collect();
    match scopes.iter().all(|one| consent.scopes.contains(one)) {
        true => Ok(Some(Wish { scopes, resource: None })),
        false => Err(bad_request("invalid_scope", "The scope exceeds what was granted")),
    }
}

fn tokens(own: &Own, issued: &Issued, access: &Access) -> Value {
    let mut answer = json!({
        "access_token": issued.access, "token_type": "Bearer", "scope": access.scopes.join(" "),
    });
    if let Some(refresh) = &issued.refresh {
        answer["refresh_token"] = json!(refresh);
    }
    if let Some(end) = access.expires.filter(|_| own.seed.tells_lifetime) {
        answer["expires_in"] = json!(unix(end).saturating_sub(unix(access.issued)));
    }
    answer
}

/// `POST /oauth2/revoke`: a refresh token takes its access tokens with it, an access token dies alone, and of
/// what is unknown or dead nothing is said.
pub(super) async fn revoke(
    State(own): State<Own>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Refused> {
    let form = read(&own, &headers, &body)?;
    let token = form.get("token").ok_or_else(|| missing("token"))?;
    let now = own.world.clock.now();
    let grants = &mut own.world.state().grants;
    if grants.check(own.provider, token, now).is_ok() {
        grants.end(token, Death::Revoked);
    } else if let Some(family) = grants.family_of(own.provider, token, now) {
        grants.end_family(family, Death::Revoked);
    }
    Ok(StatusCode::OK)
}

/// `POST /oauth2/introspect`: of a token that is not alive nothing is said but that.
pub(super) async fn introspect(
    State(own): State<Own>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let form = read(&own, &headers, &body)?;
    let token = form.get("token").ok_or_else(|| missing("token"))?;
    let now = own.world.clock.now();
    let state = own.world.state();
    let answer = match (
        state.grants.check(own.provider, token, now),
        state.grants.consent(own.provider, token, now),
    ) {
        (Ok(access), _) => json!({
            "active": true, "token_type": "Bearer", "client_id": own.seed.client_id,
            "sub": access.account.id, "scope": access.scopes.join(" "),
            "iat": unix(access.issued), "exp": access.expires.map(unix),
        }),
        (Err(_), Ok(consent)) => json!({
            "active": true, "token_type": "refresh_token", "client_id": own.seed.client_id,
            "sub": consent.account.id, "scope": consent.scopes.join(" "),
        }),
        (Err(_), Err(_)) => json!({"active": false}),
    };
    Ok(reply::json(StatusCode::OK, &answer))
}

fn invalid_grant() -> Refused {
    bad_request("invalid_grant", "The refresh token is invalid, expired or revoked")
}

fn missing(parameter: &str) -> Refused {
    bad_request("invalid_request", &format!("Missing parameter: {parameter}"))
}

fn bad_request(error: &str, description: &str) -> Refused {
    refusal(StatusCode::BAD_REQUEST, error, description)
}
