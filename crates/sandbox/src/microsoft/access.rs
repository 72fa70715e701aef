//! Whether an API of Microsoft's takes a token: each takes those alone that were issued for it.

use http::HeaderMap;

use crate::credentials::bearer;
use crate::state::World;
use crate::state::account::Provider;
use crate::state::grants::{Access, Death};

/// Why a token is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unfit {
    /// There is none.
    Absent,
    /// It is for another API.
    Audience,
    /// Its time is over, or what it was issued for was ended.
    Dead,
    /// Microsoft never issued it.
    Unknown,
}

/// The caller's token, where it is alive and for this API.
pub(super) fn check(world: &World, headers: &HeaderMap, resource: &str) -> Result<Access, Unfit> {
    let token = bearer(headers).ok_or(Unfit::Absent)?;
    let now = world.clock.now();
    let checked = world.state().grants.check_any(token, now);
    let access = checked.map_err(|death| match death {
        Death::Unknown => Unfit::Unknown,
        _ => Unfit::Dead,
    })?;
    match (access.account.provider, access.resource.as_deref()) {
        (Provider::Entra | Provider::MicrosoftAccount, Some(own)) if own == resource => Ok(access),
        (Provider::Entra | Provider::MicrosoftAccount, _) => Err(Unfit::Audience),
        _ => Err(Unfit::Unknown),
    }
}
