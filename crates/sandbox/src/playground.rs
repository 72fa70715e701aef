//! One page that calls the service from a browser, as a user of the tenant who logged in.
//!
//! It is the tenant's neighbour, on the same origin, so that nothing has to be let in from another one but
//! the service's port. Its requests for itself and for what it shows are not in the journal; its logins are.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::header::HOST;
use http::{HeaderMap, StatusCode};

use super::reply::{self, With as _, escaped};
use super::seed::ClientSeed;
use super::state::World;
use super::state::clients::Client;

/// The client id of the page, an application without a secret.
pub const CLIENT: &str = "sandbox-playground";

/// Where the page is, below the tenant's origin.
pub(crate) const PATH: &str = "/playground";

const PAGE: &str = include_str!("playground/page.html");
const STYLE: &str = include_str!("playground/page.css");
const SCRIPT: &str = include_str!("playground/page.js");
const CLIENT_SCRIPT: &str = include_str!("playground/client.js");

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// What the page is told of its surroundings.
pub(crate) struct Playground {
    /// The tenant's authority, under which alone the page works: its logins lead back there.
    authority: String,
    /// The service's origin.
    service: String,
    /// What its access tokens are for.
    audience: String,
}

/// Registers the application, and opens the page.
pub(crate) fn open(world: &World, tenant: &str, service: &str, audience: &str) {
    let playground = Playground {
        authority: tenant.trim_start_matches("http://").to_owned(),
        service: service.to_owned(),
        audience: audience.to_owned(),
    };
    if world.playground.set(playground).is_ok() {
        let page = format!("{tenant}{PATH}");
        world.state().clients.push(Client::new(ClientSeed::public(CLIENT, page)));
    }
}

/// The page and its files.
pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route(PATH, get(page))
        .route("/playground/page.css", get(async || asset("text/css; charset=utf-8", STYLE)))
        .route("/playground/page.js", get(async || asset(JAVASCRIPT, SCRIPT)))
        .route("/playground/client.js", get(async || asset(JAVASCRIPT, CLIENT_SCRIPT)))
        .fallback(async || not_found("There is only /playground."))
        .with_state(world)
}

async fn page(State(world): State<Arc<World>>, headers: HeaderMap) -> Response {
    let Some(playground) = world.playground.get() else {
        return not_found("There is no service that the page could call.");
    };
    // `localhost` is another origin, from which neither the login nor the service's port would take it. Nor
    // would a browser do the cryptography of the login off loopback.
    if headers.get(HOST).is_none_or(|host| host.as_bytes() != playground.authority.as_bytes()) {
        let there = format!("http://{}{PATH}", playground.authority);
        return reply::redirect(StatusCode::FOUND, &there);
    }
    let html = reply::raw(
        StatusCode::OK,
        "text/html; charset=utf-8",
        playground.html(&world.domain, world.journal.last()),
    );
    html.with("content-security-policy", playground.content_security_policy())
        .with("referrer-policy", "no-referrer")
        .with("x-content-type-options", "nosniff")
        .with("cache-control", "no-store")
}

impl Playground {
    /// `journal` is the number of the last entry so far: what the page does comes after it.
    fn html(&self, domain: &str, journal: u64) -> String {
        PAGE.replace("{{service}}", &escaped(&self.service))
            .replace("{{audience}}", &escaped(&self.audience))
            .replace("{{client}}", CLIENT)
            .replace("{{domain}}", &escaped(domain))
            .replace("{{journal}}", &journal.to_string())
    }

    /// Nothing is loaded but the page's own files, nobody is talked to but the tenant and the service, and no
    /// text can become a script.
    fn content_security_policy(&self) -> String {
        let service = &self.service;
        format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self' {service}; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'; trusted-types 'none'"
        )
    }
}

fn asset(content_type: &'static str, text: &'static str) -> Response {
    let file = reply::raw(StatusCode::OK, content_type, text);
    file.with("x-content-type-options", "nosniff").with("cache-control", "no-cache")
}

fn not_found(text: &'static str) -> Response {
    reply::raw(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", text)
}
