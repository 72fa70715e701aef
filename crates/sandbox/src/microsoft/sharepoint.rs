//! SharePoint Online's REST API: JSON for those who ask for it, Atom for others.
//! <https://learn.microsoft.com/sharepoint/dev/sp-add-ins/get-to-know-the-sharepoint-rest-service>

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::header::ACCEPT;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::access::{self, Unfit};
use crate::form::Form;
use crate::hosts;
use crate::reply::{self, Refused, With as _};
use crate::state::World;

/// Any of these lets the site be read.
const READING: &[&str] = &["AllSites.Read", "AllSites.Write", "AllSites.Manage", "AllSites.FullControl"];

/// The site has these lists.
const LISTS: [&str; 3] = ["Documents", "Site Pages", "Tasks"];

/// `GET /_api/web`.
pub(super) async fn web(State(world): State<Arc<World>>, parts: Parts) -> Result<Response, Refused> {
    let host = enter(&world, &parts)?;
    let body = json!({"Title": "Acme", "Url": format!("https://{host}"), "Language": 1033});
    Ok(shown(&parts.headers, &body, "<m:properties><d:Title>Acme</d:Title></m:properties>"))
}

/// `GET /_api/web/lists`, in pages where `$top` asks for them.
pub(super) async fn lists(State(world): State<Arc<World>>, parts: Parts) -> Result<Response, Refused> {
    let host = enter(&world, &parts)?;
    let form = Form::of_query(parts.uri.query().unwrap_or_default());
    let number = |name| form.get(name).and_then(|text| text.parse::<usize>().ok());
    let (top, skip) = (number("$top").unwrap_or(LISTS.len()).max(1), number("$skip").unwrap_or(0));
    let value: Vec<Value> = LISTS.iter().skip(skip).take(top).map(|title| json!({"Title": title})).collect();
    let end = skip.saturating_add(top);
    let next =
        (end < LISTS.len()).then(|| format!("https://{host}/_api/web/lists?%24top={top}&%24skip={end}"));
    let (items, link) = match wants_verbose(&parts.headers) {
        true => ("results", "__next"),
        false => ("value", "odata.nextLink"),
    };
    let mut body = json!({});
    body[items] = json!(value);
    next.into_iter().for_each(|next| body[link] = json!(next));
    Ok(shown(&parts.headers, &body, "<title>Lists</title>"))
}

/// What a path that no site has is answered with.
pub(super) fn no_such_site() -> Response {
    reply::raw(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "404 FILE NOT FOUND")
}

/// The host that was asked, where the token is for it and may read.
fn enter(world: &World, parts: &Parts) -> Result<String, Refused> {
    let host = hosts::named_in(parts);
    if host != world.providers.microsoft.sharepoint_host {
        return Err(no_such_site().into());
    }
    let resource = format!("https://{host}");
    let access = access::check(world, &parts.headers, &resource);
    let access = access.map_err(|unfit| unauthorized(world, unfit))?;
    match access.has_any(READING) {
        true => Ok(host),
        false => Err(denied(&parts.headers)),
    }
}

/// Since February 2026 the body is empty, and the headers alone tell the reason:
/// <https://learn.microsoft.com/answers/questions/5786195/sharepoint-online-rest-apis-returning-401-with-emp>
fn unauthorized(world: &World, unfit: Unfit) -> Refused {
    let tenant = &world.providers.microsoft.tenant;
    let challenge = format!(
        "Bearer realm=\"{tenant}\",client_id=\"00000003-0000-0ff1-ce00-000000000000\",\
         authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\""
    );
    let reason = match unfit {
        Unfit::Audience => "3000003;reason=\"Invalid audience Uri.\";category=\"invalid_client\"",
        Unfit::Dead => "3000006;reason=\"The token is expired.\";category=\"invalid_client\"",
        Unfit::Absent | Unfit::Unknown => {
            "3001000;reason=\"There has been an error authenticating the request.\";category=\"invalid_client\""
        }
    };
    reply::json(StatusCode::UNAUTHORIZED, &json!({}))
        .with("www-authenticate", challenge)
        .with("x-ms-diagnostics", reason)
        .into()
}

fn denied(headers: &HeaderMap) -> Refused {
    let message = "Access denied. You do not have permission to perform this action or access this resource.";
    let error = json!({
        "code": "-2147024891, System.UnauthorizedAccessException",
        "message": {"lang": "en-US", "value": message},
    });
    let name = if wants_verbose(headers) { "error" } else { "odata.error" };
    let mut body = json!({});
    body[name] = error;
    reply::json(StatusCode::FORBIDDEN, &body).into()
}

fn shown(headers: &HeaderMap, body: &Value, atom: &str) -> Response {
    if wants_verbose(headers) {
        let wrapped = reply::json(StatusCode::OK, &json!({"d": body}));
        return wrapped.with("content-type", "application/json;odata=verbose;charset=utf-8");
    }
    if accepted(headers).contains("json") {
        let answer = reply::json(StatusCode::OK, body);
        return answer.with("content-type", "application/json;odata=nometadata;streaming=true;charset=utf-8");
    }
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><entry xmlns=\"http://www.w3.org/2005/Atom\">{atom}</entry>"
    );
    reply::raw(StatusCode::OK, "application/atom+xml;type=entry;charset=utf-8", text)
}

fn accepted(headers: &HeaderMap) -> &str {
    headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn wants_verbose(headers: &HeaderMap) -> bool {
    accepted(headers).contains("odata=verbose")
}
