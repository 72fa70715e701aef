//! Google Drive: bytes in, the same bytes out.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode, Uri};
use serde_json::json;

use super::access::Method;
use super::refusal;
use crate::form::Form;
use crate::reply::{self, Refused, With as _};
use crate::state::World;
use crate::state::things::File;

const UPLOAD: Method = Method {
    service: "drive.googleapis.com",
    name: "google.apps.drive.v3.DriveFiles.Create",
    scopes: &["https://www.googleapis.com/auth/drive", "https://www.googleapis.com/auth/drive.file"],
};

const DOWNLOAD: Method = Method {
    service: "drive.googleapis.com",
    name: "google.apps.drive.v3.DriveFiles.Get",
    scopes: &[
        "https://www.googleapis.com/auth/drive",
        "https://www.googleapis.com/auth/drive.file",
        "https://www.googleapis.com/auth/drive.readonly",
    ],
};

/// `POST /upload/drive/v3/files?uploadType=media`: the body is the file.
pub(super) async fn upload(
    State(world): State<Arc<World>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let access = UPLOAD.allow(&world, &headers)?;
    let form = Form::of_query(uri.query().unwrap_or_default());
    if form.get("uploadType") != Some("media") {
        return Err(refusal::invalid("The sandbox knows uploadType=media only"));
    }
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let file = File {
        owner: access.account,
        name: "Untitled".to_owned(),
        content_type: content_type.unwrap_or("application/octet-stream").to_owned(),
        bytes: body,
    };
    let mut answer = json!({"kind": "drive#file", "name": file.name, "mimeType": file.content_type});
    answer["id"] = json!(world.state().things.store(file));
    Ok(reply::json(StatusCode::OK, &answer))
}

/// `GET /drive/v3/files/{id}`: what is known of the file, or with `alt=media` its bytes.
pub(super) async fn download(
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let access = DOWNLOAD.allow(&world, &headers)?;
    let file = world.state().things.files.get(&id).filter(|file| file.owner == access.account).cloned();
    let file = file.ok_or_else(|| refusal::not_found(&format!("File {id} was")))?;
    if Form::of_query(uri.query().unwrap_or_default()).get("alt") != Some("media") {
        let size = file.bytes.len().to_string();
        let known = json!({
            "kind": "drive#file", "id": id, "name": file.name, "mimeType": file.content_type, "size": size,
        });
        return Ok(reply::json(StatusCode::OK, &known));
    }
    let response = reply::raw(StatusCode::OK, "application/octet-stream", Body::from(file.bytes));
    Ok(response.with("content-type", file.content_type))
}
