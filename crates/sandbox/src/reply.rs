//! Building answers.

use axum::body::Body;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::Value;

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: &Value) -> Response {
    raw(status, "application/json; charset=utf-8", body.to_string())
}

/// A JSON answer for people: indented, with a line end.
pub(crate) fn pretty(status: StatusCode, body: &Value) -> Response {
    raw(status, "application/json; charset=utf-8", format!("{body:#}\n"))
}

/// An answer of any type.
pub(crate) fn raw(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Text as it stands in HTML, between tags or in an attribute with double quotes.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Sends the client elsewhere.
pub(crate) fn redirect(status: StatusCode, location: &str) -> Response {
    empty(status).with("location", location)
}

/// Adds headers to an answer in a row.
pub(crate) trait With {
    /// Sets a header; a value that no header may hold is left out.
    fn with(self, name: &'static str, value: impl ToString) -> Self;
}

impl With for Response {
    fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        if let Ok(value) = HeaderValue::from_str(&value.to_string()) {
            self.headers_mut().insert(HeaderName::from_static(name), value);
        }
        self
    }
}

/// A refusal: the answer to give instead of what was asked for, boxed because it is rare and large.
pub(crate) struct Refused(Box<Response>);

impl From<Response> for Refused {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl axum::response::IntoResponse for Refused {
    fn into_response(self) -> Response {
        *self.0
    }
}
