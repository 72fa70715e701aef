//! Bitbucket's error bodies: `{"type": "error", "error": {"message", "detail"}}`.

use http::StatusCode;
use serde_json::json;

use crate::reply::{self, Refused, With as _};

fn refusal(status: StatusCode, message: &str) -> Refused {
    reply::json(status, &json!({"type": "error", "error": {"message": message}})).into()
}

/// 401 for a token whose time is over. <https://github.com/lemurheavy/coveralls-public/issues/1541>
pub(super) fn expired() -> Refused {
    let text = "Access token expired. Use your refresh token to obtain a new access token.";
    refusal(StatusCode::UNAUTHORIZED, text)
}

/// 401 for any other token, and for none. <https://github.com/avivsinai/bitbucket-cli/issues/174>
pub(super) fn invalid() -> Refused {
    let text = "Token is invalid, expired, or not supported for this endpoint.";
    refusal(StatusCode::UNAUTHORIZED, text)
}

/// 403 for scopes that the user did not grant.
pub(super) fn lacks(required: &str, granted: &[String]) -> Refused {
    let body = json!({"type": "error", "error": {
        "message": "Your credentials lack one or more required privilege scopes.",
        "detail": {"granted": granted, "required": [required]},
    }});
    reply::json(StatusCode::FORBIDDEN, &body).with("x-accepted-oauth-scopes", required).into()
}

/// 404 for what is not there, and for what is not to be seen.
pub(super) fn not_found() -> Refused {
    refusal(StatusCode::NOT_FOUND, "Resource not found")
}

/// 429 as plain text. <https://support.atlassian.com/bitbucket-cloud/docs/api-request-limits/>
pub(super) fn too_many() -> Refused {
    let text = "Rate limit for this resource has been exceeded";
    reply::raw(StatusCode::TOO_MANY_REQUESTS, "text/plain; charset=utf-8", text).into()
}
