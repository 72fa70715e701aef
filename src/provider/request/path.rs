//! Whether a path means the same to the policy, the HTTP client and the provider.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str};

use super::TARGET_LIMIT;
use crate::provider::escape;

/// Characters that a provider's own links may contain and a caller's path may not: those that RFC 3986 does
/// not allow, and `'`, which the HTTP client's URL parser encodes in a query. Non-ASCII characters are always
/// encoded.
pub(in crate::provider) const MUST_BE_ENCODED: AsciiSet = CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}')
    .add(b'\'');

/// Checks that `target`, a path that may have a query, can be sent exactly as it is written. Escaped control
/// characters are allowed in the query, where they are data, such as a message of two lines.
pub(in crate::provider) fn check(target: &str) -> Result<(), &'static str> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    check_start(path)?;
    if target.len() > TARGET_LIMIT {
        return Err("must be at most 8 KiB long: send the rest in a body");
    }
    if !path.bytes().all(is_path_byte) || !query.bytes().all(is_query_byte) {
        return Err(
            "must be percent-encoded: spaces, control characters, quotes, `#`, `\\`, `<`, `>`, `{`, `}` and what is \
            not ASCII stand as `%` and two hexadecimal digits",
        );
    }
    if !escape::is_whole(target) {
        return Err("must have two hexadecimal digits after each `%`; a percent sign itself is `%25`");
    }
    check_decoded(path)
}

/// See [`super::is_path`].
pub(super) fn is_written_as_one(path: &str) -> bool {
    check_start(path).is_ok() && path.bytes().all(is_path_byte)
}

fn check_start(path: &str) -> Result<(), &'static str> {
    if !path.starts_with('/') {
        return Err("must start with `/`; name the host in `host`, without a scheme");
    }
    if path.starts_with("//") {
        return Err("must start with exactly one `/`; name the host in `host`");
    }
    Ok(())
}

/// Checks what any server on the way may read in `path`, however often it decodes.
fn check_decoded(path: &str) -> Result<(), &'static str> {
    if percent_decode_str(path).decode_utf8().is_err() {
        return Err("must be UTF-8 once it is decoded");
    }
    let decoded = escape::fully_decoded(path);
    if decoded.contains(&b'\\') {
        return Err("must not hold a backslash, not even an encoded one");
    }
    if decoded.iter().any(u8::is_ascii_control) {
        return Err("must not hold control characters, not even encoded ones");
    }
    if decoded.starts_with(b"//") {
        return Err("must not start with an empty segment, not even an encoded one");
    }
    if decoded.split(|byte| *byte == b'/').any(is_dot_segment) {
        return Err(
            "must not hold the segments `.` and `..`, in any encoding: send the path that they lead to",
        );
    }
    Ok(())
}

/// Servlet containers cut a segment at `;` before they resolve dots, servers that decode an escaped `?` or
/// `#` too early end the path there, and some trim spaces.
fn is_dot_segment(segment: &[u8]) -> bool {
    let name = segment.split(|byte| b";?#".contains(byte)).next().unwrap_or_default().trim_ascii();
    name == b"." || name == b".."
}

fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:@/".contains(&byte)
}

fn is_query_byte(byte: u8) -> bool {
    byte != b'\'' && is_path_byte(byte) || b"?[]".contains(&byte)
}

#[cfg(test)]
mod tests {
    use http::uri::PathAndQuery;
    use percent_encoding::percent_decode;
    use proptest::prelude::*;
    use url::Url;

    use super::*;

