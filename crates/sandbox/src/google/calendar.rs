//! Google Calendar: lists in pages, and new events.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};

use super::access::Method;
use super::refusal;
use crate::form::Form;
use crate::reply::{self, Refused};
use crate::state::World;
use crate::state::things::Entry;

/// How many events a page holds unless `maxResults` says otherwise.
const PAGE: usize = 250;

const LIST: Method = Method {
    service: "calendar-json.googleapis.com",
    name: "calendar.v3.CalendarList.List",
    scopes: &[
        "https://www.googleapis.com/auth/calendar.readonly",
        "https://www.googleapis.com/auth/calendar",
        "https://www.googleapis.com/auth/calendar.calendarlist.readonly",
    ],
};

const EVENTS: Method = Method {
    service: "calendar-json.googleapis.com",
    name: "calendar.v3.Events.List",
    scopes: &[
        "https://www.googleapis.com/auth/calendar.readonly",
        "https://www.googleapis.com/auth/calendar",
        "https://www.googleapis.com/auth/calendar.events.readonly",
        "https://www.googleapis.com/auth/calendar.events",
    ],
};

const INSERT: Method = Method {
    service: "calendar-json.googleapis.com",
    name: "calendar.v3.Events.Insert",
    scopes: &["https://www.googleapis.com/auth/calendar", "https://www.googleapis.com/auth/calendar.events"],
};

/// `GET /calendar/v3/users/me/calendarList`: everybody has one calendar.
pub(super) async fn list(State(world): State<Arc<World>>, headers: HeaderMap) -> Result<Response, Refused> {
    let access = LIST.allow(&world, &headers)?;
    let state = world.state();
    let email = state.users.of_account(&access.account).map(|(user, _)| user.email.clone());
    let answer = json!({
        "kind": "calendar#calendarList",
        "items": [{"kind": "calendar#calendarListEntry", "id": email, "summary": email, "primary": true}],
    });
    Ok(reply::json(StatusCode::OK, &answer))
}

/// `GET /calendar/v3/calendars/{id}/events`, by `maxResults` and `pageToken`.
pub(super) async fn events(
    State(world): State<Arc<World>>,
    Path(calendar): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let access = EVENTS.allow(&world, &headers)?;
    let form = Form::of_query(uri.query().unwrap_or_default());
    let mut state = world.state();
    let own = state.users.of_account(&access.account).map(|(user, _)| user.email.clone());
    if calendar != "primary" && Some(&calendar) != own.as_ref() {
        return Err(refusal::not_found("Calendar was"));
    }
    let page = Page::asked(&form, PAGE)?;
    let all = state.things.events(&access.account);
    let shown: Vec<Value> = all.iter().skip(page.start).take(page.size).map(event).collect();
    let mut answer = json!({"kind": "calendar#events", "summary": own, "items": shown});
    page.next(all.len()).inspect(|token| answer["nextPageToken"] = json!(token));
    Ok(reply::json(StatusCode::OK, &answer))
}

/// `POST /calendar/v3/calendars/{id}/events`: the event stays, and the next list has it.
pub(super) async fn insert(
    State(world): State<Arc<World>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let access = INSERT.allow(&world, &headers)?;
    let Ok(asked) = serde_json::from_slice::<Value>(&body) else {
        return Err(refusal::invalid("Parse Error"));
    };
    let entry = Entry::new(asked["summary"].as_str().unwrap_or_default());
    let answer = event(&entry);
    world.state().things.events(&access.account).push(entry);
    Ok(reply::json(StatusCode::OK, &answer))
}

fn event(entry: &Entry) -> Value {
    json!({"kind": "calendar#event", "id": entry.id, "status": "confirmed", "summary": entry.text})
}

/// A page of a list; its token is opaque to clients and tells where the next page starts.
pub(super) struct Page {
    pub(super) start: usize,
    pub(super) size: usize,
}

impl Page {
    /// Reads `maxResults` and `pageToken`.
    pub(super) fn asked(form: &Form, default: usize) -> Result<Self, Refused> {
        let size = form.get("maxResults").map_or(Ok(default), str::parse);
        let start = form.get("pageToken").map_or(Some(0), |token| token.strip_prefix("CAE")?.parse().ok());
        match (start, size) {
            (Some(start), Ok(size)) if size > 0 => Ok(Self { start, size }),
            _ => Err(refusal::invalid("Invalid value")),
        }
    }

    /// The token of the page after this one, unless this is the last.
    pub(super) fn next(&self, total: usize) -> Option<String> {
        let end = self.start + self.size;
        (end < total).then(|| format!("CAE{end}"))
    }
}
