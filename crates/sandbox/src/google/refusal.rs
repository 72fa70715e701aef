//! Google's error bodies: `error{code, message, errors[], status, details[]}`.

use http::StatusCode;
use serde_json::{Value, json};

use crate::reply::{self, Refused, With as _};

const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";

/// The old and the new form in one body, as Google sends them.
fn body(status: StatusCode, name: &str, message: &str, reason: &str, details: Value) -> Value {
    let mut body = json!({"error": {
        "code": status.as_u16(),
        "message": message,
        "errors": [{"message": message, "domain": "global", "reason": reason}],
        "status": name,
    }});
    if !details.is_null() {
        body["error"]["details"] = details;
    }
    body
}

/// 401 for a token that is unknown, expired or revoked, and for none at all.
pub(super) fn unauthenticated(service: &str) -> Refused {
    let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or \
                   other valid authentication credential.";
    let mut body = body(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message, "authError", Value::Null);
    body["error"]["errors"] = json!([{
        "message": "Invalid Credentials", "domain": "global", "reason": "authError",
        "location": "Authorization", "locationType": "header",
    }]);
    body["error"]["details"] = json!([{
        "@type": ERROR_INFO, "reason": "ACCESS_TOKEN_EXPIRED", "domain": "googleapis.com",
        "metadata": {"service": service},
    }]);
    let challenge = "Bearer realm=\"https://accounts.google.com/\", error=\"invalid_token\"";
    reply::json(StatusCode::UNAUTHORIZED, &body).with("www-authenticate", challenge).into()
}

/// 403 for a scope that the user did not grant; the header names those that would do.
pub(super) fn scope_insufficient(service: &str, method: &str, wanted: &[&str]) -> Refused {
    let details = json!([{
        "@type": ERROR_INFO, "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "domain": "googleapis.com",
        "metadata": {"service": service, "method": method},
    }]);
    let message = "Request had insufficient authentication scopes.";
    let body = body(StatusCode::FORBIDDEN, "PERMISSION_DENIED", message, "insufficientPermissions", details);
    let challenge = format!(
        "Bearer realm=\"https://accounts.google.com/\", error=\"insufficient_scope\", scope=\"{}\"",
        wanted.join(" ")
    );
    reply::json(StatusCode::FORBIDDEN, &body).with("www-authenticate", challenge).into()
}

/// 403 for an API that is switched off in the app's project: the operator's fault, not the user's.
pub(super) fn service_disabled(service: &str, project: &str) -> Refused {
    let message = format!(
        "{service} has not been used in project {project} before or it is disabled. Enable it, then retry."
    );
    let details = json!([{
        "@type": ERROR_INFO, "reason": "SERVICE_DISABLED", "domain": "googleapis.com",
        "metadata": {"service": service, "consumer": format!("projects/{project}")},
    }]);
    let mut body = body(StatusCode::FORBIDDEN, "PERMISSION_DENIED", &message, "accessNotConfigured", details);
    body["error"]["errors"][0]["domain"] = json!("usageLimits");
    reply::json(StatusCode::FORBIDDEN, &body).into()
}

/// Too many requests: 403 from the older APIs, 429 from the newer ones.
pub(super) fn rate_limited(service: &str) -> Refused {
    let (status, name, reason) = match service {
        "gmail.googleapis.com" => (StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED", "rateLimitExceeded"),
        _ => (StatusCode::FORBIDDEN, "PERMISSION_DENIED", "userRateLimitExceeded"),
    };
    let mut body = body(status, name, "Rate Limit Exceeded", reason, Value::Null);
    body["error"]["errors"][0]["domain"] = json!("usageLimits");
    reply::json(status, &body).into()
}

/// 404 for a thing that is not there, or is another's.
pub(super) fn not_found(what: &str) -> Refused {
    let body =
        body(StatusCode::NOT_FOUND, "NOT_FOUND", &format!("{what} not found."), "notFound", Value::Null);
    reply::json(StatusCode::NOT_FOUND, &body).into()
}

/// 400 for a parameter that makes no sense.
pub(super) fn invalid(message: &str) -> Refused {
    let body = body(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", message, "badRequest", Value::Null);
    reply::json(StatusCode::BAD_REQUEST, &body).into()
}
