//! The user's profile, friends and posts.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::access::Caller;
use super::{NEWEST, refusal};
use crate::form::Form;
use crate::reply::{self, Refused};
use crate::state::World;
use crate::state::account::Provider;
use crate::state::things::Entry;

/// How many items a page holds unless `limit` says otherwise.
const PAGE: usize = 25;

/// `GET /me`: id and name, or the `fields` asked for; fields without permission are left out.
pub(super) async fn profile(State(world): State<Arc<World>>, caller: Caller) -> Result<Response, Refused> {
    let state = world.state();
    let user = state.users.of_account(&caller.access.account).map(|(user, _)| user);
    let mut out = Map::new();
    for field in caller.query.get("fields").unwrap_or("id,name").split(',') {
        let value = match (field, user) {
            ("id", _) => json!(caller.access.account.id),
            ("name", Some(user)) => json!(user.name),
            ("email", Some(user)) if caller.has("email") => json!(user.email),
            ("email", _) => continue,
            (other, _) => {
                let text = format!("(#100) Tried accessing nonexisting field ({other})");
                return Err(refusal::invalid_argument(100, &text));
            }
        };
        out.insert(field.to_owned(), value);
    }
    out.entry("id").or_insert_with(|| json!(caller.access.account.id));
    Ok(caller.told(reply::json(StatusCode::OK, &Value::Object(out))))
}

/// `GET /me/friends`: the other Facebook users of the tenant who gave `user_friends` too; without it an empty
/// list.
pub(super) async fn friends(State(world): State<Arc<World>>, caller: Caller) -> Response {
    let state = world.state();
    let others = state.users.iter().flat_map(|user| user.identities.iter().map(move |one| (user, one)));
    let friends = others.filter_map(|(user, identity)| {
        let account = identity.account().filter(|one| one.provider == Provider::Facebook)?;
        let is_friend = account != caller.access.account && caller.has("user_friends");
        is_friend.then(|| json!({"id": account.id, "name": user.name}))
    });
    let friends: Vec<Value> = friends.collect();
    caller.told(reply::json(StatusCode::OK, &page(&friends, &caller, "/me/friends")))
}

/// `GET /me/posts` (permission `user_posts`), in pages by `limit` and `after`.
pub(super) async fn posts(State(world): State<Arc<World>>, caller: Caller) -> Result<Response, Refused> {
    if !caller.has("user_posts") {
        return Err(refusal::no_permission(10, "user_posts"));
    }
    let mut state = world.state();
    let posts: Vec<Value> = state.things.posts(&caller.access.account).iter().map(post).collect();
    Ok(caller.told(reply::json(StatusCode::OK, &page(&posts, &caller, "/me/posts"))))
}

/// `POST /me/feed` (permission `publish_actions`): the post stays, and the next list has it.
pub(super) async fn publish(
    State(world): State<Arc<World>>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    if !caller.has("publish_actions") {
        return Err(refusal::no_permission(200, "publish_actions"));
    }
    let form = Form::read(&headers, &body).unwrap_or_else(|| Form::of_query(""));
    let message = form.get("message").or(caller.query.get("message"));
    let message =
        message.ok_or_else(|| refusal::invalid_argument(100, "(#100) Missing message or attachment"))?;
    let entry = Entry::new(message);
    let id = format!("{}_{}", caller.access.account.id, entry.id);
    world.state().things.posts(&caller.access.account).push(entry);
    Ok(caller.told(reply::json(StatusCode::OK, &json!({"id": id}))))
}

fn post(entry: &Entry) -> Value {
    json!({"id": entry.id, "message": entry.text})
}

/// A page with its cursors; `next` repeats the access token in its address, as Graph's does.
fn page(all: &[Value], caller: &Caller, path: &str) -> Value {
    let number = |name: &str| {
        caller.query.get(name).and_then(|text| text.strip_prefix("QVFI").unwrap_or(text).parse().ok())
    };
    let size: usize = number("limit").unwrap_or(PAGE).max(1);
    let start: usize = number("after").unwrap_or(0);
    let end = (start + size).min(all.len());
    let shown: Vec<&Value> = all.iter().skip(start).take(size).collect();
    if shown.is_empty() {
        return json!({"data": []});
    }
    let after = format!("QVFI{end}");
    let mut paging = json!({"cursors": {"before": format!("QVFI{start}"), "after": after}});
    if end < all.len() {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("access_token", &caller.token)
            .append_pair("limit", &size.to_string())
            .append_pair("after", &after)
            .finish();
        paging["next"] = json!(format!("https://graph.facebook.com/v{NEWEST}.0{path}?{query}"));
    }
    json!({"data": shown, "paging": paging})
}
