//! Who calls the Management API, and what the token allows.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;

use super::refusal::{self, READING_SCOPES};
use crate::clock::unix;
use crate::reply::Refused;
use crate::state::World;

/// The claims that matter.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: u64,
    #[serde(default)]
    scope: String,
}

/// A token that was found good.
pub(crate) struct Bearer {
    subject: String,
    scopes: Vec<String>,
}

impl Bearer {
    /// Whether the token carries the scope.
    pub(crate) fn has(&self, scope: &str) -> bool {
        self.scopes.iter().any(|own| own == scope)
    }

    /// Whether it may read that user: any of three scopes, and with `read:current_user` alone only the
    /// token's own.
    pub(crate) fn may_read(&self, user: &str) -> Result<(), Refused> {
        if self.has("read:users") || self.has("read:user_idp_tokens") {
            return Ok(());
        }
        if !READING_SCOPES.iter().any(|scope| self.has(scope)) {
            return Err(refusal::insufficient_scope());
        }
        if self.subject == user { Ok(()) } else { Err(refusal::other_user()) }
    }
}

/// Checks the `Authorization` header: form, signature, issuer, audience and expiry.
pub(crate) fn bearer(world: &World, headers: &HeaderMap) -> Result<Bearer, Refused> {
    let header = headers.get(AUTHORIZATION).ok_or_else(|| refusal::unauthorized("Missing authentication"))?;
    let token = header.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")).map(str::trim);
    let token = token.filter(|text| text.split('.').count() == 3).ok_or_else(refusal::bad_header)?;
    let claims = verified(world, token).map_err(refusal::unauthorized)?;
    Ok(Bearer { subject: claims.sub, scopes: claims.scope.split(' ').map(str::to_owned).collect() })
}

fn verified(world: &World, token: &str) -> Result<Claims, &'static str> {
    let key = world.key();
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_audience(&[world.audience()]);
    rules.set_issuer(&[world.issuer()]);
    // Against the sandbox's own clock, below.
    rules.validate_exp = false;
    let claims = match jsonwebtoken::decode::<Claims>(token, key.public(), &rules) {
        Ok(data) => data.claims,
        Err(error) => return Err(worded(error.kind())),
    };
    if unix(world.clock.now()) >= claims.exp {
        return Err("Expired token received for JSON Web Token validation");
    }
    Ok(claims)
}

fn worded(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidSignature => "Invalid signature received for JSON Web Token validation",
        ErrorKind::InvalidAudience => "Bad audience",
        ErrorKind::InvalidIssuer => "Bad issuer",
        _ => "Invalid token",
    }
}
