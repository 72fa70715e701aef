//! The Management API's refusals: `statusCode`, `error`, `message`, and mostly `errorCode`.

use http::StatusCode;
use serde_json::json;

use crate::reply::{self, Refused, With as _};

/// The three scopes of which one is enough, in the order of Auth0's own message.
pub(crate) const READING_SCOPES: [&str; 3] = ["read:users", "read:current_user", "read:user_idp_tokens"];

fn refusal(status: StatusCode, message: &str, code: &str) -> Refused {
    let error = status.canonical_reason().unwrap_or_default();
    let body = json!({"statusCode": status.as_u16(), "error": error, "message": message, "errorCode": code});
    reply::json(status, &body).into()
}

/// 401 bodies carry `attributes.error` instead of an `errorCode`.
pub(crate) fn unauthorized(message: &str) -> Refused {
    let body = json!({
        "statusCode": 401, "error": "Unauthorized", "message": message, "attributes": {"error": message},
    });
    let response = reply::json(StatusCode::UNAUTHORIZED, &body);
    response.with("www-authenticate", format!("Bearer error=\"{message}\"")).into()
}

/// What is not a JWT is not looked at any further (github.com/auth0/node-auth0/issues/118).
pub(crate) fn bad_header() -> Refused {
    refusal(StatusCode::BAD_REQUEST, "Bad HTTP authentication header format", "Bearer")
}

/// 403 for a token without any of the reading scopes.
pub(crate) fn insufficient_scope() -> Refused {
    let message = format!("Insufficient scope, expected any of: {}", READING_SCOPES.join(","));
    refusal(StatusCode::FORBIDDEN, &message, "insufficient_scope")
}

/// 403 for a token that may read its own user only.
pub(crate) fn other_user() -> Refused {
    let message = "User to be acted on does not match subject in bearer token.";
    refusal(StatusCode::FORBIDDEN, message, "insufficient_scope")
}

/// 404 for a user that is not there.
pub(crate) fn no_such_user() -> Refused {
    refusal(StatusCode::NOT_FOUND, "The user does not exist.", "inexistent_user")
}

/// 404 for a path that is not there.
pub(crate) fn not_found() -> Refused {
    let body = json!({"statusCode": 404, "error": "Not Found", "message": "Not Found"});
    reply::json(StatusCode::NOT_FOUND, &body).into()
}

/// 400 for an id without a provider in front.
pub(crate) fn invalid_id(id: &str) -> Refused {
    let message = format!(
        "Path validation error: 'Object didn't pass validation for format user-id: {id}' on property id \
         (ID of the user to retrieve)."
    );
    refusal(StatusCode::BAD_REQUEST, &message, "invalid_uri")
}

/// 400 for a query that the endpoint does not know.
pub(crate) fn invalid_query(what: &str) -> Refused {
    refusal(StatusCode::BAD_REQUEST, &format!("Query validation error: '{what}'."), "invalid_query_string")
}

/// 429 for an empty bucket; when it refills, the headers tell.
pub(crate) fn too_many_requests() -> Refused {
    refusal(StatusCode::TOO_MANY_REQUESTS, "Global limit has been reached", "too_many_requests")
}
