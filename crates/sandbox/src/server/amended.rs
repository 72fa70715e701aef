//! A JSON answer in which some fields are others.

use axum::body::Body;
use http::Response;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt as _;
use serde_json::{Map, Value};

/// The answer with the patch applied as RFC 7396 says: `null` removes a field. What is no JSON stays as it
/// is.
pub(super) async fn by(patch: &Value, real: Response<Body>) -> Response<Body> {
    let (mut head, body) = real.into_parts();
    let Ok(body) = body.collect().await else { return Response::from_parts(head, Body::empty()) };
    let bytes = body.to_bytes();
    let Ok(mut value) = serde_json::from_slice(&bytes) else {
        return Response::from_parts(head, Body::from(bytes));
    };
    merge(&mut value, patch);
    head.headers.remove(CONTENT_LENGTH);
    Response::from_parts(head, Body::from(value.to_string()))
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(own) = target else { return };
    for (name, value) in fields {
        if value.is_null() {
            own.remove(name);
        } else {
            merge(own.entry(name.as_str()).or_insert(Value::Null), value);
        }
    }
}
