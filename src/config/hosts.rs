//! `hosts`: the hosts of a provider's API, and where they are really reached.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use super::{
    network::{self, Base},
    provider::Endpoints,
    section::Section,
    strategy::Strategy,
    value::Setting,
};
use crate::provider::HostRule;

/// Accepted values, for the documentation.
const VALUES: &str =
    "hosts, or `*.` and a domain; or a table of them, with the URL where each is really reached";

/// The name of the key.
const KEY: &str = "hosts";

/// The hosts of one provider.
#[derive(Default)]
pub(super) struct Hosts {
    /// The API hosts, the default first; empty if the adapter knows them.
    pub(super) hosts: Vec<String>,
    /// The URLs at which hosts are really reached.
    pub(super) host_overrides: BTreeMap<String, Url>,
}

impl Hosts {
    /// Reads the key; `None` after a reported mistake. An unknown strategy was reported before, so any hosts
    /// are accepted with it.
    pub(super) fn read(
        section: &mut Section<'_, '_>,
        strategy: Option<Strategy>,
        endpoints: Option<&Endpoints>,
    ) -> Option<Self> {
        section.register_table(KEY, VALUES);
        let rule = strategy.map(|strategy| strategy.kind().hosts());
        let hosts = match rule {
            Some(HostRule::Fixed) => Self { hosts: Vec::new(), host_overrides: host_overrides(section) },
            _ => Self::named(section, endpoints)?,
        };
        if rule == Some(HostRule::Required) && hosts.hosts.is_empty() {
            section.wrong_table(
                "has no `hosts`: list the hosts of the provider's API, the default first, such as \
                 `hosts = [\"api.acme.example\"]`",
            );
            return None;
        }
        if !hosts.hosts.is_empty() && hosts.hosts.iter().all(|host| host.starts_with("*.")) {
            section.wrong_table("has a `*.` for every host: list one without, where calls go by default");
            return None;
        }
        Some(hosts)
    }

    fn named(section: &mut Section<'_, '_>, endpoints: Option<&Endpoints>) -> Option<Self> {
        if section.is_array(KEY) {
            let hosts = section.list(KEY, |HostPattern(host)| host).ok()?;
            return Some(Self { hosts, host_overrides: BTreeMap::new() });
        }
        let host_overrides = host_overrides(section);
        Some(Self { hosts: api_hosts(&host_overrides, endpoints), host_overrides })
    }
}

/// Returns the API hosts. The table also says where endpoints are reached, whose hosts are API hosts only if
/// it has no others.
fn api_hosts(host_overrides: &BTreeMap<String, Url>, endpoints: Option<&Endpoints>) -> Vec<String> {
    let is_api = |host: &String| !endpoints.is_some_and(|endpoints| endpoints.are_at(host));
    let hosts = default_first(host_overrides);
    let of_api: Vec<_> = hosts.iter().filter(|host| is_api(host)).cloned().collect();
    if of_api.is_empty() { hosts } else { of_api }
}

/// Returns the names with the default first: a table has no order, so that is the first name without a `*`.
fn default_first(host_overrides: &BTreeMap<String, Url>) -> Vec<String> {
    let (wide, exact): (Vec<_>, Vec<_>) =
        host_overrides.keys().cloned().partition(|host| host.starts_with("*."));
    exact.into_iter().chain(wide).collect()
}

fn host_overrides(section: &mut Section<'_, '_>) -> BTreeMap<String, Url> {
    let host_overrides = section.entries(KEY, |host, url: Base| HostPattern::parse(host).map(|_| url.0));
    let urls: BTreeSet<_> = host_overrides.values().map(Url::as_str).collect();
    if !urls.is_empty() {
        let (key, urls) = (section.path.child(KEY).written, Vec::from_iter(urls).join(", "));
        section.warn(format!("`{key}` is for tests: tokens are sent to {urls}"));
    }
    host_overrides
}

/// A host, or all hosts directly below one.
struct HostPattern(String);

impl Setting for HostPattern {
    const EXPECTED: &'static str = "a host name in lower case, or `*.` and one, such as `www.googleapis.com`";

    fn parse(text: &str) -> Result<Self, String> {
        match network::is_host_name(text.strip_prefix("*.").unwrap_or(text)) {
            true => Ok(Self(text.to_owned())),
            false => Err(format!("must be {}", Self::EXPECTED)),
        }
    }
}
