//! `hosts`: which hosts a provider's API has, and where they are really reached.

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

/// What may be written, for the documentation.
const VALUES: &str =
    "hosts, or `*.` and a domain; or a table of them, with the URL where each is really reached";

/// The key of this name.
const KEY: &str = "hosts";

/// The hosts of one provider.
#[derive(Default)]
pub(super) struct Hosts {
    /// The API hosts, the default first; empty where the adapter knows them.
    pub(super) hosts: Vec<String>,
    /// Where hosts are really reached.
    pub(super) detours: BTreeMap<String, Url>,
}

impl Hosts {
    /// `None` if something is wrong, which was reported. Without a strategy, which was reported too, all may be right.
    pub(super) fn read(
        section: &mut Section<'_, '_>,
        strategy: Option<Strategy>,
        endpoints: Option<&Endpoints>,
    ) -> Option<Self> {
        section.know_table(KEY, VALUES);
        let rule = strategy.map(|strategy| strategy.kind().hosts());
        let hosts = match rule {
            Some(HostRule::Fixed) => Self { hosts: Vec::new(), detours: detours(section) },
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
            return Some(Self { hosts, detours: BTreeMap::new() });
        }
        let detours = detours(section);
        Some(Self { hosts: api_hosts(&detours, endpoints), detours })
    }
}

/// The table says where endpoints are reached, too: their hosts are API hosts only where the table has no others.
fn api_hosts(detours: &BTreeMap<String, Url>, endpoints: Option<&Endpoints>) -> Vec<String> {
    let is_api = |host: &String| !endpoints.is_some_and(|endpoints| endpoints.are_at(host));
    let hosts = default_first(detours);
    let of_api: Vec<_> = hosts.iter().filter(|host| is_api(host)).cloned().collect();
    if of_api.is_empty() { hosts } else { of_api }
}

/// A table has no order, so the first name without a `*` is the default.
fn default_first(detours: &BTreeMap<String, Url>) -> Vec<String> {
    let (wide, exact): (Vec<_>, Vec<_>) = detours.keys().cloned().partition(|host| host.starts_with("*."));
    exact.into_iter().chain(wide).collect()
}

fn detours(section: &mut Section<'_, '_>) -> BTreeMap<String, Url> {
    let detours = section.entries(KEY, |host, url: Base| HostPattern::parse(host).map(|_| url.0));
    let urls: BTreeSet<_> = detours.values().map(Url::as_str).collect();
    if !urls.is_empty() {
        let (key, urls) = (section.path.child(KEY).written, Vec::from_iter(urls).join(", "));
        section.warn(format!("`{key}` is for tests: tokens are sent to {urls}"));
    }
    detours
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
