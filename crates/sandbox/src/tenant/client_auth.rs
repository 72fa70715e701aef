//! How a client proves who it is at `/oauth/token`: a secret in the body or in the header, or a signed
//! assertion.

use http::{HeaderMap, StatusCode};

use crate::assertion;
use crate::credentials;
use crate::form::{Form, refusal};
use crate::reply::Refused;
use crate::state::clients::Client;
use crate::state::{State, World};

/// The id of the client that proved itself, or the answer that refuses it.
pub(crate) fn authenticate(world: &World, headers: &HeaderMap, form: &Form) -> Result<String, Refused> {
    if let Some(shown) = form.get("client_assertion") {
        return by_assertion(world, form, shown);
    }
    let basic = credentials::basic(headers);
    let (id, secret) = match &basic {
        Some((id, secret)) => (Some(id.as_str()), Some(secret.as_str())),
        None => (form.get("client_id"), form.get("client_secret")),
    };
    let id = id.ok_or_else(|| {
        refusal(StatusCode::BAD_REQUEST, "invalid_request", "Missing required parameter: client_id")
    })?;
    let state = world.state();
    let client = find(&state, id).ok_or_else(unauthorized)?;
    let proven = match secret {
        Some(secret) => client.has_secret(secret),
        None => client.is_public(),
    };
    if proven { Ok(id.to_owned()) } else { Err(unauthorized()) }
}

fn by_assertion(world: &World, form: &Form, shown: &str) -> Result<String, Refused> {
    if form.get("client_assertion_type") != Some(assertion::TYPE) {
        return Err(refusal(StatusCode::BAD_REQUEST, "invalid_request", "Invalid client_assertion_type"));
    }
    let issuer = assertion::claimed_issuer(shown).ok_or_else(invalid_client)?;
    let mut state = world.state();
    let key = find(&state, &issuer).and_then(Client::public_key).ok_or_else(unauthorized)?;
    let claims = assertion::verified(shown, key, &world.issuer(), world.clock.now());
    let claims = claims.ok_or_else(invalid_client)?;
    if form.get("client_id").is_some_and(|id| id != claims.iss) {
        return Err(invalid_client());
    }
    let first_time = state.assertions.insert((claims.iss.clone(), claims.jti));
    if first_time { Ok(claims.iss) } else { Err(invalid_client()) }
}

fn find<'a>(state: &'a State, id: &str) -> Option<&'a Client> {
    state.clients.iter().find(|client| client.id() == id)
}

/// A wrong id and a wrong secret look the same.
fn unauthorized() -> Refused {
    refusal(StatusCode::UNAUTHORIZED, "access_denied", "Unauthorized")
}

fn invalid_client() -> Refused {
    refusal(StatusCode::UNAUTHORIZED, "invalid_client", "Client assertion could not be verified.")
}
