//! The journal as JSON for people and other languages: the same, with every secret named by its fingerprint.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::Entry;
use crate::sandbox::clock::rfc3339;
use crate::sandbox::secrets::fingerprint;

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

/// Bodies longer than this are told by their size alone.
const BODY_SHOWN: usize = 4096;

/// An entry without secrets.
pub(crate) fn redacted(entry: &Entry) -> Value {
    json!({
        "number": entry.number,
        "time": rfc3339(entry.time),
        "host": entry.host,
        "method": entry.method.as_str(),
        "path": entry.path,
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
            _ => text.into_owned(),
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
            return pair.to_owned();
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
