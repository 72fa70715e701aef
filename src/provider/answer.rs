//! Reads what providers answer. Nothing in here trusts an answer: what cannot be read is not there.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{
    HeaderMap, Response, StatusCode,
    header::{CONTENT_TYPE, LINK, WWW_AUTHENTICATE},
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::retry::LONGEST_WAIT;

/// The body as `T`, if it is JSON of that shape. serde_json bounds the depth.
pub(super) fn json<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

/// The body of a success as `T`, if it says that it is JSON and is.
pub(super) fn page<T: DeserializeOwned>(answer: &Response<Bytes>) -> Option<T> {
    if !answer.status().is_success() || !says_json(answer.headers()) {
        return None;
    }
    json(answer.body())
}

fn says_json(headers: &HeaderMap) -> bool {
    let content_type = text(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type == "application/json" || media_type == "text/javascript" || media_type.ends_with("+json")
}

/// The first header of this name, if it is text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The first header of this name, if it is a whole number.
pub(super) fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    text(headers, name)?.trim().parse().ok()
}

/// The items of a comma-separated header, over all its lines.
pub(super) fn list<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|item| !item.is_empty()).collect()
}

/// The time that a header gives in seconds since 1970.
pub(super) fn epoch(headers: &HeaderMap, name: &str) -> Option<SystemTime> {
    let seconds = u64::try_from(number(headers, name)?).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// How long it is until `time`; zero if it has passed, and never more than [`LONGEST_WAIT`].
pub(super) fn wait_until(time: SystemTime, now: SystemTime) -> Duration {
    time.duration_since(now).unwrap_or_default().min(LONGEST_WAIT)
}

/// Whether a status tells of a failure that may pass: 5xx, save what the server will never do.
pub(super) fn may_pass(status: StatusCode) -> bool {
    status.is_server_error()
        && status != StatusCode::NOT_IMPLEMENTED
        && status != StatusCode::HTTP_VERSION_NOT_SUPPORTED
}

/// The target of the first link with `rel=next` (RFC 8288, section 3).
pub(super) fn next_link(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let is_next = |parameters| {
        parameter(parameters, ';', "rel")
            .is_some_and(|rel| rel.split(' ').any(|rel| rel.eq_ignore_ascii_case("next")))
    };
    lines.flat_map(links).find(|(_, parameters)| is_next(parameters)).map(|(target, _)| target)
}

fn links(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let (target, after) = rest.split_once('<')?.1.split_once('>')?;
        let (parameters, after) = split_unquoted(after, ',');
        rest = after;
        Some((target, parameters))
    })
}

/// A parameter of the `WWW-Authenticate` challenge that reports `error` (RFC 6750, section 3).
/// `Some("")` if the challenge has no such parameter.
pub(super) fn challenge<'a>(headers: &'a HeaderMap, error: &str, name: &str) -> Option<&'a str> {
    let mut lines = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let line = lines.find(|line| parameter(line, ',', "error") == Some(error))?;
    Some(parameter(line, ',', name).unwrap_or_default())
}

/// `value` of `name=value` or `name="value"` among parameters; a scheme may stand before the first.
fn parameter<'a>(parameters: &'a str, separator: char, name: &str) -> Option<&'a str> {
    let mut rest = parameters;
    while !rest.is_empty() {
        let (item, after) = split_unquoted(rest, separator);
        rest = after;
        let Some((key, value)) = item.split_once('=') else { continue };
        let key = key.split_ascii_whitespace().next_back().unwrap_or_default();
        if key.eq_ignore_ascii_case(name) {
            return Some(value.trim().trim_matches('"'));
        }
    }
    None
}

fn split_unquoted(text: &str, separator: char) -> (&str, &str) {
    let mut quoted = false;
    let end = text.find(|letter| {
        quoted ^= letter == '"';
        letter == separator && !quoted
    });
    end.map_or((text, ""), |end| (&text[..end], &text[end + separator.len_utf8()..]))
}

