//! What Bitbucket's API checks before, and adds after, every request.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;

use super::refusal;
use crate::credentials::bearer;
use crate::limits::Standing;
use crate::reply::{Refused, With as _};
use crate::state::account::Provider;
use crate::state::grants::{Access, Death};
use crate::state::{HOUR, World};

/// The caller's token, put into the request by the gate.
#[derive(Clone)]
pub(super) struct Caller(pub(super) Access);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refused> {
        parts.extensions.get::<Self>().cloned().ok_or_else(refusal::invalid)
    }
}

impl Caller {
    /// Whether the scope was granted; to write is to read as well.
    pub(super) fn may(&self, scope: &'static str) -> Result<&Access, Refused> {
        let writing = format!("{scope}:write");
        match self.0.has_any(&[scope, &writing]) {
            true => Ok(&self.0),
            false => Err(refusal::lacks(scope, &self.0.scopes)),
        }
    }
}

/// Since May 2026 a token is taken from the header alone:
/// <https://community.developer.atlassian.com/t/oauth-2-0-and-api-authentication-changes-for-bitbucket-cloud/99003>
pub(super) async fn pass(State(world): State<Arc<World>>, mut request: Request, next: Next) -> Response {
    let now = world.clock.now();
    let token = bearer(request.headers()).unwrap_or_default();
    let checked = world.state().grants.check(Provider::Bitbucket, token, now);
    let access = match checked {
        Ok(access) => access,
        Err(Death::Expired) => return refusal::expired().into_response(),
        Err(_) => return refusal::invalid().into_response(),
    };
    let scopes = access.scopes.join(", ");
    let standing = world.count(&access.account, world.providers.bitbucket.requests_per_hour, HOUR);
    if !standing.allowed {
        return told(refusal::too_many().into_response(), standing);
    }
    request.extensions_mut().insert(Caller(access));
    told(next.run(request).await, standing).with("x-oauth-scopes", scopes)
}

/// The limit, and whether less than a fifth of it is left, but not what is left.
fn told(response: Response, standing: Standing) -> Response {
    response
        .with("x-ratelimit-limit", standing.limit)
        .with("x-ratelimit-resource", "api")
        .with("x-ratelimit-nearlimit", standing.remaining < standing.limit / 5)
}
