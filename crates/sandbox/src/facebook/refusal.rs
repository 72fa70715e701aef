//! Graph's errors: almost all of them HTTP 400, told apart by `code` and `error_subcode`.

use std::time::SystemTime;

use http::StatusCode;
use serde_json::json;

use crate::clock::rfc3339;
use crate::reply::{self, Refused, With as _};
use crate::secrets;
use crate::state::grants::Death;

/// What Facebook names a request by in its own logs.
pub(super) fn trace() -> String {
    format!("A{}", secrets::letters(22))
}

fn refusal(status: StatusCode, kind: &str, code: u32, subcode: Option<u32>, message: &str) -> Refused {
    let mut body = json!({"error": {"message": message, "type": kind, "code": code, "fbtrace_id": trace()}});
    subcode.inspect(|subcode| body["error"]["error_subcode"] = json!(subcode));
    let response = reply::json(status, &body);
    match code {
        190 => response
            .with("www-authenticate", format!("OAuth \"Facebook Platform\" \"invalid_token\" \"{message}\"")),
        _ => response,
    }
    .into()
}

/// Code 190 in its kinds: the session is over, and only a new login helps.
pub(super) fn dead_token(death: Death, now: SystemTime, app: &str) -> Refused {
    let (subcode, message) = match death {
        Death::Unknown => (None, "Invalid OAuth access token - Cannot parse access token".to_owned()),
        Death::Expired => (
            Some(463),
            format!("Error validating access token: Session has expired. The current time is {}.", rfc3339(now)),
        ),
        Death::Revoked | Death::AppRemoved => (
            Some(458),
            format!("Error validating access token: The user has not authorized application {app}."),
        ),
        Death::PasswordChanged => (
            Some(460),
            "Error validating access token: The session has been invalidated because the user changed their password \
             or Facebook has changed the session for security reasons."
                .to_owned(),
        ),
    };
    refusal(StatusCode::BAD_REQUEST, "OAuthException", 190, subcode, &message)
}

/// No token at all.
pub(super) fn no_token() -> Refused {
    let message = "An active access token must be used to query information about the current user.";
    refusal(StatusCode::BAD_REQUEST, "OAuthException", 2500, None, message)
}

/// `appsecret_proof` is missing, though the app demands it.
pub(super) fn proof_missing() -> Refused {
    let message = "API calls from the server require an appsecret_proof argument";
    refusal(StatusCode::BAD_REQUEST, "GraphMethodException", 100, None, message)
}

/// `appsecret_proof` is there and wrong.
pub(super) fn proof_wrong() -> Refused {
    let message = "Invalid appsecret_proof provided in the API argument";
    refusal(StatusCode::BAD_REQUEST, "GraphMethodException", 100, None, message)
}

/// Code 10 for reading, 200 for writing, without the permission.
pub(super) fn no_permission(code: u32, permission: &str) -> Refused {
    let message = format!("(#{code}) Requires {permission} permission to manage the object");
    refusal(StatusCode::BAD_REQUEST, "OAuthException", code, None, &message)
}

/// Code 17 for a user, 4 for the app: an HTTP 400 as well.
pub(super) fn throttled(code: u32) -> Refused {
    let whose = if code == 4 { "Application" } else { "User" };
    let message = format!("(#{code}) {whose} request limit reached");
    refusal(StatusCode::BAD_REQUEST, "OAuthException", code, None, &message)
}

/// A path that Graph does not have.
pub(super) fn unknown_path(path: &str) -> Refused {
    let message = format!("Unknown path components: {path}");
    refusal(StatusCode::BAD_REQUEST, "OAuthException", 2500, None, &message)
}

/// An argument that makes no sense, wrong app credentials among them.
pub(super) fn invalid_argument(code: u32, message: &str) -> Refused {
    refusal(StatusCode::BAD_REQUEST, "OAuthException", code, None, message)
}
