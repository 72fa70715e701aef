//! The pages that a person sees.

use axum::response::Response;
use http::StatusCode;
use url::form_urlencoded;

use super::CHOSEN;
use crate::sandbox::reply;
use crate::sandbox::state::World;
use crate::sandbox::state::users::User;

const HTML: &str = "text/html; charset=utf-8";

/// One link for each user that has an identity of the connection; a link is this request again, with the user's id.
pub(super) fn choose_user(world: &World, query: &str, connection: Option<&str>) -> Response {
    let state = world.state();
    let has = |user: &&User| {
        connection.is_none_or(|wanted| user.identities.iter().any(|one| one.connection == wanted))
    };
    let rows: String = state.users.iter().filter(has).map(|user| row(query, user)).collect();
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Log in</title>\
         <h1>Log in to {}</h1><p>This is a sandbox: choose who you are.</p><ul>{rows}</ul></html>",
        escaped(&world.domain)
    );
    reply::raw(StatusCode::OK, HTML, page)
}

fn row(query: &str, user: &User) -> String {
    let choice = form_urlencoded::Serializer::new(String::new()).append_pair(CHOSEN, &user.id).finish();
    let link = escaped(&format!("/authorize?{query}&{choice}"));
    format!("<li><a href=\"{link}\">{}</a> <small>{}</small></li>", escaped(&user.name), escaped(&user.id))
}

/// An error that must not be sent to a redirect URI nobody registered.
pub(super) fn oops(status: StatusCode, text: &str) -> Response {
    reply::raw(status, HTML, format!("<!doctype html><title>Oops!</title><h1>{}</h1>", escaped(text)))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
