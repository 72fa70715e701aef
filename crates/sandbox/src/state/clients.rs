//! The tenant's applications, and the authorization codes they wait for.

use std::time::SystemTime;

use crate::secrets;
use crate::seed::{ClientSeed, PrivilegedWorkerSeed};

/// An application of the tenant.
pub(crate) struct Client {
    seed: ClientSeed,
}

impl Client {
    /// An application as the seed describes it.
    pub(crate) fn new(seed: ClientSeed) -> Self {
        Self { seed }
    }

    /// `client_id`.
    pub(crate) fn id(&self) -> &str {
        &self.seed.id
    }

    /// The PEM of the key that the client signs its assertions with.
    pub(crate) fn public_key(&self) -> Option<&str> {
        self.seed.public_key.as_deref()
    }

    /// Whether the client has neither secret nor key.
    pub(crate) fn is_public(&self) -> bool {
        self.seed.secret.is_none() && self.seed.public_key.is_none()
    }

    /// Whether this is the client's secret.
    pub(crate) fn has_secret(&self, secret: &str) -> bool {
        self.seed.secret.as_deref().is_some_and(|own| secrets::same(own, secret))
    }

    /// Replaces the secret; the old one is void at once, as at Auth0.
    pub(crate) fn set_secret(&mut self, secret: &str) {
        self.seed.secret = Some(secret.to_owned());
    }

    /// Scopes of the Management API; `None` without a grant.
    pub(crate) fn management_scopes(&self) -> Option<&[String]> {
        self.seed.scopes.as_deref()
    }

    /// Replaces the grant for the Management API.
    pub(crate) fn set_management_scopes(&mut self, scopes: Vec<String>) {
        self.seed.scopes = Some(scopes);
    }

    /// Whether the client was granted an audience other than the Management API's.
    pub(crate) fn has_audience(&self, audience: &str) -> bool {
        self.seed.audiences.iter().any(|own| own == audience)
    }

    /// Whether the grant type is on for the client.
    pub(crate) fn may_use(&self, grant_type: &str) -> bool {
        self.seed.grant_types.iter().any(|own| own == grant_type)
    }

    /// Where the browser may be sent back to.
    pub(crate) fn redirect_uris(&self) -> &[String] {
        &self.seed.redirect_uris
    }

    /// The right to open Token Vault for any user.
    pub(crate) fn privileged_worker(&self) -> Option<&PrivilegedWorkerSeed> {
        self.seed.privileged_worker.as_ref()
    }

    /// The API whose own client this is.
    pub(crate) fn resource_server(&self) -> Option<&str> {
        self.seed.resource_server.as_deref()
    }

    /// Whether the browser may be sent there.
    pub(crate) fn returns_to(&self, redirect_uri: &str) -> bool {
        self.seed.redirect_uris.iter().any(|own| own == redirect_uri)
    }
}

/// An authorization code and what it stands for.
pub(crate) struct Code {
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) user: String,
    pub(crate) audience: Option<String>,
    pub(crate) scope: String,
    pub(crate) nonce: Option<String>,
    /// The S256 challenge, where the client sent one.
    pub(crate) challenge: Option<String>,
    pub(crate) expires: SystemTime,
}