    #[test]
    fn a_path_that_an_api_documents_passes() {
        let paths = [
            "/",
            "/calendar/v3/calendars/en.usa%23holiday%40group.v.calendar.google.com/events",
            "/calendar/v3/calendars/user@example.com/events?timeMin=2026-01-01T00:00:00%2B01:00",
            "/v1/people/me:listDirectoryPeople",
            "/repos/o/r/contents/a%2Fb%20c.txt?ref=feature%2Fx",
            "/repos/o/r/compare/main...topic",
            "/repos/o/r/contents/.github/workflows",
            "/storage/v1/b/bucket/o/a//b",
            "/100%25",
            "/a%252Fb",
            "/drive/root:/x,y;v=1:/children(token=~a*!)",
            "/delta(token='x')",
            "/%C3%BC",
            "/search?q=a+b&filter[x]=1&line=1%0A2&sign=100%25&dots=..%2F..",
            "/v25.0/act_1/insights?fields=a,b&time=now",
        ];
        for path in paths {
            assert_eq!(check(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn a_path_that_could_be_read_in_two_ways_is_refused() {
        let paths = [
            "",
            "users",
            "?a=b",
            "https://evil.example/",
            "//evil.example/a",
            "///a",
            "/%2Fevil.example",
            "/%252fevil.example",
            "/\\evil.example",
            "\\a",
            "/a\\b",
            "/a%5cb",
            "/a%5Cb",
            "/a%255Cb",
            "/a?x=\\",
            "/.",
            "/..",
            "/a/./b",
            "/a/../b",
            "/a/%2e/b",
            "/a/%2E%2e/b",
            "/a/.%2e/b",
            "/a/%2e./b",
            "/a/%252e%252e/b",
            "/a/%25252e./b",
            "/a%2f..%2fb",
            "/a%2F%2e%2E%2Fb",
            "/a%252f..%252fb",
            "/a%5c..%5cb",
            "/a/..;x/b",
            "/a/..;/b",
            "/a/%2e%2e%3Bx=1/b",
            "/a/.;/b",
            "/a/..%20/b",
            "/a/..%3Fb",
            "/a/%2e%2e%23b",
            "/a/..%253Fb",
            "/a/b/..",
            "/a\0b",
            "/a\rb",
            "/a\nb",
            "/a\tb",
            "/a%00b",
            "/a%0d%0ab",
            "/a%2500",
            "/a%7f",
            "/a b",
            "/a?q=a b",
            "/a#b",
            "/a?b#c",
            "/ü",
            "/a?q=ü",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a?q=%",
            "/a?q='x'",
            "/a?q=\"x\"",
            "/a{b}",
            "/a|b",
            "/a<b>",
            "/a[b]",
            "/a^b`",
            "/%c0%ae%c0%ae/b",
            "/%e0%80%af",
            "/%ff",
        ];
        for path in paths {
            assert!(check(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn a_path_over_the_limit_is_refused_and_one_at_it_passes() {
        let longest = format!("/{}", "a".repeat(TARGET_LIMIT - 1));
        assert_eq!(check(&longest), Ok(()));
        assert!(check(&format!("{longest}a")).is_err());
    }

    /// Paths made of hostile fragments, so that many pass and many almost pass.
    fn hostile() -> impl Strategy<Value = String> {
        let pieces = "/ . .. %2e %2E %25 2e 2f %2f %5c 5c \\ ; ? # %00 %0a a b %61 @ %3F %23 : % ü %c3%bc ' [ { = & + ~ , %3B /a /b";
        let piece = proptest::sample::select(pieces.split(' ').chain([" ", "\n"]).collect::<Vec<_>>());
        proptest::collection::vec(piece, 0..16).prop_map(|pieces| format!("/{}", pieces.concat()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn what_passes_is_sent_byte_for_byte(target in hostile()) {
            if check(&target).is_err() {
                return Ok(());
            }
            let parsed: PathAndQuery = target.parse().expect("what passes is a path");
            prop_assert_eq!(parsed.as_str(), &target);
            // What reqwest makes of it.
            let url = Url::parse(&format!("https://host.example{target}")).expect("what passes makes a URL");
            prop_assert_eq!(&url[url::Position::BeforePath..], &target);
            prop_assert_eq!(url.host_str(), Some("host.example"));
        }

        #[test]
        fn what_passes_holds_no_trick_after_any_number_of_decodings(target in hostile()) {
            if check(&target).is_err() {
                return Ok(());
            }
            let mut path = target.split('?').next().unwrap_or_default().as_bytes().to_vec();
            loop {
                let text = String::from_utf8_lossy(&path).into_owned();
                let names = text.split(['/', '\\']).map(|segment| segment.split([';', '?', '#']).next());
                prop_assert!(!names.flatten().any(|name| name == "." || name == ".."), "{}", text);
                prop_assert!(!text.contains(|letter: char| letter.is_ascii_control()), "{}", text);
                prop_assert!(text.starts_with('/') && !text.starts_with("//"), "{}", text);
                let decoded: Vec<u8> = percent_decode(&path).collect();
                if decoded == path {
                    break;
                }
                path = decoded;
            }
        }

        #[test]
        fn an_id_with_slashes_and_signs_passes_as_one_encoded_segment(text in "[a-zA-Z0-9 :@+,=~é/]{1,20}") {
            let path = format!("/ids/{}", percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC));
            prop_assert_eq!(check(&path), Ok(()));
        }
    }
}