/// A JSON value where text or a whole number is hoped for. Providers write `463` and `"463"`; any other type is
/// [`Loose::Other`] instead of an error, so that one odd field does not hide the rest.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Loose {
    /// A string.
    Text(String),
    /// A number, without its fraction.
    Number(i64),
    /// Absent, null, or something else.
    #[default]
    Other,
}

impl Loose {
    /// The text; empty if it is none.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            _ => "",
        }
    }

    /// The number, which may be written as text.
    pub(super) fn number(&self) -> Option<i64> {
        match self {
            Self::Text(text) => text.trim().parse().ok(),
            Self::Number(number) => Some(*number),
            Self::Other => None,
        }
    }
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyType)
    }
}

struct AnyType;

impl<'de> Visitor<'de> for AnyType {
    type Value = Loose;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E>(self, text: &str) -> Result<Loose, E> {
        Ok(Loose::Text(text.to_owned()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Loose, E> {
        Ok(Loose::Number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Loose, E> {
        Ok(i64::try_from(number).map_or(Loose::Other, Loose::Number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Loose, E> {
        Ok(Loose::Number(number as i64)) // `as` saturates
    }

    fn visit_bool<E>(self, _: bool) -> Result<Loose, E> {
        Ok(Loose::Other)
    }

    fn visit_unit<E>(self) -> Result<Loose, E> {
        Ok(Loose::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Loose, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Loose::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Loose, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Loose::Other)
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn header(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).expect("the test's header is one"))])
    }

    #[test]
    fn the_next_link_is_found_wherever_it_stands() {
        let rows = [
            (
                r#"<https://a/x?page=2>; rel="next", <https://a/x?page=9>; rel="last""#,
                Some("https://a/x?page=2"),
            ),
            (r#"<https://a/1>; rel="prev", <https://a/3>; rel="next""#, Some("https://a/3")),
            (r#"<https://a/x?ids=1,2>;title="a, b";REL=next"#, Some("https://a/x?ids=1,2")),
            (r#"<https://a/x>; rel="last next""#, Some("https://a/x")),
            (r#"<https://a/x>; rel="nextish""#, None),
            (r#"<https://a/x>; title="rel=next""#, None),
            ("<https://a/x", None),
            ("rel=next", None),
            ("", None),
        ];
        for (value, expected) in rows {
            assert_eq!(next_link(&header(LINK, value)), expected, "{value}");
        }
    }

    #[test]
    fn a_challenge_is_read_quoted_or_not() {
        let rows = [
            (r#"Bearer realm="https://a/", error="insufficient_scope", scope="x y""#, Some("x y")),
            (r#"Bearer realm="https://a/AuthSubRequest", error=insufficient_scope, scope="x""#, Some("x")),
            (r#"Bearer error="insufficient_scope""#, Some("")),
            (r#"Bearer error="insufficient_scope", xscope="no""#, Some("")),
            (r#"Bearer error="invalid_token", scope="x""#, None),
            (r#"Bearer realm="error=insufficient_scope""#, None),
        ];
        for (value, expected) in rows {
            assert_eq!(
                challenge(&header(WWW_AUTHENTICATE, value), "insufficient_scope", "scope"),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn odd_types_are_no_error() {
        let rows = [
            ("\"463\"", Loose::Text("463".to_owned())),
            ("463", Loose::Number(463)),
            ("463.9", Loose::Number(463)),
            ("1e300", Loose::Number(i64::MAX)),
            ("-1", Loose::Number(-1)),
            ("18446744073709551615", Loose::Other),
            ("true", Loose::Other),
            ("null", Loose::Other),
            ("[1, {\"a\": []}]", Loose::Other),
            ("{\"a\": [1]}", Loose::Other),
        ];
        for (text, expected) in rows {
            assert_eq!(json::<Loose>(text.as_bytes()), Some(expected), "{text}");
        }
        assert_eq!(Loose::Text(" 463 ".to_owned()).number(), Some(463));
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
            let answer = answer.body(Bytes::from_static(b"1")).expect("the test's answer is one");
            assert_eq!(page::<Loose>(&answer).is_some(), expected, "{status} {content_type}");
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
