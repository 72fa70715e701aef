//! The endpoints at which the provider renews, inspects and revokes tokens.

use http::Uri;

use crate::config::{network::Endpoint, section::Section};

/// URLs that replace the provider's own.
pub(in crate::config) struct Endpoints {
    /// The token endpoint. Default: the strategy's.
    pub(super) token_url: Option<Uri>,
    /// The endpoint that inspects tokens. Default: the strategy's.
    pub(super) inspect_url: Option<Uri>,
    /// The endpoint that revokes tokens. Default: the strategy's.
    pub(super) revoke_url: Option<Uri>,
}

impl Endpoints {
    /// Reads the URLs; `None` after a reported mistake.
    pub(super) fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let mut read = |name| section.optional(name, "the strategy's");
        let (token_url, inspect_url, revoke_url) =
            (read("token_url"), read("inspect_url"), read("revoke_url"));
        let uri = |endpoint: Option<Endpoint>| endpoint.map(|Endpoint(uri)| uri);
        Some(Self {
            token_url: uri(token_url.ok()?),
            inspect_url: uri(inspect_url.ok()?),
            revoke_url: uri(revoke_url.ok()?),
        })
    }

    /// Returns whether one of the endpoints is at `host`.
    pub(in crate::config) fn are_at(&self, host: &str) -> bool {
        let urls = [&self.token_url, &self.inspect_url, &self.revoke_url];
        urls.into_iter().flatten().any(|url| url.host() == Some(host))
    }
}
