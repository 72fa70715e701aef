//! The headers that a caller may send.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::field::InvalidField;

/// The most headers. No API needs more; far below what the header map can hold.
const COUNT_LIMIT: usize = 64;

/// All names and values together, in bytes: a common limit of servers.
const SIZE_LIMIT: usize = 16 * 1024;

/// Returns the headers in their order, duplicates included.
pub(super) fn check(headers: &[(String, String)]) -> Result<HeaderMap, InvalidField> {
    if headers.len() > COUNT_LIMIT {
        return Err(InvalidField::new("request.headers", "must be at most 64 headers"));
    }
    if headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > SIZE_LIMIT {
        return Err(InvalidField::new("request.headers", "must be at most 16 KiB in total"));
    }
    let mut checked = HeaderMap::with_capacity(headers.len());
    for (index, (name, value)) in headers.iter().enumerate() {
        let invalid =
            |part, problem: &str| InvalidField::new(format_args!("request.headers[{index}].{part}"), problem);
        let name = self::name(name).map_err(|problem| invalid("name", problem))?;
        let value = self::value(value).map_err(|problem| invalid("value", problem))?;
        checked.append(name, value);
    }
    Ok(checked)
}

fn name(name: &str) -> Result<HeaderName, &'static str> {
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| "must be a header's name, such as `content-type`: letters, digits and hyphens")?;
    refusal(name.as_str()).map_or(Ok(name), Err)
}

/// Returns why a caller may not send a header of this lower-case name; `None` if it may.
fn refusal(name: &str) -> Option<&'static str> {
    // CGI and WSGI servers read `_` as `-`.
    let name = name.replace('_', "-");
    match name.as_str() {
        "authorization" | "cookie" | "set-cookie" | "x-goog-api-key" | "x-goog-iam-authorization-token" => {
            Some("must not carry credentials: the service sets the user's token")
        }
        "host" => Some("must not be `host`: name the host in `request.host`"),
        "connection" | "keep-alive" | "te" | "trailer" | "transfer-encoding" | "upgrade"
        | "http2-settings" | "content-length" | "expect" => {
            Some("must not be one that HTTP itself sets for a connection or a body: leave it out")
        }
        "accept-encoding" => {
            Some("must not be `accept-encoding`: the service undoes content codings, so leave it out")
        }
        "x-http-method"
        | "x-http-method-override"
        | "x-method-override"
        | "x-original-method"
        | "x-http-verb" => {
            Some("must not change the method: send it in `request.method`, which the policy judges")
        }
        "x-original-url" | "x-rewrite-url" | "x-original-uri" | "x-original-host" | "x-host" => {
            Some("must not change the host or path: send them in `request`, which the policy judges")
        }
        "forwarded" | "x-real-ip" | "via" | "x-client-ip" | "true-client-ip" => Some(FORWARDING),
        _ => refused_family(&name),
    }
}

const FORWARDING: &str = "must not speak of the way that a request took: leave it out";

fn refused_family(name: &str) -> Option<&'static str> {
    if name.starts_with("proxy-") || name.starts_with("x-forwarded-") || name.starts_with("x-envoy-") {
        return Some(FORWARDING);
    }
    if name.starts_with("grpc-") {
        return Some("must not belong to the gRPC call itself: leave it out");
    }
    None
}

fn value(value: &str) -> Result<HeaderValue, &'static str> {
    let problem = "must not hold control characters, such as line breaks and tabs";
    if value.contains(char::is_control) {
        return Err(problem);
    }
    HeaderValue::from_bytes(value.as_bytes()).map_err(|_| problem)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(name: &str, value: &str) -> Result<HeaderMap, InvalidField> {
        check(&[("accept".to_owned(), "*/*".to_owned()), (name.to_owned(), value.to_owned())])
    }

    #[test]
    fn headers_that_apis_need_pass() {
        let names = [
            "content-type",
            "Accept",
            "If-None-Match",
            "range",
            "prefer",
            "x-goog-user-project",
            "x-upload-content-type",
            "x-github-api-version",
            "user-agent",
            "traceparent",
            "content-encoding",
        ];
        for name in names {
            assert!(one(name, "some value; q=0.5 é").is_ok(), "{name}");
        }
    }

    #[test]
    fn headers_that_only_the_service_may_set_are_refused_by_name() {
        let names = [
            "authorization",
            "Authorization",
            "proxy-authorization",
            "Proxy-Connection",
            "cookie",
            "set-cookie",
            "host",
            "connection",
            "keep-alive",
            "te",
            "trailer",
            "transfer-encoding",
            "Transfer_Encoding",
            "upgrade",
            "http2-settings",
            "content-length",
            "expect",
            "accept-encoding",
            "x-http-method",
            "X-HTTP-Method-Override",
            "x_http_method_override",
            "x-method-override",
            "x-http-verb",
            "x-goog-api-key",
            "X-Goog-IAM-Authorization-Token",
            "x-original-url",
            "x-rewrite-url",
            "forwarded",
            "x-forwarded-for",
            "X_Forwarded_Host",
            "x-real-ip",
            "via",
            "x-envoy-retry-on",
            "grpc-timeout",
            ":path",
            ":authority",
            "",
            " ",
            "a b",
            "a:",
            "a\n",
            "é",
        ];
        for name in names {
            let error = one(name, "value").expect_err(name);
            assert_eq!(error.field, "request.headers[1].name", "{name:?}");
        }
    }

    #[test]
    fn a_value_cannot_smuggle_a_second_header() {
        for value in ["a\r\nauthorization: b", "a\nb", "a\rb", "a\0b", "a\tb", "a\x7f", "a\u{85}b"] {
            let error = one("accept", value).expect_err(value);
            assert_eq!(error.field, "request.headers[1].value", "{value:?}");
        }
    }

    #[test]
    fn duplicates_keep_their_order() {
        let headers = one("ACCEPT", "text/plain").expect("both may be sent");
        assert_eq!(headers.get_all("accept").iter().collect::<Vec<_>>(), ["*/*", "text/plain"]);
    }

    #[test]
    fn too_many_or_too_large_headers_are_refused() {
        let many = |count| vec![("a".to_owned(), String::new()); count];
        assert!(check(&many(64)).is_ok());
        assert_eq!(check(&many(65)).expect_err("one too many").field, "request.headers");
        let large = |length| [("a".to_owned(), "v".repeat(length))];
        assert!(check(&large(SIZE_LIMIT - 1)).is_ok());
        assert_eq!(check(&large(SIZE_LIMIT)).expect_err("a byte too large").field, "request.headers");
    }

    proptest! {
        #[test]
        fn what_passes_is_one_header_without_controls(name in "\\PC{0,24}|[a-z_-]{1,30}", value in any::<String>()) {
            if let Ok(headers) = one(&name, &value) {
                prop_assert_eq!(headers.len(), 2);
                let stored = headers.values().last().map(HeaderValue::as_bytes);
                let stored = stored.expect("there are two");
                prop_assert!(!stored.iter().any(u8::is_ascii_control));
                prop_assert!(!headers.contains_key("authorization"));
            }
        }
    }
}
