//! GitHub's error bodies: `message`, `documentation_url`, `status`.

use http::StatusCode;
use serde_json::json;

use crate::reply::{self, Refused, With as _};

const DOCS: &str = "https://docs.github.com/rest";

fn refusal(status: StatusCode, message: &str) -> Refused {
    let body = json!({"message": message, "documentation_url": DOCS, "status": status.as_str()});
    reply::json(status, &body).into()
}

/// 401 for a token that is dead or was never one.
pub(super) fn bad_credentials() -> Refused {
    refusal(StatusCode::UNAUTHORIZED, "Bad credentials")
}

/// 401 where a user is needed and no token came.
pub(super) fn requires_authentication() -> Refused {
    refusal(StatusCode::UNAUTHORIZED, "Requires authentication")
}

/// 404 for what is not there, and for what is private and not to be seen.
pub(super) fn not_found() -> Refused {
    refusal(StatusCode::NOT_FOUND, "Not Found")
}

/// 422 for a body that lacks something.
pub(super) fn unprocessable(message: &str) -> Refused {
    refusal(StatusCode::UNPROCESSABLE_ENTITY, message)
}

/// 403 as plain text, for a request without `User-Agent`.
pub(super) fn no_user_agent() -> Refused {
    let text = "\r\nRequest forbidden by administrative rules. Please make sure your request has a User-Agent header \
                (https://docs.github.com/en/rest/overview/resources-in-the-rest-api#user-agent-required). Check \
                https://developer.github.com for other possible causes.\r\n";
    reply::raw(StatusCode::FORBIDDEN, "text/html", text).into()
}

/// 400 for a version of the API that GitHub never had.
pub(super) fn unknown_version(version: &str) -> Refused {
    let body = json!({
        "message": format!("\"{version}\" is not a supported version of the GitHub API. Supported versions are listed in the documentation."),
        "documentation_url": "https://docs.github.com/rest/about-the-rest-api/api-versions",
        "status": "400",
    });
    reply::json(StatusCode::BAD_REQUEST, &body).into()
}

/// 403 for a quota that is used up; when it begins again, the `x-ratelimit` headers tell.
pub(super) fn rate_limit_exceeded(user: &str) -> Refused {
    refusal(StatusCode::FORBIDDEN, &format!("API rate limit exceeded for user ID {user}."))
}

/// 403 for too many writes in a minute, with the time to wait.
pub(super) fn secondary_limit(seconds: u64) -> Refused {
    let body = json!({
        "message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
        "documentation_url":
            "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits",
        "status": "403",
    });
    reply::json(StatusCode::FORBIDDEN, &body).with("retry-after", seconds).into()
}
