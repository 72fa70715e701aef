//! Parameters in bodies. Graph reads them like those of a query, so `method`, `batch` and `access_token`
//! would change what the policy has judged. <https://developers.facebook.com/docs/graph-api/batch-requests>

use std::collections::BTreeMap;

use http::{HeaderMap, header};
use memchr::memchr_iter;
use percent_encoding::percent_decode;
use serde::de::IgnoredAny;

use crate::provider::query::is_refused;

/// In bytes; Graph's own names have at most 30. Ignored characters before a name, such as spaces, must not
/// hide it.
const LONGEST_NAME: usize = 256;

/// The most parameters of one body. No real request has a tenth of them, and judging one takes some
/// microseconds.
const MOST_NAMES: usize = 1000;

const REFUSED: &str = "must not hold a parameter that carries a token or a secret, changes the method or holds further \
    requests (`access_token`, `method`, `batch`): send the method in `request.method`, and each request by itself";

const TOO_MANY: &str = "must not hold more than 1000 parameters; a file goes as one part of `multipart/form-data`, or under \
    a `content-type` of its own";

const TOO_LONG: &str = "must not hold a parameter whose name is longer than 256 bytes; a file goes as one part of \
    `multipart/form-data`, or under a `content-type` of its own";

const NO_JSON: &str = "must be one JSON object, as it begins or its `content-type` says";

/// Checks that Graph finds no parameter in `body` that callers may not send: one of `own`, or one that every
/// provider refuses. A body that can be read in several ways is judged in each of them.
///
/// # Errors
/// When it finds one, or when that cannot be ruled out. The text continues a sentence that starts with "it".
pub(super) fn check(headers: &HeaderMap, body: &[u8], own: &[&str]) -> Result<(), &'static str> {
    if body.is_empty() {
        return Ok(());
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(
            "must not be compressed, so that its parameters can be judged: leave `content-encoding` out",
        );
    }
    match &*kind(headers)? {
        kind if kind.ends_with("json") => json(body, own).unwrap_or(Err(NO_JSON)),
        "multipart/form-data" => judge(parts(body), own),
        kind if is_file(kind) => Ok(()),
        _ => {
            let text = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
            if text.trim_ascii_start().starts_with(b"{") {
                json(text, own).unwrap_or(Err(NO_JSON))?;
            }
            judge(fields(body), own)?;
            judge(parts(body), own)
        }
    }
}

/// The media type in lower case, without parameters; empty if there is none.
fn kind(headers: &HeaderMap) -> Result<String, &'static str> {
    let mut kinds = headers.get_all(header::CONTENT_TYPE).iter();
    let (kind, None) = (kinds.next(), kinds.next()) else { return Err("must have one `content-type`") };
    let kind = kind.map(|kind| String::from_utf8_lossy(kind.as_bytes()).trim().to_ascii_lowercase());
    Ok(kind.unwrap_or_default().split([';', ',', ' ']).next().unwrap_or_default().to_owned())
}

/// Returns whether the media type is one in which Graph looks for no parameters.
fn is_file(kind: &str) -> bool {
    ["image/", "video/", "audio/"].iter().any(|family| kind.starts_with(family))
        || kind == "application/octet-stream"
}

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

fn judge<'a>(names: impl Iterator<Item = &'a [u8]>, own: &[&str]) -> Result<(), &'static str> {
    for (index, name) in names.enumerate() {
        if index == MOST_NAMES {
            return Err(TOO_MANY);
        }
        if name.len() > LONGEST_NAME {
            return Err(TOO_LONG);
        }
        if is_refused_name(name, own) {
            return Err(REFUSED);
        }
    }
    Ok(())
}

/// `{"a":1,"b":2}`; no names for anything but an object.
fn json(body: &[u8], own: &[&str]) -> Option<Result<(), &'static str>> {
    let object: BTreeMap<String, IgnoredAny> = serde_json::from_slice(body).ok()?;
    Some(judge(object.keys().map(String::as_bytes), own))
}

/// `a=1&b=2`
fn fields(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let pairs = body.split(|byte| b"&;".contains(byte));
    pairs.map(|pair| pair.split(|byte| *byte == b'=').next().unwrap_or_default())
}

