//! Readers for providers' answers. They trust nothing: whatever cannot be parsed counts as absent.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header::CONTENT_TYPE};
use serde::de::DeserializeOwned;

pub(super) use self::{
    document::Document,
    field::{challenge, next_link},
    loose::Loose,
    window::{exhausted, rate_limit},
    words::Words,
};
use crate::retry::LONGEST_WAIT;

mod document;
mod field;
mod loose;
mod window;
mod words;

/// Parses the body as JSON of type `T`. serde_json bounds the depth.
pub(super) fn json<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

/// Parses the body as a JSON object of type `T`. Arrays are rejected, since serde would read their items as
/// the fields of a struct.
fn object<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    json(body).filter(|_| body.trim_ascii_start().starts_with(b"{"))
}

/// Parses the body of a success as `T`, if its content type is JSON and it is an object.
pub(super) fn page<T: DeserializeOwned>(answer: &Response<Bytes>) -> Option<T> {
    if !answer.status().is_success() || !says_json(answer.headers()) {
        return None;
    }
    object(answer.body())
}

fn says_json(headers: &HeaderMap) -> bool {
    let content_type = text(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type == "application/json" || media_type == "text/javascript" || media_type.ends_with("+json")
}

/// Returns the first header of this name, if it is text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Returns the first header of this name, if it is a whole number.
pub(super) fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    text(headers, name)?.trim().parse().ok()
}

/// The items of a comma-separated header, over all its lines.
pub(super) fn list<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|item| !item.is_empty()).collect()
}

/// The time in a header that holds seconds since 1970.
pub(super) fn epoch(headers: &HeaderMap, name: &str) -> Option<SystemTime> {
    let seconds = u64::try_from(number(headers, name)?).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// The time left until `time`: zero if it has passed, at most [`LONGEST_WAIT`].
pub(super) fn wait_until(time: SystemTime, now: SystemTime) -> Duration {
    time.duration_since(now).unwrap_or_default().min(LONGEST_WAIT)
}

/// Returns whether a status reports a temporary failure: 5xx, except those that a retry cannot change.
pub(super) fn may_pass(status: StatusCode) -> bool {
    status.is_server_error()
        && status != StatusCode::NOT_IMPLEMENTED
        && status != StatusCode::HTTP_VERSION_NOT_SUPPORTED
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn header(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).expect("the test's header is one"))])
    }

    #[test]
    fn only_json_that_says_so_is_a_page() {
        let rows = [
            (200, "application/json; charset=UTF-8", true),
            (200, "application/vnd.github+json", true),
            (200, "Application/JSON", true),
            (200, "text/javascript; charset=UTF-8", true),
            (200, "text/plain", false),
            (400, "application/json", false),
        ];
        for (status, content_type, expected) in rows {
            let answer = Response::builder().status(status).header(CONTENT_TYPE, content_type);
            let answer = answer.body(Bytes::from_static(b" {}")).expect("the test's answer is one");
            assert_eq!(page::<Loose>(&answer).is_some(), expected, "{status} {content_type}");
        }
    }

    #[test]
    fn an_array_is_no_object_though_serde_would_take_it_for_one() {
        #[derive(serde::Deserialize)]
        struct Named {
            _name: Loose,
        }
        assert!(object::<Named>(br#" {"_name":"a"}"#).is_some());
        assert!(json::<Named>(br#"["a"]"#).is_some());
        for body in [&br#"["a"]"#[..], b"\"a\"", b"", b"null"] {
            assert!(object::<Named>(body).is_none());
        }
    }

    #[test]
    fn a_reset_far_off_or_long_past_is_bounded() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let name = HeaderName::from_static("x-ratelimit-reset");
        let wait =
            |value| epoch(&header(name.clone(), value), name.as_str()).map(|time| wait_until(time, now));
        assert_eq!(wait("1060"), Some(Duration::from_secs(60)));
        assert_eq!(wait("10"), Some(Duration::ZERO));
        assert_eq!(wait("9223372036854"), Some(LONGEST_WAIT));
        assert_eq!(wait("-5"), None);
        assert_eq!(wait("99999999999999999999"), None);
    }
}
