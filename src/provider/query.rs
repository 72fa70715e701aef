//! Reads and edits queries without touching what need not change.

use std::fmt::Write;

use http::{Uri, uri::PathAndQuery};
use percent_encoding::utf8_percent_encode;
use url::Url;

use super::{
    Unsendable, escape,
    request::{METHOD_PARAMETERS, TOKEN_PARAMETERS, path},
};
use crate::identity::RESERVED;

/// Adds `name=value`, percent-encoded, to `target`, a path that may already have a query.
pub(super) fn append(target: &mut String, name: &str, value: &str) {
    match target.find('?') {
        None => target.push('?'),
        Some(_) if target.ends_with(['?', '&']) => {}
        Some(_) => target.push('&'),
    }
    push(target, name, value);
}

/// Returns `url` with one more parameter, percent-encoded.
pub(super) fn extended(url: &Uri, name: &str, value: &str) -> Result<Uri, Unsendable> {
    let mut target = url.path_and_query().map_or("/", PathAndQuery::as_str).to_owned();
    append(&mut target, name, value);
    let mut parts = url.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).map_err(|_| Unsendable::TooLong)?);
    Uri::from_parts(parts).map_err(|_| Unsendable::TooLong)
}

/// Returns `query` with `name` set to `value`, at its first occurrence or else at the end; the rest is
/// unchanged.
pub(super) fn set(query: &str, name: &str, value: &str) -> String {
    let mut target = String::from("?");
    let mut value = Some(value);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        if !is_one_of(name_of(pair), &[name]) {
            separate(&mut target);
            target.push_str(pair);
        } else if let Some(value) = value.take() {
            append(&mut target, name, value);
        }
    }
    if let Some(value) = value {
        append(&mut target, name, value);
    }
    target.split_off(1)
}

/// Returns whether `query` has a parameter that callers may not send to a provider that refuses `own`. `;`
/// counts as a separator too, since some servers read it like `&`.
pub(super) fn has_refused(query: &str, own: &[&str]) -> bool {
    query.split(['&', ';']).any(|pair| is_refused(name_of(pair), own))
}

/// Returns whether a parameter of this name is refused, for every provider or as one of `own`.
pub(super) fn is_refused(name: &str, own: &[&str]) -> bool {
    is_one_of(name, &TOKEN_PARAMETERS) || is_one_of(name, &METHOD_PARAMETERS) || is_one_of(name, own)
}

/// Returns whether a parameter's name, in any encoding and spelling, is one of `names`. Case, punctuation and
/// brackets are ignored: frameworks read `Access.Token`, `access_token[]` and ` access_token` as
/// `access_token` (PHP turns dots, spaces and lone brackets into `_`). So is everything after a control
/// character, where some parsers end a name.
fn is_one_of(name: &str, names: &[&str]) -> bool {
    let decoded = String::from_utf8_lossy(&escape::fully_decoded(name)).into_owned();
    let before = |end: fn(char) -> bool| letters(decoded.split(end).next().unwrap_or_default());
    let readings = [
        letters(&decoded),
        before(|letter| letter == '['),
        before(char::is_control),
        before(|letter| letter == '[' || letter.is_control()),
    ];
    names.iter().map(|name| letters(name)).any(|name| readings.contains(&name))
}

/// Turns a path and query from a provider's link into one that a caller may send: parameters that only the
/// service sets are removed, and characters are encoded where needed. `None` if nothing is left.
pub(super) fn sendable(path: &str, query: &str, own: &[&str]) -> Option<String> {
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_refused(name_of(pair), own)).collect();
    let query = kept.join("&");
    let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let target = utf8_percent_encode(&target, &path::MUST_BE_ENCODED).to_string();
    (path::check(&target).is_ok() && !has_refused(&query, own)).then_some(target)
}

/// Returns the path and query of `link`, an absolute URL in an answer, in the form that a caller may send to
/// the host of `sent`. `None` if it leads to another host.
pub(super) fn followed(sent: &Uri, link: &str, own: &[&str]) -> Option<String> {
    let next = Url::parse(link).ok()?;
    if next.host_str() != sent.host() {
        return None;
    }
    sendable(next.path(), next.query().unwrap_or_default(), own)
}

fn letters(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

fn name_of(pair: &str) -> &str {
    pair.split('=').next().unwrap_or_default()
}

fn separate(target: &mut String) {
    if !target.ends_with('?') {
        target.push('&');
    }
}

fn push(target: &mut String, name: &str, value: &str) {
    let (name, value) = (utf8_percent_encode(name, RESERVED), utf8_percent_encode(value, RESERVED));
    write!(target, "{name}={value}").expect("a string takes all that is written to it");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_appended_encoded() {
        for (target, expected) in
            [("/a", "/a?n%26=v%20%2B"), ("/a?", "/a?n%26=v%20%2B"), ("/a?b=1", "/a?b=1&n%26=v%20%2B")]
        {
            let mut target = target.to_owned();
            append(&mut target, "n&", "v +");
            assert_eq!(target, expected);
        }
    }

    #[test]
    fn setting_a_parameter_leaves_the_others_byte_for_byte() {
        let rows = [
            ("", "pageToken=x%2F"),
            ("q=a+b%20c", "q=a+b%20c&pageToken=x%2F"),
            ("pageToken=1&q=%27", "pageToken=x%2F&q=%27"),
            ("a=1&page%54oken=1&b&pageToken=2", "a=1&pageToken=x%2F&b"),
        ];
        for (query, expected) in rows {
            assert_eq!(set(query, "pageToken", "x/"), expected, "{query}");
        }
    }

    #[test]
    fn a_name_is_known_behind_every_disguise() {
        let disguises = [
            "access_token",
            "ACCESS_TOKEN",
            "access%5ftoken",
            "%61ccess_token",
            "%2561ccess_token",
            "access.token",
            "access+token",
            "access[token",
            "access_token[]",
            "access_token%5B0%5D",
            "%20access_token",
            "access_token%00",
            "access_token%00x",
            "access_token%0d%0ax[y]",
            "access_token[%00]x",
            "accessToken",
        ];
        for name in disguises {
            assert!(is_one_of(name, &["access_token"]), "{name}");
        }
        for name in ["access", "token", "fields", "access_token_type", "", "q[access_token]"] {
            assert!(!is_one_of(name, &["access_token"]), "{name}");
        }
    }

    #[test]
    fn a_link_is_made_sendable_or_dropped() {
        let rows = [
            ("/a", "after=1|2&q='x'", Some("/a?after=1%7C2&q=%27x%27")),
            ("/a%7Cb", "", Some("/a%7Cb")),
            (
                "/a",
                "limit=2&access%5Ftoken=s&after=A%3D&ACCESS_TOKEN=s&batch=s",
                Some("/a?limit=2&after=A%3D"),
            ),
            ("/a", "access_token=s", Some("/a")),
            ("/a", "b=1;access_token=s", None),
            ("//evil.example/a", "", None),
            ("/a/../b", "", None),
            ("a", "", None),
            ("/a", "b=%2", None),
        ];
        for (path, query, expected) in rows {
            assert_eq!(sendable(path, query, &["batch"]).as_deref(), expected, "{path} {query}");
        }
    }
}
