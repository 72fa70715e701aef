//! Using a refresh token: what comes of it, what dies of it, and what happens to whoever uses one twice.

use std::time::{Duration, SystemTime};

use super::{Access, Death, Grants, Issue, Issued, Refresh};
use crate::state::account::{Account, Provider};

/// What a renewal does to the tokens that there were.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rotation {
    /// All live on, and no new refresh token comes: Google.
    Keeps,
    /// All live on, and a new refresh token comes: Microsoft.
    Adds,
    /// The refresh token dies, and is refused from then on: Bitbucket.
    Replaces,
    /// The refresh token dies, and using it again ends the whole family (RFC 9700, section 4.14.2).
    Guards,
    /// The same, and the access tokens die at once: GitHub.
    GuardsPair,
}

/// How often refresh tokens were used that had died at an earlier use.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Reuse {
    /// Requests with such a token, at every provider that rotates.
    pub requests: u64,
    /// Grants that were alive until then and were ended for it, at those providers that do so.
    pub families_revoked: u64,
}

/// What a living refresh token stands for.
#[derive(Clone)]
pub(crate) struct Consent {
    pub(crate) account: Account,
    /// All that the user granted.
    pub(crate) scopes: Vec<String>,
    /// What the tokens of the login were for, where the provider has several APIs.
    pub(crate) resource: Option<String>,
}

/// What a renewal asks for, where it is not what was granted: fewer scopes, or another API.
pub(crate) struct Wish {
    pub(crate) scopes: Vec<String>,
    pub(crate) resource: Option<String>,
}

impl Grants {
    /// How often dead refresh tokens were used again so far.
    pub(crate) fn reuse(&self) -> Reuse {
        self.reuse
    }

    /// What a refresh token stands for, if it lives. Looking does not use it.
    pub(crate) fn consent(&self, at: Provider, token: &str, now: SystemTime) -> Result<Consent, Death> {
        let refresh = self.refresh.get(token).filter(|one| one.account.provider == at);
        let refresh = refresh.ok_or(Death::Unknown)?;
        refresh.death(now).map_or_else(|| Ok(refresh.consent()), Err)
    }

    /// The same for a token that is being used: one that was spent is counted, and ends its family where
    /// `rotation` says so.
    pub(crate) fn present(
        &mut self,
        at: Provider,
        token: &str,
        rotation: Rotation,
        now: SystemTime,
    ) -> Result<Consent, Death> {
        let spent = self.refresh.get(token).filter(|one| one.account.provider == at && one.spent);
        if let Some(family) = spent.map(|one| one.family) {
            self.count_reuse(family, rotation);
        }
        self.consent(at, token, now)
    }

    fn count_reuse(&mut self, family: u64, rotation: Rotation) {
        self.reuse.requests += 1;
        if !matches!(rotation, Rotation::Guards | Rotation::GuardsPair) || !self.has_heir(family) {
            return;
        }
        self.reuse.families_revoked += 1;
        self.end_family(family, Death::Revoked);
    }

    /// Whether a refresh token of the family is neither spent nor dead.
    fn has_heir(&self, family: u64) -> bool {
        self.refresh.values().any(|one| one.family == family && !one.spent && one.death.is_none())
    }

    /// Renews with a token that [`Grants::present`] found alive. Without a wish, the new token is as the
    /// login's was.
    pub(crate) fn renew(
        &mut self,
        token: &str,
        rotation: Rotation,
        wish: Option<Wish>,
        now: SystemTime,
    ) -> Option<(Issued, Access)> {
        let used = self.refresh.get(token)?;
        let (consent, family, lifetime) = (used.consent(), used.family, used.lifetime);
        self.spend(token, family, rotation);
        let wish = wish.unwrap_or_else(|| consent.whole());
        let issue = Issue {
            account: consent.account.clone(),
            scopes: wish.scopes,
            resource: wish.resource,
            issued: now,
            lifetime: Some(lifetime),
            access: None,
            refresh: None,
        };
        let mut issued = self.issue_in(family, issue);
        if rotation != Rotation::Keeps {
            let heir = consent.account.provider.new_refresh_token();
            self.keep_refresh(heir.clone(), family, &consent, lifetime, now);
            issued.refresh = Some(heir);
        }
        let access = self.access.get(&issued.access)?.clone();
        Some((issued, access))
    }

    fn spend(&mut self, token: &str, family: u64, rotation: Rotation) {
        if matches!(rotation, Rotation::Keeps | Rotation::Adds) {
            return;
        }
        if rotation == Rotation::GuardsPair {
            self.end_family(family, Death::Revoked);
        }
        if let Some(used) = self.refresh.get_mut(token) {
            used.spent = true;
        }
    }

    pub(super) fn keep_refresh(
        &mut self,
        token: String,
        family: u64,
        consent: &Consent,
        lifetime: Duration,
        issued: SystemTime,
    ) {
        let refresh = Refresh {
            account: consent.account.clone(),
            scopes: consent.scopes.clone(),
            resource: consent.resource.clone(),
            family,
            lifetime,
            expires: consent.account.provider.refresh_lifetime().map(|life| issued + life),
            spent: false,
            death: None,
        };
        self.refresh.insert(token, refresh);
    }
}

impl Consent {
    fn whole(&self) -> Wish {
        Wish { scopes: self.scopes.clone(), resource: self.resource.clone() }
    }
}

impl Refresh {
    fn consent(&self) -> Consent {
        Consent {
            account: self.account.clone(),
            scopes: self.scopes.clone(),
            resource: self.resource.clone(),
        }
    }

    /// Why the token is dead at that time, if it is. A spent one counts as revoked.
    fn death(&self, now: SystemTime) -> Option<Death> {
        let spent = self.spent.then_some(Death::Revoked);
        let expired = || self.expires.filter(|end| now >= *end).map(|_| Death::Expired);
        self.death.or(spent).or_else(expired)
    }
}
