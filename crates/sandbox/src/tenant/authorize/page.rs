//! The pages that a person sees.

use std::collections::BTreeMap;

use axum::response::Response;
use http::StatusCode;
use url::form_urlencoded;

use super::CHOSEN;
use crate::form::Form;
use crate::reply::{self, With as _, escaped};
use crate::state::World;
use crate::state::users::User;

const HTML: &str = "text/html; charset=utf-8";

/// The playground's style sheet serves here as well.
const HEAD: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"color-scheme\" content=\"light dark\">\
    <link rel=\"stylesheet\" href=\"/playground/page.css\"><link rel=\"icon\" href=\"data:,\">";

const POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One link for each user that has an identity of the connection; a link is this request again, with the
/// user's id. Whoever `login_hint` names comes first.
pub(super) fn choose_user(world: &World, query: &str, form: &Form) -> Response {
    let state = world.state();
    let connection = form.get("connection");
    let has = |user: &&User| {
        connection.is_none_or(|wanted| user.identities.iter().any(|one| one.connection == wanted))
    };
    let mut users: Vec<&User> = state.users.iter().filter(has).collect();
    users.sort_by_key(|user| form.get("login_hint") != Some(&user.email));
    let rows: String = users.into_iter().map(|user| row(query, user)).collect();
    let through = connection.map(|name| format!(" through {}", escaped(name))).unwrap_or_default();
    let page = format!(
        "{HEAD}<title>Log in</title><main class=\"login\"><h1>Log in{through}</h1>\
         <p>This stands for the login page of <strong>{}</strong>. It asks for no password: choose who you are.</p>\
         <ul>{rows}</ul></main></html>",
        escaped(&world.domain)
    );
    reply::raw(StatusCode::OK, HTML, page).with("content-security-policy", POLICY)
}

fn row(query: &str, user: &User) -> String {
    let choice = form_urlencoded::Serializer::new(String::new()).append_pair(CHOSEN, &user.id).finish();
    let link = escaped(&format!("/authorize?{query}&{choice}"));
    format!(
        "<li><a href=\"{link}\"><strong>{}</strong> <span>{}</span> <small>{}</small></a></li>",
        escaped(&user.name),
        escaped(&accounts(user)),
        escaped(&user.id)
    )
}

/// `facebook, github ×2`: the connections of a user's identities.
fn accounts(user: &User) -> String {
    let mut counts = BTreeMap::new();
    for identity in &user.identities {
        *counts.entry(identity.connection.as_str()).or_insert(0) += 1;
    }
    let told = counts.into_iter().map(|(connection, count)| match count {
        1 => connection.to_owned(),
        many => format!("{connection} ×{many}"),
    });
    told.collect::<Vec<_>>().join(", ")
}

/// An error that must not be sent to a redirect URI nobody registered.
pub(super) fn oops(status: StatusCode, text: &str) -> Response {
    let page =
        format!("{HEAD}<title>Oops!</title><main class=\"login\"><h1>{}</h1></main></html>", escaped(text));
    reply::raw(status, HTML, page).with("content-security-policy", POLICY)
}
