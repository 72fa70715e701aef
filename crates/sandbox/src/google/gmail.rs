//! Gmail: the list of messages.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};

use super::access::Method;
use super::calendar::Page;
use crate::form::Form;
use crate::reply::{self, Refused};
use crate::secrets::fingerprint;
use crate::state::World;

/// Everybody has this many messages.
const MESSAGES: usize = 7;

/// How many messages a page holds unless `maxResults` says otherwise.
const PAGE: usize = 100;

const LIST: Method = Method {
    service: "gmail.googleapis.com",
    name: "caribou.api.proto.MailboxService.ListMessages",
    scopes: &[
        "https://mail.google.com/",
        "https://www.googleapis.com/auth/gmail.modify",
        "https://www.googleapis.com/auth/gmail.readonly",
        "https://www.googleapis.com/auth/gmail.metadata",
    ],
};

/// `GET gmail.googleapis.com/gmail/v1/users/{me}/messages`, by `maxResults` and `pageToken`.
pub(super) async fn messages(
    State(world): State<Arc<World>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let access = LIST.allow(&world, &headers)?;
    let page = Page::asked(&Form::of_query(uri.query().unwrap_or_default()), PAGE)?;
    let shown = (0..MESSAGES).skip(page.start).take(page.size);
    let items: Vec<Value> = shown.map(|number| message(&access.account.id, number)).collect();
    let mut answer = json!({"messages": items, "resultSizeEstimate": MESSAGES});
    page.next(MESSAGES).inspect(|token| answer["nextPageToken"] = json!(token));
    Ok(reply::json(StatusCode::OK, &answer))
}

/// An id that stays the same for an account and a number.
fn message(account: &str, number: usize) -> Value {
    let id: String = fingerprint(&format!("{account}/{number}"))
        .bytes()
        .skip(7)
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    json!({"id": id, "threadId": id})
}
