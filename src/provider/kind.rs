//! What must be known of a kind of provider before there is an adapter.

use std::{sync::Arc, time::Duration};

use http::Uri;

use super::{AuthMethod, Provider, advice::Advice};
use crate::secret::Secret;

/// A kind of provider: the Auth0 strategies that speak its dialect, and how an adapter is made.
pub struct Kind {
    /// Auth0's names, as in an identity's `provider`.
    pub(super) strategies: &'static [&'static str],
    /// Who says which hosts are called.
    pub(super) hosts: HostRule,
    /// Whether unrelated providers share the strategy, so that settings are for one connection only.
    pub(super) is_shared: bool,
    /// The keys of the configuration, besides those that every provider has, that mean something here.
    pub(super) takes: &'static [&'static [&'static str]],
    /// Whether a client secret serves without a client id.
    pub(super) takes_lone_secret: bool,
    /// Whether the file of the private key must hold the key's certificate too.
    pub(super) wants_certificate: bool,
    /// What its own rules mean for an operator.
    pub(super) advice: Advice,
    /// Whether a text has the shape of the API's versions, or what to write instead.
    pub(super) check_version: fn(&str) -> Result<(), String>,
    /// The adapter.
    pub(super) build: fn(Settings) -> Box<dyn Provider>,
}

/// Keys of a provider that knows the application that its tokens are for.
pub(super) const CLIENT: &[&str] = &["client_id", "client_secret", "client_secret_file", "token_url"];

/// Keys of a provider that takes more than one kind of proof from the application.
pub(super) const PROOF: &[&str] = &["private_key_file", "token_auth_method"];

/// Who says which hosts are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostRule {
    /// The adapter; they are the same for everybody.
    Fixed,
    /// The adapter, unless the operator names others: a sovereign cloud, a tenant.
    Default,
    /// The operator, since nobody else knows.
    Required,
}

impl Kind {
    /// Who says which hosts are called.
    pub fn hosts(&self) -> HostRule {
        self.hosts
    }

    /// Whether unrelated providers share the strategy, so that settings must be for one connection.
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Whether the key of this name, such as `scopes`, means anything here.
    pub fn takes(&self, key: &str) -> bool {
        self.takes.iter().any(|keys| keys.contains(&key))
    }

    /// Whether a client secret serves without a client id: Facebook's `appsecret_proof` is made with it.
    pub fn takes_lone_secret(&self) -> bool {
        self.takes_lone_secret
    }

    /// Whether the file of the private key must hold the key's certificate too.
    pub fn wants_certificate(&self) -> bool {
        self.wants_certificate
    }

    /// What its own rules mean for an operator.
    pub fn advice(&self) -> &Advice {
        &self.advice
    }

    /// Whether an adapter can be made without any setting.
    pub fn needs_nothing(&self) -> bool {
        self.hosts != HostRule::Required && !self.is_shared
    }
}

/// Which of Microsoft's token endpoints a connection of `waad` uses; Auth0 calls it so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdentityApi {
    /// `microsoft-identity-platform-v2.0`: tokens are for scopes.
    #[default]
    V2,
    /// `azure-active-directory-v1.0`: tokens are for a resource.
    V1,
}

impl IdentityApi {
    /// The endpoint of Auth0's name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "microsoft-identity-platform-v2.0" => Some(Self::V2),
            "azure-active-directory-v1.0" => Some(Self::V1),
            _ => None,
        }
    }
}

/// What an operator may set for a provider.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The API hosts, the default first, in lower case; `*.` and a domain means all directly below it.
    /// Only for a [`Kind`] whose hosts are not fixed.
    pub hosts: Vec<String>,
    /// The application that the tokens were issued to.
    pub client_id: Option<String>,
    /// Its secret; Facebook wants proof of it with every call.
    pub client_secret: Option<Arc<Secret>>,
    /// Its RSA private key in PEM form, for `private_key_jwt`; Microsoft wants the certificate in the same file.
    pub private_key: Option<Arc<Secret>>,
    /// How it proves itself to the token endpoint; each provider has a default.
    pub token_auth_method: Option<AuthMethod>,
    /// The token endpoint, in place of the provider's own.
    pub token_url: Option<Uri>,
    /// Where tokens are inspected, in place of the provider's own.
    pub inspect_url: Option<Uri>,
    /// Where tokens are revoked, in place of the provider's own.
    pub revoke_url: Option<Uri>,
    /// Scopes that are asked for again at a renewal, where the provider wants that.
    pub scopes: Vec<String>,
    /// Which of Microsoft's token endpoints issued the tokens.
    pub identity_api: IdentityApi,
    /// What tokens of Microsoft's older endpoint are for.
    pub resource: Option<String>,
    /// Whether a refresh token dies at use; only for a provider whose adapter does not know it. True.
    pub rotates: Option<bool>,
    /// How long tokens live where the provider does not say it; only for a provider whose adapter does not know it.
    pub lifetime: Option<Duration>,
    /// The version of the provider's API, where it has one: see [`super::check_api_version`].
    pub api_version: Option<String>,
}

/// For APIs that have no version to choose.
pub(super) fn no_version(_: &str) -> Result<(), String> {
    Err("must be left out: this provider's API has no version to choose".to_owned())
}

/// `names` in words: "`a`, `b` or `c`".
pub(super) fn listed(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => quoted.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_as_a_sentence_has_them() {
        for (names, expected) in [
            (&[][..], ""),
            (&["a"], "`a`"),
            (&["a", "b"], "`a` or `b`"),
            (&["a", "b", "c"], "`a`, `b` or `c`"),
        ] {
            assert_eq!(listed(names), expected);
        }
    }
}
