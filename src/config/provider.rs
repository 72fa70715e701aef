//! The identity providers, by strategy or by connection.

use std::{collections::BTreeMap, sync::Arc};

use url::Url;

use super::{
    hosts::Hosts,
    known,
    secrets::{FILE, SECRET},
    section::Section,
    strategy::Strategy,
    value::Setting,
};
use crate::{provider, secret::Secret};

/// One provider, `[providers.NAME]`.
#[derive(Clone, Debug)]
pub struct Provider {
    /// The kind of provider. The table's name where that is a strategy, else required.
    pub strategy: Strategy,
    /// The secret of the application at the provider: Facebook's `appsecret_proof` is made with it. None.
    pub client_secret: Option<Arc<Secret>>,
    /// The version of the provider's API: GitHub's date, Facebook's `v25.0`. The adapter's own where none is given.
    pub api_version: Option<String>,
    /// The API hosts, the default first, in lower case; `*.` and a domain means all directly below it. Empty where
    /// the adapter knows them.
    pub hosts: Vec<String>,
    /// Where hosts are really reached, for tests: a host or `*.` wildcard in lower case, and a URL without path.
    pub detours: BTreeMap<String, Url>,
}

impl Provider {
    /// All tables below `[providers]`, and those of the strategies that have none and need none.
    pub(super) fn read_all(section: &mut Section<'_, '_>) -> BTreeMap<String, Self> {
        let mut names: Vec<_> = section.table.keys().map(|name| name.get_ref().to_string()).collect();
        let alone = Strategy::all().filter(|strategy| strategy.kind().needs_nothing());
        names.extend(alone.map(|strategy| strategy.as_str().to_owned()));
        names.sort();
        names.dedup();
        // What is not a connection's name stays in the table: an unknown key.
        names.retain(|name| is_connection(name));
        let provider = |name: String| {
            let provider = section.named_section(&name, |section| Self::read(section, &name)).flatten()?;
            Some((name, provider))
        };
        names.into_iter().filter_map(provider).collect()
    }

    fn read(section: &mut Section<'_, '_>, name: &str) -> Option<Self> {
        let strategy = strategy(section, name);
        let client_secret = client_secret(section);
        let check =
            |ApiVersion(version): &_| strategy.map_or(Ok(()), |strategy| strategy.check_version(version));
        let api_version = section.optional_checked("api_version", "the adapter's", check);
        let hosts = Hosts::read(section, strategy);
        let api_version = api_version.ok()?.map(|ApiVersion(version)| version);
        let Hosts { hosts, detours } = hosts?;
        Some(Self { strategy: strategy?, client_secret, api_version, hosts, detours })
    }
}

/// Auth0 allows letters, digits and hyphens; underscores are in old names.
pub(super) fn is_connection(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=128).contains(&name.len()) && name.chars().all(allowed)
}

/// A table is called after a strategy, or says which strategy the connection has.
fn strategy(section: &mut Section<'_, '_>, name: &str) -> Option<Strategy> {
    let own = Strategy::named(name);
    let agrees = |written: &Strategy| {
        let contradicts = own.is_some_and(|own| own != *written);
        if contradicts {
            Err("contradicts the name of its table, which is a strategy too; remove it".to_owned())
        } else {
            Ok(())
        }
    };
    let written = section.optional_checked("strategy", "the table's name", agrees).ok()?;
    let strategy = written.or(own);
    if strategy.is_none() {
        section.wrong_table(&unknown(name));
    }
    if own.is_some_and(|own| own.kind().is_shared()) {
        section.wrong_table(&shared(name));
        return None;
    }
    strategy
}

/// The tokens of one provider must not reach the hosts of another.
fn shared(name: &str) -> String {
    format!(
        "is a strategy that unrelated providers share: call the table after the connection, as \
         `[providers.CONNECTION]`, and write `strategy = \"{name}\"` there"
    )
}

fn unknown(name: &str) -> String {
    let near = known::nearest(name, provider::strategies());
    let meant = near.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default();
    let expected = provider::strategies_in_words();
    format!("is none of {expected}{meant}; for a connection of another name, add its `strategy`")
}

fn client_secret(section: &mut Section<'_, '_>) -> Option<Arc<Secret>> {
    section.know("client_secret", "none", SECRET);
    section.know("client_secret_file", "none", FILE);
    let (name, raw) = section.one_of(&["client_secret", "client_secret_file"]).ok()??;
    if name == "client_secret" { section.secret_in(&raw) } else { section.secret_file(&raw) }
}

/// A version, in the shape that the strategy wants.
struct ApiVersion(String);

impl Setting for ApiVersion {
    const EXPECTED: &'static str =
        "GitHub: a date such as `2022-11-28`; Facebook: such as `v25.0`; others: none";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }
}
