//! `GET /user`.

use std::io::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::access::{Viewer, accepting};
use crate::reply::{self, Refused, With as _};
use crate::secrets::fingerprint;
use crate::state::World;

/// The user's profile; with an entity tag, and compressed for those who ask.
pub(super) async fn me(
    State(world): State<Arc<World>>,
    viewer: Viewer,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let access = viewer.user()?;
    let id = access.account.id.parse::<u64>().unwrap_or_default();
    let state = world.state();
    let found = state.users.of_account(&access.account);
    let login = found.map_or("ghost", |(_, identity)| identity.nickname.as_str());
    let private = found.filter(|_| viewer.has_any(&["user", "user:email", "read:user"]));
    let body = json!({
        "login": login,
        "id": id,
        "type": "User",
        "name": found.map(|(user, _)| user.name.as_str()),
        "email": private.map(|(user, _)| user.email.as_str()),
        "url": format!("https://api.github.com/users/{login}"),
        "html_url": format!("https://github.com/{login}"),
    });
    Ok(accepting(tagged(&body, &headers), ""))
}

/// A 304 for who already has it; it costs GitHub's clients no quota, but the sandbox counts it.
fn tagged(body: &Value, headers: &HeaderMap) -> Response {
    let tag = format!("W/\"{}\"", fingerprint(&body.to_string()));
    let known = headers.get("if-none-match").is_some_and(|value| value == tag.as_str());
    if known {
        return reply::empty(StatusCode::NOT_MODIFIED).with("etag", tag);
    }
    compressed(body, headers).with("etag", tag).with("vary", "Accept, Authorization, Accept-Encoding")
}

fn compressed(body: &Value, headers: &HeaderMap) -> Response {
    let accepted = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !accepted.contains("gzip") {
        return reply::json(StatusCode::OK, body);
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = encoder.write_all(body.to_string().as_bytes()).and_then(|()| encoder.finish());
    let packed = packed.expect("writing into memory does not fail");
    reply::raw(StatusCode::OK, "application/json; charset=utf-8", packed).with("content-encoding", "gzip")
}
