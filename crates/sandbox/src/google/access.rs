//! What every API of Google's checks first.

use std::time::Duration;

use http::HeaderMap;

use super::refusal;
use crate::credentials::bearer;
use crate::reply::Refused;
use crate::state::World;
use crate::state::account::Provider;
use crate::state::grants::Access;

/// The span of Google's per-user quota.
const MINUTE: Duration = Duration::from_secs(60);

/// An API method: its service, its name in errors, and the scopes of which any is enough.
pub(super) struct Method {
    pub(super) service: &'static str,
    pub(super) name: &'static str,
    pub(super) scopes: &'static [&'static str],
}

impl Method {
    /// The caller's token, if it is alive, the API is on, the quota not used up, and a scope fits; in this
    /// order.
    pub(super) fn allow(&self, world: &World, headers: &HeaderMap) -> Result<Access, Refused> {
        let now = world.clock.now();
        let token = bearer(headers).ok_or_else(|| refusal::unauthenticated(self.service))?;
        let checked = world.state().grants.check(Provider::Google, token, now);
        let access = checked.map_err(|_| refusal::unauthenticated(self.service))?;
        let google = &world.providers.google;
        if google.disabled.iter().any(|service| service == self.service) {
            let project = google.client_id.split('-').next().unwrap_or_default();
            return Err(refusal::service_disabled(self.service, project));
        }
        if !world.count(&access.account, google.requests_per_minute, MINUTE).allowed {
            return Err(refusal::rate_limited(self.service));
        }
        if !access.has_any(self.scopes) {
            return Err(refusal::scope_insufficient(self.service, self.name, self.scopes));
        }
        Ok(access)
    }
}
