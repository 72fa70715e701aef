//! Parameters in bodies. Graph takes them for those of a query: `method`, `batch` and `access_token` would change what
//! the policy has judged. <https://developers.facebook.com/docs/graph-api/batch-requests>

use std::collections::BTreeMap;

use http::{HeaderMap, header};
use memchr::{memchr_iter, memmem};
use percent_encoding::percent_decode;
use serde::de::IgnoredAny;

use crate::provider::query::is_refused;

/// Graph's own names have 30 letters at most; of a longer one, as there may be in a file that is sent, this many bytes
/// are looked at.
const LONGEST_NAME: usize = 256;

const REFUSED: &str = "must not hold a parameter that carries a token or a secret, changes the method or holds further \
    requests (`access_token`, `method`, `batch`): send the method in `request.method`, and each request by itself";

/// Whether Graph finds no parameter in `body` that a caller may not send, whose names `own` holds beside those that
/// every provider refuses. What it may read in several ways is judged in each of them.
///
/// # Errors
/// When it does, or nobody can tell; as words that follow "it".
pub(super) fn check(headers: &HeaderMap, body: &[u8], own: &[&str]) -> Result<(), &'static str> {
    if body.is_empty() {
        return Ok(());
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(
            "must not be compressed, so that its parameters can be judged: leave `content-encoding` out",
        );
    }
    let kinds: Vec<_> = headers.get_all(header::CONTENT_TYPE).iter().collect();
    if kinds.len() > 1 {
        return Err("must have one `content-type`");
    }
    let kind = kinds.first().map(|kind| String::from_utf8_lossy(kind.as_bytes()).to_ascii_lowercase());
    let kind = kind.unwrap_or_default();
    let is_json = kind.contains("json");
    if is_json || body.trim_ascii_start().starts_with(b"{") {
        match serde_json::from_slice::<BTreeMap<String, IgnoredAny>>(body) {
            Ok(object) if object.keys().any(|name| is_refused(name, own)) => return Err(REFUSED),
            Ok(_) => return Ok(()),
            Err(_) if is_json => return Err("must be one JSON object, as its `content-type` says"),
            Err(_) => {}
        }
    }
    let is_bad = has_refused_field(body, own) || has_refused_part(body, own);
    if is_bad { Err(REFUSED) } else { Ok(()) }
}

/// `a=1&b=2`
fn has_refused_field(body: &[u8], own: &[&str]) -> bool {
    body.split(|byte| b"&;".contains(byte)).any(|pair| {
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        is_refused_name(name, own)
    })
}

/// `Content-Disposition: form-data; name="a"`, wherever it stands: a boundary would be one more thing to read as Graph does.
fn has_refused_part(body: &[u8], own: &[&str]) -> bool {
    memchr_iter(b'=', body).any(|at| {
        let label = body[..at].trim_ascii_end();
        let label = label.strip_suffix(b"*").unwrap_or(label);
        let is_name = label.len() >= 4 && label[label.len() - 4..].eq_ignore_ascii_case(b"name");
        is_name && is_refused_name(value(&body[at + 1..]), own)
    })
}

/// The value that `rest` begins with: quoted, or up to where a parameter ends.
fn value(rest: &[u8]) -> &[u8] {
    let rest = rest.trim_ascii_start();
    // RFC 8187 puts a character set in front.
    let rest = memmem::find(&rest[..rest.len().min(32)], b"''").map_or(rest, |at| &rest[at + 2..]);
    let (rest, ends): (_, &[u8]) = match rest {
        [quote @ (b'"' | b'\''), rest @ ..] => (rest, if *quote == b'"' { b"\"\r\n" } else { b"'\r\n" }),
        _ => (rest, b";\r\n \t"),
    };
    rest.split(|byte| ends.contains(byte)).next().unwrap_or_default()
}

fn is_refused_name(name: &[u8], own: &[&str]) -> bool {
    let name = &name[..name.len().min(LONGEST_NAME)];
    let Ok(name) = std::str::from_utf8(name) else {
        // What is not text is a file, or a name that starts as text.
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
                (FORM, format!(r#"{{"{name}":"x"}}"#)),
                (PARTS, part(&format!("name=\"{name}\""))),
                (PARTS, part(&format!("NAME = {name}; a=b"))),
                (PARTS, part(&format!("name='{name}'"))),
                (PARTS, part(&format!("name*=UTF-8''{name}"))),
                (PARTS, part(&format!("filename=a; name=\"{name}\""))),
                ("", part(&format!("name={name}"))),
            ];
            for (kind, body) in bodies {
                assert_eq!(judged(kind, &body), Err(REFUSED), "{kind}: {body}");
                count += 1;
            }
        }
        assert_eq!(count, 126);
    }

    #[test]
    fn what_cannot_be_judged_is_refused() {
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