/// `Content-Disposition: form-data; name="a"`, anywhere in the body: boundaries are ignored, as another thing
/// that Graph might read differently.
fn parts(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let found = memchr_iter(b'=', body).filter_map(|at| {
        let label = body[..at].trim_ascii_end();
        let (label, is_extended) = label.strip_suffix(b"*").map_or((label, false), |label| (label, true));
        let is_name = label.len() >= 4 && label[label.len() - 4..].eq_ignore_ascii_case(b"name");
        is_name.then(|| (&body[at + 1..], is_extended))
    });
    found.flat_map(|(rest, is_extended)| {
        // A parser without RFC 8187 reads an extended value like any other.
        [Some(value(rest)), is_extended.then(|| value(without_charset(rest)))].into_iter().flatten()
    })
}

/// RFC 8187 prefixes a value with its character set and language: `UTF-8'en'a`.
fn without_charset(rest: &[u8]) -> &[u8] {
    let mut quotes = memchr_iter(b'\'', &rest[..rest.len().min(LONGEST_NAME)]);
    quotes.nth(1).map_or(rest, |at| &rest[at + 1..])
}

/// The value at the start of `rest`: quoted, or up to the end of the parameter.
fn value(rest: &[u8]) -> &[u8] {
    let rest = rest.trim_ascii_start();
    // A name that is too long stays too long with its quote.
    let rest = &rest[..rest.len().min(LONGEST_NAME + 2)];
    let (rest, ends): (_, &[u8]) = match rest {
        [quote @ (b'"' | b'\''), rest @ ..] => (rest, if *quote == b'"' { b"\"\r\n" } else { b"'\r\n" }),
        _ => (rest, b";\r\n \t"),
    };
    rest.split(|byte| ends.contains(byte)).next().unwrap_or_default()
}

