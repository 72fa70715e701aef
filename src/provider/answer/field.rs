//! Header fields with parameters: links and challenges.

use http::{
    HeaderMap,
    header::{LINK, WWW_AUTHENTICATE},
};

/// Returns the target of the first link with `rel=next` (RFC 8288, section 3).
pub(in crate::provider) fn next_link(headers: &HeaderMap) -> Option<&str> {
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

/// Returns a parameter of the `WWW-Authenticate` challenge that reports `error` (RFC 6750, section 3);
/// `Some("")` if that challenge has no such parameter.
pub(in crate::provider) fn challenge<'a>(headers: &'a HeaderMap, error: &str, name: &str) -> Option<&'a str> {
    let mut lines = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let line = lines.find(|line| parameter(line, ',', "error") == Some(error))?;
    Some(parameter(line, ',', name).unwrap_or_default())
}

/// The `value` of `name=value` or `name="value"` among parameters, the first of which may follow a scheme.
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
}
