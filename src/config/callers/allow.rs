//! `allow`: the permissions of a rule.

use std::collections::BTreeSet;

use super::super::{known, raw::Reported, section::Section, value::Setting};
use crate::{policy::Permission, rpc::Rpc};

/// Reads the permissions of a rule. `refuse` explains why some must not be there.
pub(super) fn read(
    section: &mut Section<'_, '_>,
    refuse: impl Fn(Permission) -> Option<&'static str>,
) -> Result<BTreeSet<Permission>, Reported> {
    let allowed = super::required::<Allowed>(section, "allow", MISSING)?;
    let allowed: BTreeSet<_> = allowed.into_iter().map(|Allowed(permission)| permission).collect();
    if let Some(problem) = allowed.iter().find_map(|permission| refuse(*permission)) {
        section.wrong_table(&format!("has an `allow` that {problem}"));
        return Err(Reported);
    }
    if allowed.contains(&Permission::RefreshToken)
        && !allowed.contains(&Permission::Rpc(Rpc::GetIdentityToken))
    {
        section.wrong_table(LONELY);
        return Err(Reported);
    }
    Ok(allowed)
}

const MISSING: &str = "has no `allow`: list RPCs, such as `allow = [\"ListIdentities\", \"CallProvider\"]`";

const LONELY: &str =
    "allows `refresh-token`, which has no effect without `GetIdentityToken`: add that, or remove it";

/// One value of `allow`.
pub(super) struct Allowed(Permission);

impl Setting for Allowed {
    const EXPECTED: &'static str = "names of RPCs, such as `CallProvider`; `refresh-token`";

    fn parse(text: &str) -> Result<Self, String> {
        Permission::named(text).map(Self).ok_or_else(|| {
            let names: Vec<_> = Permission::all().map(Permission::name).collect();
            let hint = known::nearest(text, names.iter().copied())
                .map(|name| format!(" (did you mean `{name}`?)"))
                .unwrap_or_default();
            let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            format!("must hold no names but {}{hint}", names.join(", "))
        })
    }
}
