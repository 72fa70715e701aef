//! Bytes: raw contents of any size, release assets, and the redirect of a tarball to another host.

mod noise;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, StatusCode, Uri};
use serde_json::json;

use super::access::{Viewer, accepting};
use super::refusal;
use super::repos::{API, find};
use crate::form::Form;
use crate::reply::{self, Refused, With as _};
use crate::secrets;
use crate::state::World;
use crate::state::things::File;

/// `GET /repos/{owner}/{repo}/contents/{path}`: a file named `SIZE.bin` has SIZE bytes, which
/// `Accept: application/vnd.github.raw+json` streams; `SIZE.chunked` comes without a content length.
pub(super) async fn contents(
    State(world): State<Arc<World>>,
    viewer: Viewer,
    Path((owner, name, path)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    find(&world, &viewer, &owner, &name)?;
    let (stem, kind) = path.rsplit_once('.').ok_or_else(refusal::not_found)?;
    let size: u64 = stem.parse().map_err(|_| refusal::not_found())?;
    let body = match kind {
        "bin" => noise::sized(size),
        "chunked" => noise::chunked(size),
        _ => return Err(refusal::not_found()),
    };
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !accept.contains("raw") {
        let known = json!({"type": "file", "name": path, "path": path, "size": size, "encoding": "none", "content": ""});
        return Ok(accepting(reply::json(StatusCode::OK, &known), ""));
    }
    Ok(accepting(reply::raw(StatusCode::OK, "application/vnd.github.raw+json; charset=utf-8", body), ""))
}

/// `GET /repos/{owner}/{repo}/tarball`: 302 to codeload.github.com, with a token of its own in the address.
pub(super) async fn tarball(
    State(world): State<Arc<World>>,
    viewer: Viewer,
    Path((owner, name)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let repository = find(&world, &viewer, &owner, &name)?;
    let proof =
        if repository.seed.private { format!("?token={}", secrets::letters(29)) } else { String::new() };
    let location = format!(
        "https://codeload.github.com/{}/legacy.tar.gz/refs/heads/main{proof}",
        repository.full_name()
    );
    Ok(reply::redirect(StatusCode::FOUND, &location))
}

/// `GET codeload.github.com/{owner}/{repo}/legacy.tar.gz/...`: some bytes; who sends a token here, sent it
/// too far.
pub(super) async fn archive() -> Response {
    reply::raw(StatusCode::OK, "application/x-gzip", noise::sized(4096))
}

/// `POST uploads.github.com/repos/{owner}/{repo}/releases/{release}/assets?name=`: the body is the asset.
pub(super) async fn upload(
    State(world): State<Arc<World>>,
    viewer: Viewer,
    Path((owner, name, _release)): Path<(String, String, String)>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let account = viewer.user()?.account.clone();
    let repository = find(&world, &viewer, &owner, &name)?;
    if !viewer.has_any(&["repo", "public_repo"]) {
        return Err(refusal::not_found());
    }
    let form = Form::of_query(uri.query().unwrap_or_default());
    let asset =
        form.get("name").ok_or_else(|| refusal::unprocessable("Invalid request: no name"))?.to_owned();
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let file =
        File { owner: account, name: asset.clone(), content_type: content_type.to_owned(), bytes: body };
    let size = file.bytes.len();
    let id = world.state().things.store(file);
    let url = format!("{API}/repos/{}/releases/assets/{id}", repository.full_name());
    let answer = json!({"node_id": id, "name": asset, "size": size, "state": "uploaded", "url": url});
    Ok(accepting(reply::json(StatusCode::CREATED, &answer), "public_repo, repo"))
}

/// `GET /repos/{owner}/{repo}/releases/assets/{asset}`: the bytes of an upload.
pub(super) async fn asset(
    State(world): State<Arc<World>>,
    viewer: Viewer,
    Path((owner, name, asset)): Path<(String, String, String)>,
) -> Result<Response, Refused> {
    find(&world, &viewer, &owner, &name)?;
    let file = world.state().things.files.get(&asset).cloned().ok_or_else(refusal::not_found)?;
    let response = reply::raw(StatusCode::OK, "application/octet-stream", Body::from(file.bytes));
    Ok(response.with("content-type", file.content_type))
}
