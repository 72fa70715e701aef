//! What the API checks first, and its errors: RFC 6750, section 3.

use std::time::Duration;

use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::Own;
use crate::clock::unix;
use crate::credentials::bearer;
use crate::reply::{self, Refused, With as _};
use crate::state::grants::Access;

/// The span of the API's quota.
const MINUTE: Duration = Duration::from_secs(60);

impl Own {
    /// The caller's token, if it is alive, the quota not used up, and the scope granted; in this order.
    pub(super) fn allow(&self, headers: &HeaderMap, scope: &str) -> Result<Access, Refused> {
        let now = self.world.clock.now();
        let realm = &self.seed.connection;
        let token = bearer(headers).ok_or_else(|| no_token(realm))?;
        let checked = self.world.state().grants.check(self.provider, token, now);
        let access = checked.map_err(|_| invalid_token(realm))?;
        let standing = self.world.count(&access.account, self.seed.requests_per_minute, MINUTE);
        if !standing.allowed {
            return Err(too_many(standing.reset.saturating_sub(unix(now))));
        }
        if !access.has_any(&[scope]) {
            return Err(insufficient_scope(realm, scope));
        }
        Ok(access)
    }
}

/// A request without a token is told no error (section 3.1).
fn no_token(realm: &str) -> Refused {
    let response = reply::empty(StatusCode::UNAUTHORIZED);
    response.with("www-authenticate", format!("Bearer realm=\"{realm}\"")).into()
}

fn invalid_token(realm: &str) -> Refused {
    let text = "The access token is expired, revoked or unknown";
    let parameters = format!("error=\"invalid_token\", error_description=\"{text}\"");
    challenged(StatusCode::UNAUTHORIZED, realm, &parameters, "invalid_token").into()
}

fn insufficient_scope(realm: &str, scope: &str) -> Refused {
    let parameters = format!("error=\"insufficient_scope\", scope=\"{scope}\"");
    challenged(StatusCode::FORBIDDEN, realm, &parameters, "insufficient_scope").into()
}

fn challenged(status: StatusCode, realm: &str, parameters: &str, error: &str) -> Response {
    let challenge = format!("Bearer realm=\"{realm}\", {parameters}");
    reply::json(status, &json!({"error": error})).with("www-authenticate", challenge)
}

fn too_many(seconds: u64) -> Refused {
    let body = json!({"error": "too_many_requests"});
    reply::json(StatusCode::TOO_MANY_REQUESTS, &body).with("retry-after", seconds.max(1)).into()
}