fn is_refused_name(name: &[u8], own: &[&str]) -> bool {
    let Ok(name) = std::str::from_utf8(name) else {
        // Anything but text is a file, or a name that starts as text.
        let text: Vec<u8> = percent_decode(name).take_while(u8::is_ascii).collect();
        return is_refused(&String::from_utf8_lossy(&text), own);
    };
    is_refused(name, own)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::provider::facebook::REFUSED_PARAMETERS;

    const FORM: &str = "application/x-www-form-urlencoded";
    const PARTS: &str = "multipart/form-data; boundary=x";
    const JSON: &str = "application/json";

    fn judged(kind: &str, body: &str) -> Result<(), &'static str> {
        let mut headers = HeaderMap::new();
        if !kind.is_empty() {
            headers.insert("content-type", HeaderValue::from_str(kind).expect("a header value"));
        }
        check(&headers, body.as_bytes(), &REFUSED_PARAMETERS)
    }

    fn part(disposition: &str) -> String {
        format!("--x\r\ncontent-disposition: form-data; {disposition}\r\n\r\nDELETE\r\n--x--\r\n")
    }

    #[test]
    fn bodies_without_such_parameters_pass() {
        for (kind, body) in [
            (FORM, "message=Hello&link=https%3A%2F%2Fexample.com%2F%3Fmethod%3D1"),
            (FORM, "message=the+method=delete"),
            (FORM, "fields[method]=1"),
            (JSON, r#"{"message":"method=delete","targeting":{"method":"x","batch":[]}}"#),
            (JSON, "{}"),
            (PARTS, &part(r#"name="source"; filename="a.jpg""#)),
            ("image/jpeg", "\u{1}\u{2}JFIF=&=&&;="),
            ("", "anything"),
            ("", "{\"a\":1}"),
            ("", ""),
            (JSON, ""),
        ] {
            assert_eq!(judged(kind, body), Ok(()), "{kind}: {body}");
        }
    }

    #[test]
    fn a_parameter_that_changes_the_request_is_found_in_every_disguise() {
        let mut count = 0;
        for name in ["method", "METHOD", "batch", "access_token", "appsecret_proof", "client_secret"] {
            let bodies = [
                (FORM, format!("{name}=x")),
                (FORM, format!("a=1&{name}=x")),
                (FORM, format!("a=1;{name}=x")),
                (FORM, format!("a=1&%{:02x}{}=x", name.as_bytes()[0], &name[1..])),
                (FORM, format!("a=1&+{name}[]=x")),
                (FORM, format!("a=1&{name}")),
                ("Application/X-WWW-Form-URLencoded; charset=UTF-8", format!("{name}=x")),
                ("", format!("{name}=x")),
                ("text/plain", format!("{name}=x")),
                (JSON, format!(r#"{{"{name}":"x"}}"#)),
                (JSON, format!(r#" {{"a":1,"{name}":"x","{name}":"y"}}"#)),
                (JSON, format!(r#"{{"\u{:04x}{}":"x"}}"#, name.as_bytes()[0], &name[1..])),
                ("application/vnd.api+json", format!(r#"{{"{name}":"x"}}"#)),
                ("", format!("\n{{\"{name}\":\"x\"}}")),
                (FORM, format!(r#"{{"a":"&{name}=x&b="}}"#)),
                ("application/x-www-form-urlencoded; x=json", format!(r#"{{"a":"&{name}=x&b="}}"#)),
                ("text/multipart/form-data", format!("{name}=x")),
                (FORM, format!(r#"{{"{name}":"x"}}"#)),
                (PARTS, part(&format!("name=\"{name}\""))),
                (PARTS, part(&format!("NAME = {name}; a=b"))),
                (PARTS, part(&format!("name='{name}'"))),
                (PARTS, part(&format!("name*=UTF-8''{name}"))),
                (PARTS, part(&format!("name*=UTF-8'en'{name}"))),
                (PARTS, part(&format!("name*={name}"))),
                (PARTS, part(&format!("name=\"{name}\"; x=''"))),
                (PARTS, part(&format!("name={name}; filename=''"))),
                (FORM, format!("a=1&{name}%00x=y")),
                ("", format!("\u{feff}{{\"{name}\":\"x\"}}")),
                (PARTS, part(&format!("filename=a; name=\"{name}\""))),
                ("", part(&format!("name={name}"))),
            ];
            for (kind, body) in bodies {
                assert_eq!(judged(kind, &body), Err(REFUSED), "{kind}: {body}");
                count += 1;
            }
        }
        assert_eq!(count, 180);
    }

    #[test]
    fn hostile_bodies_cost_little() {
        for (kind, piece) in
            [(FORM, "aaaaa&"), (FORM, "%61&"), (PARTS, "name="), (PARTS, " name=a;"), ("", "=")]
        {
            let _ = judged(kind, &piece.repeat(4 * 1024 * 1024 / piece.len()));
            let many = judged(kind, &piece.repeat(2 * MOST_NAMES));
            assert_eq!(many.is_err(), piece != "=", "{piece}");
        }
        let keys: Vec<_> = (0..=MOST_NAMES).map(|key| format!("\"{key}\":1")).collect();
        assert_eq!(judged(JSON, &format!("{{{}}}", keys.join(","))), Err(TOO_MANY));
    }

    #[test]
    fn nothing_in_front_of_a_name_hides_it() {
        for front in [" ", "+", "%20"] {
            let name = format!("{}method", front.repeat(300));
            for (kind, body) in [
                (FORM, format!("{name}=DELETE")),
                (JSON, format!("{{\"{name}\":\"DELETE\"}}")),
                (PARTS, part(&format!("name=\"{name}\""))),
            ] {
                assert_eq!(judged(kind, &body), Err(TOO_LONG), "{kind}: {front}");
            }
        }
    }

    #[test]
    fn what_cannot_be_judged_is_refused() {
        for body in ["{\"a\":1", "\u{feff}{", " {'method':1}"] {
            assert_eq!(judged("", body), Err(NO_JSON), "{body}");
        }
        for body in ["", " ", "[]", "[{\"method\":\"DELETE\"}]", "{\"a\":1", "{\"a\":1}{\"method\":1}", "a=1"]
        {
            assert_eq!(judged(JSON, body).is_err(), !body.is_empty(), "{body}");
        }
        let mut headers = HeaderMap::new();
        headers.insert("content-encoding", HeaderValue::from_static("gzip"));
        assert!(check(&headers, b"a=1", &[]).is_err());
        let mut headers = HeaderMap::new();
        headers.append("content-type", HeaderValue::from_static(JSON));
        headers.append("content-type", HeaderValue::from_static(FORM));
        assert!(check(&headers, b"a=1", &[]).is_err());
    }
}
