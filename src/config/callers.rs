//! The rules of the policy: `[[callers]]` and `[end_users]`.

use std::collections::BTreeMap;

use super::{
    provider::Provider,
    raw::Reported,
    section::Section,
    value::{Setting, must_be},
};
use crate::policy::{Pattern, Permission, RequestPattern, Rule, Who};

mod allow;
mod names;
mod reach;

use allow::Allowed;
use names::Named;

/// The end users of the tenant, `[end_users]`.
#[derive(Clone, Debug)]
pub struct EndUsers {
    /// The `aud` required of their access tokens: the identifier of the tenant's API that stands for this
    /// service.
    pub audience: String,
    /// What each of them may do for themselves.
    pub rule: Rule,
}

/// The name of the services' tables.
const CALLERS: &str = "callers";
/// The name of the end users' table.
const END_USERS: &str = "end_users";

/// The keys and tables by which services can authenticate: table, key.
const PROOFS: [(&str, &str); 3] = [("", "trusted_peers"), ("tls", "client_ca_file"), ("", "jwt_issuers")];

/// Reads the rules of services, in the order of the file. Must run before the keys by which services
/// authenticate are read, since it looks for them.
pub(super) fn read_callers(root: &mut Section<'_, '_>) -> Vec<Rule> {
    root.register_tables(
        CALLERS,
        &[
            ("id", "required", Id::EXPECTED),
            ("allow", "required", Allowed::EXPECTED),
            ("providers", "required", Named::EXPECTED),
            ("requests", "none", Request::EXPECTED),
        ],
    );
    if root.is_empty_array(CALLERS) {
        root.refuse(CALLERS, NOBODY);
        return Vec::new();
    }
    let can_prove = can_services_prove_who_they_are(root);
    let rules: Vec<_> = root.tables(CALLERS, read_caller);
    if let (Some((line, _)), false) = (rules.first(), can_prove) {
        root.problem_at_line(*line, NO_PROOF);
    }
    let rules: Vec<_> = rules.into_iter().filter_map(|(_, rule)| rule).collect();
    refuse_duplicates(root, &rules);
    rules
}

/// Returns whether any key is set by which a service can authenticate. Add new ways to [`PROOFS`].
fn can_services_prove_who_they_are(root: &Section<'_, '_>) -> bool {
    let is_idle = |table: &str, key| table.is_empty() && root.is_empty_array(key);
    PROOFS.iter().any(|(table, key)| root.is_set(table, key) && !is_idle(table, key))
}

const NOBODY: &str = "must hold a table at least: write `[[callers]]` for those who may call, or remove the key; without any \
    table about callers, whoever reaches the port may do everything";

const NO_PROOF: &str = "`callers` says who may do what, but no caller can prove who it is: set `tls.client_ca_file` for \
    certificates, `jwt_issuers` for JWTs, or `trusted_peers` for a sidecar that says who calls";

/// Returns the line of the table, and the rule if it is valid.
fn read_caller(section: &mut Section<'_, '_>) -> (Option<usize>, Option<Rule>) {
    let id = section.own_value::<Id>("id");
    if let Ok(None) = id {
        section.wrong_table(
            "has no `id`: write whom the rule is about, such as `id = \"spiffe://acme/ns/prod/sa/calendar\"`",
        );
    }
    let rule = read_rule(section, |_| None);
    let rule = id.ok().flatten().zip(rule).map(|(Id(id), rule)| Rule { who: Who::Services(id), ..rule });
    (section.line(), rule)
}

impl EndUsers {
    /// Returns whether the table is set. Must run before it is read.
    pub(super) fn are_set(root: &Section<'_, '_>) -> bool {
        root.table.contains_key(END_USERS) || root.is_set(END_USERS, "audience")
    }

    /// Reads the table; `None` if it is absent, or after a reported mistake.
    pub(super) fn read(root: &mut Section<'_, '_>) -> Option<Self> {
        let is_there = Self::are_set(root);
        root.section(END_USERS, |section| {
            section.register_without_variable("allow", "required", Allowed::EXPECTED);
            section.register_without_variable("providers", "required", Named::EXPECTED);
            section.register_without_variable("requests", "none", Request::EXPECTED);
            let audience = section.optional::<Audience>("audience", "required");
            if !is_there {
                return None;
            }
            if let Ok(None) = audience {
                section.wrong_table(
                    "has no `audience`: write the identifier that this service has as an API of the tenant",
                );
            }
            let rule = read_rule(section, |permission| permission.shows_tokens().then_some(NO_RAW_TOKENS));
            let Audience(audience) = audience.ok()??;
            Some(Self { audience, rule: rule? })
        })
        .flatten()
    }
}

