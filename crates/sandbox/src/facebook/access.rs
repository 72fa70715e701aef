//! What Graph checks before every call for a user.

use aws_lc_rs::hmac;
use axum::extract::FromRequestParts;
use axum::response::Response;
use http::request::Parts;
use serde_json::json;
use std::sync::Arc;

use super::refusal;
use crate::credentials::bearer;
use crate::form::Form;
use crate::limits::Standing;
use crate::reply::{Refused, With as _};
use crate::secrets;
use crate::state::account::Provider;
use crate::state::grants::Access;
use crate::state::{HOUR, World};

/// A caller that was let in: token alive, proof right, quotas not used up.
pub(super) struct Caller {
    pub(super) access: Access,
    pub(super) token: String,
    pub(super) query: Form,
    app: Standing,
}

impl FromRequestParts<Arc<World>> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, world: &Arc<World>) -> Result<Self, Refused> {
        let query = Form::of_query(parts.uri.query().unwrap_or_default());
        let token =
            bearer(&parts.headers).or(query.get("access_token")).ok_or_else(refusal::no_token)?.to_owned();
        let now = world.clock.now();
        let app_id = &world.providers.facebook.client_id;
        let checked = world.state().grants.check(Provider::Facebook, &token, now);
        let access = checked.map_err(|death| refusal::dead_token(death, now, app_id))?;
        check_proof(world, &token, query.get("appsecret_proof"))?;
        let app = count(world, &access)?;
        Ok(Self { access, token, query, app })
    }
}

impl Caller {
    /// Adds how much of the app's quota is used, in percent.
    pub(super) fn told(&self, response: Response) -> Response {
        let used = (self.app.limit - self.app.remaining) * 100 / self.app.limit.max(1);
        let usage = json!({"call_count": used, "total_cputime": 0, "total_time": 0});
        response.with("x-app-usage", usage)
    }

    /// Whether the user granted the permission.
    pub(super) fn has(&self, permission: &str) -> bool {
        self.access.has_any(&[permission])
    }
}

/// Hex HMAC-SHA256 of the token under the app's secret: verified wherever it comes, demanded where the seed
/// says so.
fn check_proof(world: &World, token: &str, proof: Option<&str>) -> Result<(), Refused> {
    let facebook = &world.providers.facebook;
    let Some(proof) = proof else {
        return if facebook.require_appsecret_proof { Err(refusal::proof_missing()) } else { Ok(()) };
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, facebook.client_secret.as_bytes());
    let right = secrets::hex(hmac::sign(&key, token.as_bytes()).as_ref());
    if secrets::same(&right, proof) { Ok(()) } else { Err(refusal::proof_wrong()) }
}

fn count(world: &World, access: &Access) -> Result<Standing, Refused> {
    if !world.count(&access.account, world.providers.facebook.calls_per_hour, HOUR).allowed {
        return Err(refusal::throttled(17));
    }
    let app = world.count_app();
    if app.allowed { Ok(app) } else { Err(refusal::throttled(4)) }
}
