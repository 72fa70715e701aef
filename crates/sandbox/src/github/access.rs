//! Who calls GitHub, and what each endpoint wants.

use axum::extract::FromRequestParts;
use axum::response::Response;
use http::request::Parts;

use super::refusal;
use crate::reply::{Refused, With as _};
use crate::state::grants::Access;

/// The caller, put into the request by the gate; `None` is an anonymous one.
#[derive(Clone)]
pub(super) struct Viewer(pub(super) Option<Access>);

impl<S: Sync> FromRequestParts<S> for Viewer {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refused> {
        parts.extensions.get::<Self>().cloned().ok_or_else(refusal::requires_authentication)
    }
}

impl Viewer {
    /// The user behind the request, where one is needed.
    pub(super) fn user(&self) -> Result<&Access, Refused> {
        self.0.as_ref().ok_or_else(refusal::requires_authentication)
    }

    /// Whether the viewer is logged in with any of the scopes.
    pub(super) fn has_any(&self, wanted: &[&str]) -> bool {
        self.0.as_ref().is_some_and(|access| access.has_any(wanted))
    }
}

/// Tells, as GitHub does, which scopes the endpoint takes.
pub(super) fn accepting(response: Response, scopes: &str) -> Response {
    response.with("x-accepted-oauth-scopes", scopes)
}
