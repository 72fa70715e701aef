//! What a renewal is for: some scopes of one API.

use super::refusal::Aadsts;
use crate::form::Form;
use crate::state::World;
use crate::state::account::Provider;
use crate::state::grants::{Consent, GRAPH, Rotation, Wish, within};

/// These belong to the login itself and to no API.
const OPENID: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// All that a token has that was renewed without `scope`, whatever was granted:
/// <https://github.com/anthropics/claude-code/issues/89862>
const WITHOUT_SCOPE: [&str; 4] = ["openid", "profile", "email", "User.Read"];

/// Version 2: names, or `.default` for all that was granted, of one API; `offline_access` for another refresh
/// token.
pub(super) fn by_scope(world: &World, form: &Form, consent: &Consent) -> Result<(Wish, Rotation), Aadsts> {
    let Some(text) = form.get("scope") else {
        let scopes = WITHOUT_SCOPE.iter().map(|&scope| scope.to_owned());
        let wish = Wish { scopes: scopes.collect(), resource: Some(GRAPH.to_owned()) };
        return Ok((wish, Rotation::Adds));
    };
    let asked = split(text, consent.account.provider);
    let resource = one_resource(&asked)?;
    check_resource(world, consent, resource)?;
    let names = names(&asked, resource);
    let granted = within(&consent.scopes, Some(resource));
    let wanted = chosen(&names, &granted)?;
    let rotation = if asked.contains(&"offline_access") { Rotation::Adds } else { Rotation::Keeps };
    Ok((wish(resource, wanted), rotation))
}

/// Version 1: all that was granted for `resource`, or else for what the login was for.
pub(super) fn by_resource(world: &World, form: &Form, consent: &Consent) -> Result<(Wish, Rotation), Aadsts> {
    let own = consent.resource.as_deref().unwrap_or(GRAPH);
    let resource = form.get("resource").map_or(own, |text| text.trim_end_matches('/'));
    check_resource(world, consent, resource)?;
    let granted = within(&consent.scopes, Some(resource));
    Ok((wish(resource, granted), Rotation::Adds))
}

/// Personal accounts take commas too; for others `a,b` is a scope that nobody granted.
/// <https://learn.microsoft.com/answers/questions/1329148/refresh-token-400-invalid-grant-error-after-access>
fn split(text: &str, provider: Provider) -> Vec<&str> {
    let commas = provider == Provider::MicrosoftAccount;
    let parts = text.split(|one: char| one.is_ascii_whitespace() || commas && one == ',');
    parts.filter(|part| !part.is_empty()).collect()
}

/// The API that all the names belong to; Graph, where none belongs to any.
fn one_resource<'a>(asked: &[&'a str]) -> Result<&'a str, Aadsts> {
    let mut named = asked.iter().filter(|scope| !OPENID.contains(scope)).map(|scope| resource_of(scope));
    let first = named.next().unwrap_or(GRAPH);
    match named.all(|other| other == first) {
        true => Ok(first),
        false => Err(Aadsts::SeveralResources),
    }
}

fn resource_of(scope: &str) -> &str {
    match scope.contains("://") {
        true => scope.rsplit_once('/').map_or(scope, |(resource, _)| resource),
        false => GRAPH,
    }
}

/// Work accounts have Graph and their organisation's SharePoint, personal ones Graph.
fn check_resource(world: &World, consent: &Consent, resource: &str) -> Result<(), Aadsts> {
    let sharepoint = format!("https://{}", world.providers.microsoft.sharepoint_host);
    let is_work = consent.account.provider == Provider::Entra;
    if resource == GRAPH || is_work && resource == sharepoint {
        return Ok(());
    }
    Err(Aadsts::NoResource(resource.to_owned()))
}

/// The short names that were asked for.
fn names<'a>(asked: &[&'a str], resource: &str) -> Vec<&'a str> {
    let without_address = |scope: &'a str| scope.strip_prefix(resource).map_or(scope, |rest| &rest[1..]);
    asked.iter().filter(|scope| **scope != "offline_access").map(|scope| without_address(scope)).collect()
}

/// Those of the names that were granted: all of the API's must have been.
fn chosen(names: &[&str], granted: &[String]) -> Result<Vec<String>, Aadsts> {
    let (own, login): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| !OPENID.contains(name));
    if own.contains(&".default") {
        return match own.len() {
            1 if granted.is_empty() => Err(Aadsts::NoConsent),
            1 => Ok(granted.to_vec()),
            _ => Err(Aadsts::Scope),
        };
    }
    let has = |name: &&str| granted.iter().any(|one| one == name);
    if !own.iter().all(has) {
        return Err(Aadsts::NoConsent);
    }
    Ok(own.into_iter().chain(login.into_iter().filter(has)).map(str::to_owned).collect())
}

/// By the names that grants are kept under.
fn wish(resource: &str, short: Vec<String>) -> Wish {
    let full = |name: String| if resource == GRAPH { name } else { format!("{resource}/{name}") };
    Wish { scopes: short.into_iter().map(full).collect(), resource: Some(resource.to_owned()) }
}
