//! How the client proves itself: RFC 6749, section 2.3.1, and RFC 7523.

use std::time::SystemTime;

use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::Own;
use crate::form::Form;
use crate::reply::{self, Refused, With as _};
use crate::{assertion, credentials};

impl Own {
    /// Lets the connection's client through, by secret or by key.
    pub(super) fn authenticate(&self, headers: &HeaderMap, form: &Form) -> Result<(), Refused> {
        let proven = match form.get("client_assertion") {
            Some(shown) => self.has_signed(form, shown),
            None => self.knows_secret(headers, form),
        };
        if proven { Ok(()) } else { Err(refused(headers).into()) }
    }

    fn knows_secret(&self, headers: &HeaderMap, form: &Form) -> bool {
        let secret = self.seed.client_secret.as_deref();
        secret.is_some_and(|secret| credentials::is_app(headers, form, &self.seed.client_id, secret))
    }

    /// Against the true time: the client's clock does not follow the sandbox's when that is moved.
    fn has_signed(&self, form: &Form, shown: &str) -> bool {
        let Some(key) = self.seed.public_key.as_deref() else { return false };
        let claims = assertion::verified(shown, key, &self.seed.token_url(), SystemTime::now());
        let own = claims.filter(|one| one.iss == self.seed.client_id);
        let named = form.get("client_id").is_none_or(|id| id == self.seed.client_id);
        let typed = form.get("client_assertion_type") == Some(assertion::TYPE);
        let Some(claims) = own.filter(|_| named && typed) else { return false };
        self.world.state().assertions.insert((claims.iss, claims.jti))
    }
}

/// 401, with a challenge where the client used the header (RFC 6749, section 5.2).
fn refused(headers: &HeaderMap) -> Response {
    let body = json!({"error": "invalid_client", "error_description": "Client authentication failed"});
    let response = reply::json(StatusCode::UNAUTHORIZED, &body);
    match credentials::basic(headers) {
        Some(_) => response.with("www-authenticate", "Basic realm=\"oauth2\""),
        None => response,
    }
}
