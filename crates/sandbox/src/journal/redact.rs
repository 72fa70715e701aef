//! The journal as JSON for people and other languages: the same, with every secret named by its fingerprint.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::Entry;
use crate::clock::rfc3339;
use crate::secrets::fingerprint;

/// Query, form and JSON names whose values are secrets.
const SECRET_NAMES: &[&str] = &[
    "access_token",
    "appsecret_proof",
    "assertion",
    "client_assertion",
    "client_secret",
    "code",
    "code_verifier",
    "fb_exchange_token",
    "id_token",
    "input_token",
    "refresh_token",
    "subject_token",
    "token",
];

/// How the tokens begin that the sandbox issues: Google's, GitHub's, Facebook's, Microsoft's, JSON Web
/// Tokens, and those whose shape is the sandbox's own.
const TOKEN_STARTS: &[&str] = &[
    "ya29.",
    "1//0",
    "gho_",
    "ghu_",
    "ghr_",
    "EAA",
    "EwB",
    "1.AX",
    "M.C5",
    "eyJ",
    "sbx_bitbucket_",
    "sbx_generic_",
];

/// What begins like a token and is shorter is a word.
const TOKEN_BYTES: usize = 30;

/// Bodies longer than this are told by their size alone.
const BODY_SHOWN: usize = 4096;

/// An entry without secrets.
pub(crate) fn redacted(entry: &Entry) -> Value {
    json!({
        "number": entry.number,
        "time": rfc3339(entry.time),
        "host": entry.host,
        "method": entry.method.as_str(),
        "path": masked(&entry.path),
        "query": entry.query.as_deref().map(pairs),
        "headers": headers(entry),
        "body": body(entry),
        "body_bytes": entry.body.len(),
        "status": entry.status.map(|status| status.as_u16()),
    })
}

fn headers(entry: &Entry) -> Value {
    let mut out = Map::new();
    for (name, value) in &entry.headers {
        let text = String::from_utf8_lossy(value.as_bytes());
        let shown = match name.as_str() {
            "authorization" | "proxy-authorization" => credentials(&text),
            "cookie" => fingerprint(&text),
            _ => masked(&text),
        };
        out.insert(name.to_string(), Value::String(shown));
    }
    Value::Object(out)
}

/// Keeps the scheme: `Bearer sha256:...`.
fn credentials(text: &str) -> String {
    let (scheme, secret) = text.split_once(' ').unwrap_or(("", text));
    format!("{scheme} {}", fingerprint(secret)).trim_start().to_owned()
}

fn pairs(text: &str) -> String {
    let shown = text.split('&').map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !is_secret(&decoded(name)) {
            return masked(pair);
        }
        format!("{name}={}", fingerprint(&decoded(value)))
    });
    shown.collect::<Vec<_>>().join("&")
}

fn body(entry: &Entry) -> Value {
    if entry.body.is_empty() || entry.body.len() > BODY_SHOWN {
        return Value::Null;
    }
    let content_type = entry.header("content-type").unwrap_or_default();
    if content_type.starts_with("application/x-www-form-urlencoded") {
        return Value::String(pairs(&String::from_utf8_lossy(&entry.body)));
    }
    match serde_json::from_slice(&entry.body) {
        Ok(value) => without_secrets(value),
        // Free text is not shown: nothing tells where in it a secret stands.
        Err(_) => Value::String(fingerprint(&String::from_utf8_lossy(&entry.body))),
    }
}

fn without_secrets(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| field(name, value)).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_secrets).collect()),
        Value::String(text) => Value::String(masked(&text)),
        other => other,
    }
}

fn field(name: String, value: Value) -> (String, Value) {
    let shown = match value {
        Value::String(text) if is_secret(&name) => Value::String(fingerprint(&text)),
        other => without_secrets(other),
    };
    (name, shown)
}

fn is_secret(name: &str) -> bool {
    SECRET_NAMES.contains(&name.to_ascii_lowercase().as_str())
}

/// One name or value of a form: `+` is a blank.
fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// Tokens where none belong, in a path or in a header of any name, are named by their fingerprints as well.
fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((start, token)) = first_token(rest) {
        out.push_str(&rest[..start]);
        out.push_str(&fingerprint(token));
        rest = &rest[start + token.len()..];
    }
    out.push_str(rest);
    out
}

fn first_token(text: &str) -> Option<(usize, &str)> {
    let starts = TOKEN_STARTS.iter().flat_map(|start| text.match_indices(start));
    let tokens = starts.map(|(at, _)| (at, word(&text[at..])));
    tokens.filter(|(_, token)| token.len() >= TOKEN_BYTES).min_by_key(|(at, _)| *at)
}

/// The longest run of characters that tokens are made of.
fn word(text: &str) -> &str {
    let end = text.find(|one: char| !one.is_ascii_alphanumeric() && !"-._~+/".contains(one));
    &text[..end.unwrap_or(text.len())]
}
