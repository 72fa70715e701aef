//! How a client proves who it is at `/oauth/token`: a secret in the body or in the header, or a signed assertion.

use http::{HeaderMap, StatusCode};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use crate::sandbox::clock::unix;
use crate::sandbox::credentials;
use crate::sandbox::form::{Form, refusal};
use crate::sandbox::reply::Refused;
use crate::sandbox::state::clients::Client;
use crate::sandbox::state::{State, World};

/// The only assertion type of RFC 7523.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// An assertion may not be good for longer.
const ASSERTION_LIFETIME: u64 = 300;

/// How far the clocks may differ.
const SKEW: u64 = 10;

/// An assertion may not be longer.
const ASSERTION_BYTES: usize = 2048;

/// The claims of a client assertion.
#[derive(Deserialize)]
struct Assertion {
    iss: String,
    sub: String,
    exp: u64,
    jti: String,
}

/// The id of the client that proved itself, or the answer that refuses it.
pub(crate) fn authenticate(world: &World, headers: &HeaderMap, form: &Form) -> Result<String, Refused> {
    if let Some(assertion) = form.get("client_assertion") {
        return by_assertion(world, form, assertion);
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

fn by_assertion(world: &World, form: &Form, assertion: &str) -> Result<String, Refused> {
    if form.get("client_assertion_type") != Some(ASSERTION_TYPE) {
        return Err(refusal(StatusCode::BAD_REQUEST, "invalid_request", "Invalid client_assertion_type"));
    }
    let unverified: Assertion =
        jsonwebtoken::dangerous::insecure_decode(assertion).map_err(|_| invalid_client())?.claims;
    let mut state = world.state();
    let key = find(&state, &unverified.iss).and_then(Client::public_key).ok_or_else(unauthorized)?;
    let claims = verified(world, assertion, key).ok_or_else(invalid_client)?;
    if form.get("client_id").is_some_and(|id| id != claims.iss) {
        return Err(invalid_client());
    }
    let first_time = state.assertions.insert((claims.iss.clone(), claims.jti));
    if first_time { Ok(claims.iss) } else { Err(invalid_client()) }
}

fn verified(world: &World, assertion: &str, pem: &str) -> Option<Assertion> {
    if assertion.len() > ASSERTION_BYTES {
        return None;
    }
    let key = DecodingKey::from_rsa_pem(pem.as_bytes()).ok()?;
    let mut rules = Validation::new(Algorithm::RS256);
    rules.algorithms = vec![Algorithm::RS256, Algorithm::RS384, Algorithm::PS256];
    rules.set_audience(&[world.issuer()]);
    rules.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    // Against the sandbox's own clock, below.
    rules.validate_exp = false;
    let claims = jsonwebtoken::decode::<Assertion>(assertion, &key, &rules).ok()?.claims;
    let now = unix(world.clock.now());
    let timely = now <= claims.exp + SKEW && claims.exp <= now + ASSERTION_LIFETIME + SKEW;
    let named = claims.iss == claims.sub && !claims.jti.is_empty() && claims.jti.len() <= 64;
    (timely && named).then_some(claims)
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
