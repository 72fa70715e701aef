//! `providers`: the providers that a rule is about.

use std::collections::BTreeMap;

use super::super::{provider::Provider, value::Setting};
use crate::{
    identity::is_connection_name,
    policy::{ProviderName, Rule},
    provider,
};

/// One value of `providers`.
pub(super) struct Named(pub(super) ProviderName);

impl Setting for Named {
    const EXPECTED: &'static str = "names of strategies or connections; `**` for all";

    fn parse(text: &str) -> Result<Self, String> {
        if text == "**" {
            return Ok(Self(ProviderName::All));
        }
        if !is_connection_name(text) {
            return Err(format!("must hold {}: no patterns", Self::EXPECTED));
        }
        match provider::kind(text) {
            Some(kind) if kind.is_shared() => Err(SHARED.to_owned()),
            Some(_) => Ok(Self(ProviderName::Strategy(text.to_owned()))),
            None => Ok(Self(ProviderName::Name(text.to_owned()))),
        }
    }
}

const SHARED: &str = "must not hold a strategy that unrelated providers share: name the connections instead, or write `**` for \
    all";

/// Turns names that are connections of `providers` into connections, and leaves unknown names.
pub(super) fn settle(rule: &mut Rule, providers: &BTreeMap<String, Provider>) {
    for provider in &mut rule.providers {
        if let ProviderName::Name(name) = provider
            && let Some(configured) = providers.get(name)
        {
            let strategy = configured.strategy.as_str().to_owned();
            *provider = ProviderName::Connection { name: std::mem::take(name), strategy };
        }
    }
}
