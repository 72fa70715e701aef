//! Repositories and their issues.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http::{StatusCode, Uri};
use serde_json::{Value, json};

use super::access::{Viewer, accepting};
use super::refusal;
use crate::form::Form;
use crate::reply::{self, Refused, With as _};
use crate::state::World;
use crate::state::things::Repository;

/// The API's own base, which stands in links whatever the sandbox's address is.
pub(super) const API: &str = "https://api.github.com";

/// How many items a page holds unless `per_page` says otherwise, and at most.
const PAGE: (usize, usize) = (30, 100);

/// `GET /user/repos`, in pages with a `Link` to the next.
pub(super) async fn mine(
    State(world): State<Arc<World>>,
    viewer: Viewer,
    uri: Uri,
) -> Result<Response, Refused> {
    let login = login(&world, &viewer)?;
    let sees_private = viewer.has_any(&["repo"]);
    let state = world.state();
    let own = state.things.repositories.iter().filter(|one| one.seed.owner == login);
    let seen: Vec<Value> = own.filter(|one| sees_private || !one.seed.private).map(shown).collect();
    let form = Form::of_query(uri.query().unwrap_or_default());
    Ok(accepting(paged(&seen, &form, "/user/repos"), "repo"))
}

fn paged(all: &[Value], form: &Form, path: &str) -> Response {
    let number =
        |name, fallback: usize| form.get(name).and_then(|text| text.parse().ok()).unwrap_or(fallback);
    let size = number("per_page", PAGE.0).clamp(1, PAGE.1);
    let page = number("page", 1).max(1);
    let last = all.len().div_ceil(size).max(1);
    let items: Vec<&Value> = all.iter().skip((page - 1) * size).take(size).collect();
    let link = |to: usize, rel: &str| format!("<{API}{path}?per_page={size}&page={to}>; rel=\"{rel}\"");
    let response = reply::json(StatusCode::OK, &json!(items));
    match page < last {
        true => response.with("link", format!("{}, {}", link(page + 1, "next"), link(last, "last"))),
        false if page > 1 => response.with("link", link(1, "first")),
        false => response,
    }
}

/// `GET /repos/{owner}/{repo}`; a former name is a 301 to the repository's id.
pub(super) async fn one(
    State(world): State<Arc<World>>,
    viewer: Viewer,
    Path((owner, name)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let repository = match find(&world, &viewer, &owner, &name) {
        Ok(repository) => repository,
        Err(refused) => return moved(&world, &viewer, &owner, &name).ok_or(refused),
    };
    Ok(accepting(reply::json(StatusCode::OK, &shown(&repository)), "repo"))
}

fn moved(world: &World, viewer: &Viewer, owner: &str, former: &str) -> Option<Response> {
    let repository = seen(world, viewer, |one| {
        one.seed.owner == owner && one.seed.former_names.iter().any(|name| name == former)
    })?;
    let url = format!("{API}/repositories/{}", repository.id);
    let body = json!({"message": "Moved Permanently", "url": url, "documentation_url": "https://docs.github.com/rest"});
    Some(reply::json(StatusCode::MOVED_PERMANENTLY, &body).with("location", url))
}

/// `GET /repositories/{id}`.
pub(super) async fn by_id(
    State(world): State<Arc<World>>,
    viewer: Viewer,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let repository = seen(&world, &viewer, |one| one.id.to_string() == id).ok_or_else(refusal::not_found)?;
    Ok(accepting(reply::json(StatusCode::OK, &shown(&repository)), "repo"))
}

/// `GET /repos/{owner}/{repo}/issues`.
pub(super) async fn issues(
    State(world): State<Arc<World>>,
    viewer: Viewer,
    Path((owner, name)): Path<(String, String)>,
    uri: Uri,
) -> Result<Response, Refused> {
    let repository = find(&world, &viewer, &owner, &name)?;
    let titles = repository.issues.iter().zip(1..);
    let items: Vec<Value> = titles.map(|(title, number)| issue(&repository, number, title)).collect();
    let form = Form::of_query(uri.query().unwrap_or_default());
    Ok(accepting(paged(&items, &form, &format!("/repos/{}/issues", repository.full_name())), "repo"))
}

/// `POST /repos/{owner}/{repo}/issues`: 201, and the next list has it.
pub(super) async fn open_issue(
    State(world): State<Arc<World>>,
    viewer: Viewer,
    Path((owner, name)): Path<(String, String)>,
    body: Bytes,
) -> Result<Response, Refused> {
    viewer.user()?;
    let repository = find(&world, &viewer, &owner, &name)?;
    if !viewer.has_any(&["repo", "public_repo"]) {
        return Err(refusal::not_found());
    }
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Some(title) = asked["title"].as_str().filter(|title| !title.is_empty()) else {
        return Err(refusal::unprocessable("Invalid request.\n\n\"title\" wasn't supplied."));
    };
    let mut state = world.state();
    let stored = state.things.repositories.iter_mut().find(|one| one.id == repository.id);
    let stored = stored.ok_or_else(refusal::not_found)?;
    stored.issues.push(title.to_owned());
    let answer = issue(stored, stored.issues.len(), title);
    let location = format!("{API}/repos/{}/issues/{}", stored.full_name(), stored.issues.len());
    Ok(accepting(reply::json(StatusCode::CREATED, &answer), "public_repo, repo").with("location", location))
}

fn issue(repository: &Repository, number: usize, title: &str) -> Value {
    let url = format!("{API}/repos/{}/issues/{number}", repository.full_name());
    json!({"id": repository.id * 1_000 + number as u64, "number": number, "title": title, "state": "open", "url": url})
}

/// The repository of that name, where the viewer may see it; else 404, which does not tell private from
/// absent.
pub(super) fn find(world: &World, viewer: &Viewer, owner: &str, name: &str) -> Result<Repository, Refused> {
    let named = |one: &Repository| one.seed.owner == owner && one.seed.name == name;
    seen(world, viewer, named).ok_or_else(refusal::not_found)
}

fn seen(world: &World, viewer: &Viewer, wanted: impl Fn(&Repository) -> bool) -> Option<Repository> {
    let repository = world.state().things.repositories.iter().find(|one| wanted(one))?.clone();
    let owns =
        || viewer.has_any(&["repo"]) && login(world, viewer).is_ok_and(|own| own == repository.seed.owner);
    (!repository.seed.private || owns()).then_some(repository)
}

fn login(world: &World, viewer: &Viewer) -> Result<String, Refused> {
    let account = &viewer.user()?.account;
    let state = world.state();
    let found = state.users.of_account(account);
    found.map(|(_, identity)| identity.nickname.clone()).ok_or_else(refusal::not_found)
}

fn shown(repository: &Repository) -> Value {
    let name = repository.full_name();
    json!({
        "id": repository.id,
        "name": repository.seed.name,
        "full_name": name,
        "private": repository.seed.private,
        "owner": {"login": repository.seed.owner, "type": "User"},
        "html_url": format!("https://github.com/{name}"),
        "url": format!("{API}/repos/{name}"),
    })
}
