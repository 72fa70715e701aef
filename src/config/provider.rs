//! The identity providers, by strategy or by connection.

use std::collections::BTreeMap;

use url::Url;

pub(super) use self::endpoints::Endpoints;
use self::{application::Application, renewal::Renewal};
use super::{hosts::Hosts, section::Section, strategy::Strategy, value::Setting};
use crate::{identity::is_connection_name, provider::Settings};

mod application;
mod endpoints;
mod renewal;
mod table;

/// One provider, `[providers.NAME]`.
#[derive(Clone, Debug)]
pub struct Provider {
    /// The kind of provider. Default: the table's name, if that is a strategy; otherwise required.
    pub strategy: Strategy,
    /// The settings of the adapter.
    pub settings: Settings,
    /// Where hosts are really reached, for tests: by a host or `*.` wildcard in lower case, a URL without a
    /// path.
    pub host_overrides: BTreeMap<String, Url>,
}

impl Provider {
    /// Reads all tables below `[providers]`, and adds the strategies that have no table and need none.
    pub(super) fn read_all(section: &mut Section<'_, '_>) -> BTreeMap<String, Self> {
        let mut names: Vec<_> = section.table.keys().map(|name| name.get_ref().to_string()).collect();
        let alone = Strategy::all().filter(|strategy| strategy.kind().needs_nothing());
        names.extend(alone.map(|strategy| strategy.as_str().to_owned()));
        names.sort();
        names.dedup();
        // What is not a connection's name stays in the table and becomes an unknown key.
        names.retain(|name| is_connection_name(name));
        let provider = |name: String| {
            let provider = section.named_section(&name, |section| Self::read(section, &name)).flatten()?;
            Some((name, provider))
        };
        names.into_iter().filter_map(provider).collect()
    }

    /// Reads the table. Reads everything before it gives up, so that every mistake is reported.
    fn read(section: &mut Section<'_, '_>, name: &str) -> Option<Self> {
        let strategy = table::strategy(section, name);
        if let Some(strategy) = strategy {
            table::refuse_keys_without_effect(section, strategy);
        }
        let application = Application::read(section, strategy);
        let endpoints = Endpoints::read(section);
        let renewal = Renewal::read(section);
        let check =
            |ApiVersion(version): &_| strategy.map_or(Ok(()), |strategy| strategy.check_version(version));
        let api_version = section.optional_checked("api_version", "the adapter's", check);
        let hosts = Hosts::read(section, strategy, endpoints.as_ref());

        let api_version = api_version.ok()?.map(|ApiVersion(version)| version);
        let (application, endpoints, renewal) = (application?, endpoints?, renewal?);
        let Hosts { hosts, host_overrides } = hosts?;
        let settings = Settings {
            hosts,
            client_id: application.client_id,
            client_secret: application.client_secret,
            private_key: application.private_key,
            token_auth_method: application.token_auth_method,
            token_url: endpoints.token_url,
            inspect_url: endpoints.inspect_url,
            revoke_url: endpoints.revoke_url,
            scopes: renewal.scopes,
            identity_api: renewal.identity_api,
            resource: renewal.resource,
            rotates: renewal.rotates,
            lifetime: renewal.lifetime,
            api_version,
        };
        Some(Self { strategy: strategy?, settings, host_overrides })
    }
}

/// A version in the form that the strategy requires.
struct ApiVersion(String);

impl Setting for ApiVersion {
    const EXPECTED: &'static str =
        "GitHub: a date such as `2022-11-28`; Facebook: such as `v25.0`; others: none";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }
}
