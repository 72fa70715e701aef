//! What is known of a kind of provider before an adapter exists.

use std::{sync::Arc, time::Duration};

use http::Uri;

use super::{AuthMethod, Provider, advice::Advice};
use crate::secret::Secret;

/// A kind of provider: the Auth0 strategies that share its API, and how to create an adapter.
pub struct Kind {
    /// Auth0's strategy names, as in an identity's `provider`.
    pub(super) strategies: &'static [&'static str],
    /// Who decides the API hosts.
    pub(super) hosts: HostRule,
    /// Whether unrelated providers share the strategy, so that settings apply to one connection only.
    pub(super) is_shared: bool,
    /// The configuration keys that this kind reads, besides those that every provider has.
    pub(super) takes: &'static [&'static [&'static str]],
    /// Whether a client secret is of use without a client id.
    pub(super) takes_lone_secret: bool,
    /// Whether the private key's file must also hold its certificate.
    pub(super) wants_certificate: bool,
    /// What its own rules mean for an operator.
    pub(super) advice: Advice,
    /// Checks the shape of an API version; the error says what to write instead.
    pub(super) check_version: fn(&str) -> Result<(), String>,
    /// Creates the adapter.
    pub(super) build: fn(Settings) -> Box<dyn Provider>,
}

/// Keys of a provider that needs to know the application its tokens were issued to.
pub(super) const CLIENT: &[&str] = &["client_id", "client_secret", "client_secret_file", "token_url"];

/// Keys of a provider that accepts several client authentication methods.
pub(super) const PROOF: &[&str] = &["private_key_file", "token_auth_method"];

/// Who decides the API hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostRule {
    /// The adapter; they are the same for everyone.
    Fixed,
    /// The adapter, unless the operator configures others, such as a sovereign cloud or a tenant.
    Default,
    /// The operator, since nobody else knows them.
    Required,
}

impl Kind {
    /// Who decides the API hosts.
    pub fn hosts(&self) -> HostRule {
        self.hosts
    }

    /// Returns whether unrelated providers share the strategy, so that settings must be for one connection.
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Returns whether this kind reads the key of this name, such as `scopes`.
    pub fn takes(&self, key: &str) -> bool {
        self.takes.iter().any(|keys| keys.contains(&key))
    }

    /// Returns whether a client secret is of use without a client id, as for Facebook's `appsecret_proof`.
    pub fn takes_lone_secret(&self) -> bool {
        self.takes_lone_secret
    }

    /// Returns whether the private key's file must also hold its certificate.
    pub fn wants_certificate(&self) -> bool {
        self.wants_certificate
    }

    /// What its own rules mean for an operator.
    pub fn advice(&self) -> &Advice {
        &self.advice
    }

    /// Returns whether an adapter can be created without any settings.
    pub fn needs_nothing(&self) -> bool {
        self.hosts != HostRule::Required && !self.is_shared
    }
}

/// Which of Microsoft's token endpoints a connection of `waad` uses, by Auth0's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdentityApi {
    /// `microsoft-identity-platform-v2.0`: tokens are for scopes.
    #[default]
    V2,
    /// `azure-active-directory-v1.0`: tokens are for a resource.
    V1,
}

impl IdentityApi {
    /// Returns the endpoint with Auth0's name `name`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "microsoft-identity-platform-v2.0" => Some(Self::V2),
            "azure-active-directory-v1.0" => Some(Self::V1),
            _ => None,
        }
    }
}

/// An operator's settings for a provider.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The API hosts in lower case, the default first; `*.` and a domain means all hosts directly below it.
    /// Only for a [`Kind`] whose hosts are not fixed.
    pub hosts: Vec<String>,
    /// The client id of the application that the tokens were issued to.
    pub client_id: Option<String>,
    /// The client secret; Facebook requires a proof of it with every call.
    pub client_secret: Option<Arc<Secret>>,
    /// The RSA private key in PEM form, for `private_key_jwt`; Microsoft requires the certificate in the same
    /// file.
    pub private_key: Option<Arc<Secret>>,
    /// How the client authenticates to the token endpoint; each provider has a default.
    pub token_auth_method: Option<AuthMethod>,
    /// The token endpoint, instead of the provider's own.
    pub token_url: Option<Uri>,
    /// The inspection endpoint, instead of the provider's own.
    pub inspect_url: Option<Uri>,
    /// The revocation endpoint, instead of the provider's own.
    pub revoke_url: Option<Uri>,
    /// Scopes to request again at a renewal, if the provider requires that.
    pub scopes: Vec<String>,
    /// Which of Microsoft's token endpoints issued the tokens.
    pub identity_api: IdentityApi,
    /// The resource that tokens of Microsoft's older endpoint are for.
    pub resource: Option<String>,
    /// Whether refresh tokens are single-use, for adapters that do not know. Default: true.
    pub rotates: Option<bool>,
    /// The lifetime of tokens if the provider does not report it, for adapters that do not know.
    pub lifetime: Option<Duration>,
    /// The version of the provider's API, if it has versions: see [`super::check_api_version`].
    pub api_version: Option<String>,
}

/// For APIs without selectable versions.
pub(super) fn no_version(_: &str) -> Result<(), String> {
    Err("must be left out: this provider's API has no version to choose".to_owned())
}

/// `names` as text: "`a`, `b` or `c`".
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
