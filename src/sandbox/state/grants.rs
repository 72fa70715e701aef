//! What the providers know: which tokens they issued, to whom, and which of them still live.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use super::account::{Account, Provider};
use crate::sandbox::secrets;

/// GitHub keeps this many tokens for one user, app and set of scopes; the next login ends the oldest.
const GITHUB_TOKENS_KEPT: usize = 10;

/// A refresh token of an expiring GitHub token lives half a year.
const GITHUB_REFRESH_LIFETIME: Duration = Duration::from_secs(15_811_200);

/// Why a token is dead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Death {
    /// Never issued here.
    Unknown,
    /// Its time is over.
    Expired,
    /// Revoked by the user or the app, replaced by rotation, or evicted by a newer login.
    Revoked,
    /// The user removed the app.
    AppRemoved,
    /// The user changed the password.
    PasswordChanged,
}

/// An access token that a provider issued.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) account: Account,
    pub(crate) scopes: Vec<String>,
    pub(crate) issued: SystemTime,
    pub(crate) expires: Option<SystemTime>,
    pub(crate) family: u64,
    death: Option<Death>,
}

impl Access {
    /// Why the token is dead at that time, if it is.
    pub(crate) fn death(&self, now: SystemTime) -> Option<Death> {
        self.death.or_else(|| self.expires.filter(|end| now >= *end).map(|_| Death::Expired))
    }

    /// Whether any of the scopes was granted; no scope wanted is always granted.
    pub(crate) fn has_any(&self, wanted: &[&str]) -> bool {
        wanted.is_empty() || self.scopes.iter().any(|scope| wanted.contains(&scope.as_str()))
    }
}

/// A refresh token and whether it was spent.
struct Refresh {
    provider: Provider,
    family: u64,
    lifetime: Duration,
    expires: Option<SystemTime>,
    spent: bool,
    dead: bool,
}

/// A new access token to be written down.
pub(crate) struct Issue {
    pub(crate) account: Account,
    pub(crate) scopes: Vec<String>,
    pub(crate) issued: SystemTime,
    pub(crate) lifetime: Option<Duration>,
    pub(crate) access: Option<String>,
    /// `None`: no refresh token. `Some(None)`: one is made up.
    pub(crate) refresh: Option<Option<String>>,
}

/// What a login or a renewal hands out.
#[derive(Clone)]
pub(crate) struct Issued {
    pub(crate) access: String,
    pub(crate) refresh: Option<String>,
}

/// All tokens of all providers, the dead ones too, since a provider tells them from made-up ones.
#[derive(Default)]
pub(crate) struct Grants {
    access: HashMap<String, Access>,
    refresh: HashMap<String, Refresh>,
    families: u64,
}

impl Grants {
    /// Issues a token, with a refresh token if wanted, as a new family.
    pub(crate) fn issue(&mut self, issue: Issue) -> Issued {
        self.families += 1;
        self.issue_in(self.families, issue)
    }

    fn issue_in(&mut self, family: u64, issue: Issue) -> Issued {
        let provider = issue.account.provider;
        let access = issue.access.unwrap_or_else(|| provider.new_access_token());
        let expires = issue.lifetime.map(|lifetime| issue.issued + lifetime);
        let refresh = issue.refresh.map(|text| text.unwrap_or_else(|| provider.new_refresh_token()));
        if let Some(token) = &refresh {
            let lifetime = issue.lifetime.unwrap_or(Duration::from_secs(3599));
            let expires = (provider == Provider::GitHub).then(|| issue.issued + GITHUB_REFRESH_LIFETIME);
            let refresh = Refresh { provider, family, lifetime, expires, spent: false, dead: false };
            self.refresh.insert(token.clone(), refresh);
        }
        let record = Access {
            account: issue.account,
            scopes: issue.scopes,
            issued: issue.issued,
            expires,
            family,
            death: None,
        };
        self.evict_for(&record);
        self.access.insert(access.clone(), record);
        Issued { access, refresh }
    }

    fn evict_for(&mut self, newcomer: &Access) {
        if newcomer.account.provider != Provider::GitHub || newcomer.expires.is_some() {
            return;
        }
        let mut siblings: Vec<&mut Access> =
            self.access.values_mut().filter(|one| one.is_like(newcomer)).collect();
        siblings.sort_by_key(|one| one.issued);
        let surplus = (siblings.len() + 1).saturating_sub(GITHUB_TOKENS_KEPT);
        siblings.into_iter().take(surplus).for_each(|one| one.death = Some(Death::Revoked));
    }

    /// The living token, or why there is none.
    pub(crate) fn check_any(&self, token: &str, now: SystemTime) -> Result<Access, Death> {
        let access = self.access.get(token).ok_or(Death::Unknown)?;
        access.death(now).map_or_else(|| Ok(access.clone()), Err)
    }

    /// The same at one provider: to it, another's token is as unknown as a made-up one.
    pub(crate) fn check(&self, at: Provider, token: &str, now: SystemTime) -> Result<Access, Death> {
        self.check_any(token, now).and_then(|access| match access.account.provider == at {
            true => Ok(access),
            false => Err(Death::Unknown),
        })
    }

