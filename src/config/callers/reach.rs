//! Warns of requests that no adapter sends: valid, but probably not what was meant.

use std::collections::BTreeMap;

use super::super::{provider::Provider as Configured, section::Section};
use crate::{
    policy::{Pattern, ProviderName, RequestPattern, Rule, Who},
    provider::{self, HostPattern, Provider},
};

/// Warns of each request in the rule that none of its providers' adapters sends.
pub(super) fn warn(root: &mut Section<'_, '_>, rule: &Rule, providers: &BTreeMap<String, Configured>) {
    // An unknown name may be a connection of any strategy.
    if rule.providers.iter().any(|name| matches!(name, ProviderName::Name(_))) {
        return;
    }
    let meant = providers.iter().filter(|(table, configured)| is_meant(rule, table, configured));
    let build =
        |configured: &Configured| provider::build(configured.strategy.as_str(), configured.settings.clone());
    let adapters: Vec<_> = meant.filter_map(|(_, configured)| build(configured)).collect();
    let key = match rule.who {
        Who::Services(_) => "callers.requests",
        Who::EndUsers => "end_users.requests",
    };
    for request in &rule.requests {
        if let Some(problem) = problem(request, &adapters) {
            root.warn_at_line(rule.line, format!("`{key}` holds `{request}`, {problem}"));
        }
    }
}

fn is_meant(rule: &Rule, table: &str, configured: &Configured) -> bool {
    rule.providers.iter().any(|name| match name {
        ProviderName::All => true,
        ProviderName::Strategy(strategy) => strategy == configured.strategy.as_str(),
        ProviderName::Connection { name, .. } => name == table,
        ProviderName::Name(_) => false,
    })
}

fn problem(request: &RequestPattern, adapters: &[Box<dyn Provider>]) -> Option<String> {
    let (host, path) = (request.host()?, request.path()?);
    let is_called = |adapter: &&dyn Provider| adapter.hosts().iter().any(|own| overlap(own, host));
    let called: Vec<_> = adapters.iter().map(|adapter| &**adapter).filter(is_called).collect();
    if called.is_empty() {
        return Some("whose host none of the rule's providers uses".to_owned());
    }
    let other: Option<Vec<_>> = called.iter().map(|adapter| sent_instead(path, *adapter)).collect();
    let other = other?.into_iter().next()?;
    Some(format!("whose path is sent as `{other}`: write that, or `*` in place of the version"))
}

/// Returns whether some host matches both.
fn overlap(one: &HostPattern, other: &HostPattern) -> bool {
    one == other || one.matches(other.as_str()) || other.matches(one.as_str())
}

/// Returns the path that is sent instead of `path`; `None` if it is sent as it is, or may be.
fn sent_instead(path: &Pattern, adapter: &dyn Provider) -> Option<String> {
    let first = path.as_str().split('/').nth(1)?;
    let sent = adapter.sent_path(path.as_str());
    (!first.contains('*') && sent != path.as_str()).then(|| sent.into_owned())
}
