//! What a seed must be beyond its types, so that a mistake in it is told at the start and not by a strange
//! answer later.

use std::collections::HashSet;

use url::Host;

use super::{ConnectedAccountSeed, IdentitySeed, ProvidersSeed, Seed};
use crate::hosts::Site;
use crate::state::account::Provider;

impl Seed {
    /// The first thing that cannot work, in words that name its key.
    pub(super) fn check(&self) -> Result<(), String> {
        if !is_host_name(&self.domain) {
            let like = "a host name in lower case, such as `sandbox.eu.auth0.example`";
            return Err(format!("`domain` must be {like}, without `https://`, port and slash"));
        }
        let rate = self.management.requests_per_second;
        // NaN is not above zero either.
        if !(rate > 0.0 && rate.is_finite()) {
            return Err("`management.requests_per_second` must be more than 0".to_owned());
        }
        if self.management.burst == 0 {
            return Err("`management.burst` must be more than 0".to_owned());
        }
        check_hosts(&self.domain, &self.providers)?;
        unique("clients", self.clients.iter().map(|client| &client.id))?;
        unique("users", self.users.iter().map(|user| &user.id))?;
        let mut identities =
            self.users.iter().flat_map(|user| user.identities.iter().map(move |one| (&user.id, one)));
        identities.try_for_each(|(user, identity)| check_identity(user, identity))?;
        self.users.iter().flat_map(|user| &user.connected_accounts).try_for_each(check_account)
    }
}

/// Each host may be one system's only: a generic provider's own API and authorization server may share one.
fn check_hosts(domain: &str, providers: &ProvidersSeed) -> Result<(), String> {
    let sharepoint = &providers.microsoft.sharepoint_host;
    if Site::of(sharepoint, &[]) != Site::SharePoint {
        return Err(format!(
            "`providers.microsoft.sharepoint_host` must end in .sharepoint.com: {sharepoint:?}"
        ));
    }
    let mut taken = HashSet::from([domain]);
    for one in &providers.generic {
        let own = HashSet::from([one.api_host.as_str(), one.auth_host.as_str()]);
        for host in own {
            if !is_host_name(host) || Site::of(host, &[]) != Site::Tenant || !taken.insert(host) {
                return Err(format!(
                    "the hosts of {:?} in `[[providers.generic]]` must be host names in lower case that nobody else has: {host:?}",
                    one.connection
                ));
            }
        }
    }
    let mut connections = HashSet::new();
    match providers.generic.iter().find(|one| !connections.insert(&one.connection)) {
        Some(twice) => {
            Err(format!("two `[[providers.generic]]` have the `connection` {:?}", twice.connection))
        }
        None => Ok(()),
    }
}

fn unique<'a>(table: &str, ids: impl Iterator<Item = &'a String>) -> Result<(), String> {
    let mut seen = HashSet::new();
    for id in ids {
        if !seen.insert(id) {
            return Err(format!("two `[[{table}]]` have the `id` {id:?}; rename one of them"));
        }
    }
    Ok(())
}

fn check_identity(user: &str, identity: &IdentitySeed) -> Result<(), String> {
    let connection = &identity.connection;
    if identity.provider.is_some() || Provider::of_strategy(connection).is_some() {
        return Ok(());
    }
    Err(format!(
        "the connection {connection:?} of {user:?} needs its `provider`, Auth0's strategy: `google-oauth2`, \
         `google-apps`, `github`, `facebook`, `bitbucket`, `waad`, `windowslive`, `oauth2` or `oidc`, or one that is \
         not played, such as `auth0` or `samlp`"
    ))
}

fn check_account(account: &ConnectedAccountSeed) -> Result<(), String> {
    let strategy = account.provider.as_deref().unwrap_or(&account.connection);
    if Provider::of_strategy(strategy).is_some() {
        return Ok(());
    }
    let connection = &account.connection;
    Err(format!("the connected account of {connection:?} needs the `provider` of one that is played"))
}

/// Whether issuer and audience can be made of it: two labels at least, and no address.
fn is_host_name(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(letter)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_domain = matches!(Host::parse(text), Ok(Host::Domain(name)) if name == text);
    is_domain && text.contains('.') && text.len() <= 253 && text.split('.').all(is_label)
}
