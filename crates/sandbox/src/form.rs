//! The parameters of a token request, from JSON or a form, and the errors of `/oauth/token`.

use std::collections::HashMap;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::reply::{self, Refused};

/// The parameters of one request.
pub(crate) struct Form(HashMap<String, String>);

impl Form {
    /// Reads a body by its content type; anything but JSON is taken as a form, as browsers send it.
    pub(crate) fn read(headers: &HeaderMap, body: &Bytes) -> Option<Self> {
        let content_type =
            headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !content_type.starts_with("application/json") {
            return Some(Self(form_urlencoded::parse(body).into_owned().collect()));
        }
        let Ok(Value::Object(fields)) = serde_json::from_slice(body) else { return None };
        let texts = fields.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())));
        Some(Self(texts.collect()))
    }

    /// Reads a query string.
    pub(crate) fn of_query(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// A parameter that is there and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// A refusal of `/oauth/token`: `error` and `error_description`, and no `errorCode`, unlike the Management
/// API's.
pub(crate) fn refusal(status: StatusCode, error: &str, description: &str) -> Refused {
    reply::json(status, &json!({"error": error, "error_description": description})).into()
}