    /// What was written down about a token, dead or alive.
    pub(crate) fn find(&self, token: &str) -> Option<&Access> {
        self.access.get(token)
    }

    /// Renews without rotation, as Google does: the refresh token and older access tokens live on.
    pub(crate) fn renew(&mut self, at: Provider, token: &str, now: SystemTime) -> Option<(Issued, Access)> {
        self.refresh.get(token).filter(|refresh| refresh.provider == at)?;
        let (family, lifetime) = self.living_refresh(token, now)?;
        let sample = self.newest_of(family)?;
        let issued = self.issue_in(family, reissue(&sample, lifetime, now, None));
        Some((issued.clone(), self.access.get(&issued.access)?.clone()))
    }

    /// Renews with rotation, as GitHub does: the old pair dies, and a spent refresh token ends the family.
    pub(crate) fn rotate(&mut self, at: Provider, token: &str, now: SystemTime) -> Option<(Issued, Access)> {
        self.refresh.get(token).filter(|refresh| refresh.provider == at)?;
        if let Some(family) = self.refresh.get(token).filter(|refresh| refresh.spent).map(|one| one.family) {
            self.end_family(family, Death::Revoked);
            return None;
        }
        let (family, lifetime) = self.living_refresh(token, now)?;
        let sample = self.newest_of(family)?;
        self.end_family(family, Death::Revoked);
        if let Some(used) = self.refresh.get_mut(token) {
            used.spent = true;
        }
        let issued = self.issue_in(family, reissue(&sample, lifetime, now, Some(None)));
        Some((issued.clone(), self.access.get(&issued.access)?.clone()))
    }

    fn living_refresh(&self, token: &str, now: SystemTime) -> Option<(u64, Duration)> {
        let refresh = self.refresh.get(token)?;
        let over = refresh.expires.is_some_and(|end| now >= end);
        (!refresh.dead && !over).then_some((refresh.family, refresh.lifetime))
    }

    fn newest_of(&self, family: u64) -> Option<Access> {
        self.access.values().filter(|one| one.family == family).max_by_key(|one| one.issued).cloned()
    }

    /// Ends the one token.
    pub(crate) fn end(&mut self, token: &str, death: Death) {
        if let Some(access) = self.access.get_mut(token) {
            access.death.get_or_insert(death);
        }
    }

    /// Lets the one token expire now.
    pub(crate) fn expire(&mut self, token: &str, now: SystemTime) {
        if let Some(access) = self.access.get_mut(token) {
            access.expires = Some(now);
        }
    }

    /// The family that a living access or refresh token of the provider belongs to.
    pub(crate) fn family_of(&self, at: Provider, token: &str, now: SystemTime) -> Option<u64> {
        if let Ok(access) = self.check(at, token, now) {
            return Some(access.family);
        }
        self.refresh.get(token).filter(|refresh| refresh.provider == at)?;
        self.living_refresh(token, now).map(|(family, _)| family)
    }

    /// Ends a grant with all its tokens.
    pub(crate) fn end_family(&mut self, family: u64, death: Death) {
        let tokens = self.access.values_mut().filter(|one| one.family == family);
        tokens.for_each(|one| _ = one.death.get_or_insert(death));
        let refreshes = self.refresh.values_mut().filter(|one| one.family == family);
        refreshes.for_each(|one| one.dead = true);
    }

    /// Ends everything that the provider issued for an account.
    pub(crate) fn end_account(&mut self, account: &Account, death: Death) {
        let mut families: Vec<u64> =
            self.access.values().filter(|one| one.account == *account).map(|one| one.family).collect();
        families.dedup();
        families.into_iter().for_each(|family| self.end_family(family, death));
    }

    /// Changes what the tokens of an account may do: users can widen and narrow a grant later.
    pub(crate) fn set_scopes(&mut self, account: &Account, scopes: &[String]) {
        let tokens = self.access.values_mut().filter(|one| one.account == *account);
        tokens.for_each(|one| one.scopes = scopes.to_vec());
    }
}

impl Access {
    fn is_like(&self, other: &Self) -> bool {
        self.death.is_none() && self.account == other.account && self.scopes == other.scopes
    }
}

fn reissue(sample: &Access, lifetime: Duration, now: SystemTime, refresh: Option<Option<String>>) -> Issue {
    Issue {
        account: sample.account.clone(),
        scopes: sample.scopes.clone(),
        issued: now,
        lifetime: Some(lifetime),
        access: None,
        refresh,
    }
}

impl Provider {
    /// A made-up access token in the provider's shape.
    pub(crate) fn new_access_token(self) -> String {
        match self {
            Self::Google => format!("ya29.a0Af{}", secrets::letters(180)),
            Self::GitHub => format!("gho_{}", secrets::letters(36)),
            Self::Facebook => format!("EAA{}", secrets::letters(190)),
        }
    }

    fn new_refresh_token(self) -> String {
        match self {
            Self::Google => format!("1//0g{}", secrets::letters(98)),
            Self::GitHub => format!("ghr_{}", secrets::letters(76)),
            Self::Facebook => format!("EAAR{}", secrets::letters(180)),
        }
    }
}
