//! Where the provider renews, inspects and revokes tokens.

use http::Uri;

use crate::config::{network::Endpoint, section::Section};

/// URLs in place of the provider's own.
pub(in crate::config) struct Endpoints {
    /// The token endpoint. The strategy's.
    pub(super) token_url: Option<Uri>,
    /// Where tokens are inspected. The strategy's.
    pub(super) inspect_url: Option<Uri>,
    /// Where tokens are revoked. The strategy's.
    pub(super) revoke_url: Option<Uri>,
}

impl Endpoints {
    /// `None` if something is wrong, which was reported.
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

    /// Whether one of the endpoints is at `host`.
    pub(in crate::config) fn are_at(&self, host: &str) -> bool {
        let urls = [&self.token_url, &self.inspect_url, &self.revoke_url];
        urls.into_iter().flatten().any(|url| url.host() == Some(host))
    }
}