const NO_RAW_TOKENS: &str = "must not hold `GetIdentityToken` or `refresh-token`: end users never get a raw token; `CallProvider` calls for them";

/// Reads a rule about end users, for the caller to replace the subject. Reads everything before it gives up,
/// so that every mistake is reported.
fn read_rule(
    section: &mut Section<'_, '_>,
    refuse: impl Fn(Permission) -> Option<&'static str>,
) -> Option<Rule> {
    let allow = allow::read(section, refuse);
    let providers = required::<Named>(section, "providers", NO_PROVIDERS);
    let requests = section.own_list::<Request>("requests");
    let (allow, requests) = (allow.ok(), requests.ok());
    if let (Some(allow), Some(requests)) = (&allow, &requests) {
        let sends = allow.iter().any(|permission| permission.sends_requests());
        match requests {
            None if sends => section.wrong_table(NO_REQUESTS),
            Some(list) if list.is_empty() && sends => section.wrong_table(NO_REQUESTS),
            Some(_) if !sends => section.wrong_table(IDLE_REQUESTS),
            _ => {}
        }
    }
    let providers = providers.ok()?.into_iter().map(|Named(name)| name).collect();
    let requests = requests?.unwrap_or_default().into_iter().map(|Request(pattern)| pattern).collect();
    Some(Rule { who: Who::EndUsers, allow: allow?, providers, requests, line: section.line() })
}

const NO_PROVIDERS: &str = "has no `providers`: list strategies or connections, such as `providers = [\"google-oauth2\"]`, or write \
    `[\"**\"]` for all";

const NO_REQUESTS: &str = "allows calls and has no `requests`: list them, such as `requests = [\"GET \
    www.googleapis.com/calendar/v3/**\"]`, or write `[\"**\"]` for all";

const IDLE_REQUESTS: &str = "has `requests`, which have no effect without `CallProvider` or `StreamProvider` in `allow`: add one, or remove them";

/// Reads a list that must be present and not empty; `missing` completes the error after the table's name.
fn required<T: Setting>(
    section: &mut Section<'_, '_>,
    name: &str,
    missing: &str,
) -> Result<Vec<T>, Reported> {
    match section.own_list::<T>(name)? {
        Some(list) if !list.is_empty() => Ok(list),
        _ => {
            section.wrong_table(missing);
            Err(Reported)
        }
    }
}

/// Rejects identical rules: one was pasted by mistake, and whoever changes only the other would not change
/// the policy.
fn refuse_duplicates(root: &mut Section<'_, '_>, rules: &[Rule]) {
    for (index, rule) in rules.iter().enumerate() {
        let is_twin = |other: &&Rule| Rule { line: rule.line, ..(*other).clone() } == *rule;
        if let Some(twin) = rules[..index].iter().find(is_twin) {
            let line = twin.line.map(|line| format!(" of line {line}")).unwrap_or_default();
            root.problem_at_line(
                rule.line,
                format!("`callers` repeats the rule{line}: remove one of the two, or change what differs"),
            );
        }
    }
}

/// Does what depends on the providers: resolves names of their connections, and warns of requests that nobody
/// sends.
pub(super) fn settle<'a>(
    root: &mut Section<'_, '_>,
    rules: impl Iterator<Item = &'a mut Rule>,
    providers: &BTreeMap<String, Provider>,
) {
    for rule in rules {
        names::settle(rule, providers);
        reach::warn(root, rule, providers);
    }
}

/// The caller that a rule is about.
struct Id(Pattern);

impl Setting for Id {
    const EXPECTED: &'static str =
        "the id of a caller; `*` stands for a part between slashes, `**` for any number of them";

    fn parse(text: &str) -> Result<Self, String> {
        if text.chars().any(char::is_control) {
            return Err(must_be::<Self>());
        }
        Ok(Self(Pattern::parse(text)?))
    }
}

/// A request that a rule allows.
struct Request(RequestPattern);

impl Setting for Request {
    const EXPECTED: &'static str = "requests such as `GET www.googleapis.com/calendar/v3/**`";

    fn parse(text: &str) -> Result<Self, String> {
        RequestPattern::parse(text).map(Self)
    }
}

/// The audience of end users' access tokens.
struct Audience(String);

impl Setting for Audience {
    const EXPECTED: &'static str = "the identifier of an API, such as `https://idp-token.acme.example`";

    fn parse(text: &str) -> Result<Self, String> {
        let is_identifier =
            (1..=512).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_identifier { Ok(Self(text.to_owned())) } else { Err(must_be::<Self>()) }
    }
}
