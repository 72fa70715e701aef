//! What the providers know: which tokens they issued, to whom, and which of them still live.

mod renewal;
mod resource;
mod shape;

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use super::account::{Account, Provider};

pub use renewal::Reuse;
pub(crate) use renewal::{Consent, Rotation, Wish};
pub(crate) use resource::{GRAPH, within};

/// GitHub keeps this many tokens for one user, app and set of scopes; the next login ends the oldest.
const GITHUB_TOKENS_KEPT: usize = 10;

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
    /// The API that it is for, where its provider has several: `https://graph.microsoft.com`.
    pub(crate) resource: Option<String>,
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
    account: Account,
    scopes: Vec<String>,
    resource: Option<String>,
    family: u64,
    /// Of the access tokens that it brings.
    lifetime: Duration,
    expires: Option<SystemTime>,
    spent: bool,
    death: Option<Death>,
}

/// A new access token to be written down.
pub(crate) struct Issue {
    pub(crate) account: Account,
    pub(crate) scopes: Vec<String>,
    pub(crate) resource: Option<String>,
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
    reuse: Reuse,
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
            let (scopes, resource) = (issue.scopes.clone(), issue.resource.clone());
            let consent = Consent { account: issue.account.clone(), scopes, resource };
            self.keep_refresh(token.clone(), family, &consent, lifetime, issue.issued);
        }
        let record = Access {
            account: issue.account,
            scopes: within(&issue.scopes, issue.resource.as_deref()),
            resource: issue.resource,
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

    /// Lets every access token of the account expire now that has not yet.
    pub(crate) fn expire_all(&mut self, account: &Account, now: SystemTime) {
        let tokens = self.access.values_mut().filter(|one| one.account == *account);
        tokens.for_each(|one| one.expires = Some(one.expires.map_or(now, |end| end.min(now))));
    }

    /// The family that a living access or refresh token of the provider belongs to.
    pub(crate) fn family_of(&self, at: Provider, token: &str, now: SystemTime) -> Option<u64> {
        if let Ok(access) = self.check(at, token, now) {
            return Some(access.family);
        }
        self.consent(at, token, now).ok()?;
        self.refresh.get(token).map(|refresh| refresh.family)
    }

    /// Ends a grant with all its tokens.
    pub(crate) fn end_family(&mut self, family: u64, death: Death) {
        let tokens = self.access.values_mut().filter(|one| one.family == family);
        tokens.for_each(|one| _ = one.death.get_or_insert(death));
        let refreshes = self.refresh.values_mut().filter(|one| one.family == family);
        refreshes.for_each(|one| _ = one.death.get_or_insert(death));
    }

    /// Ends everything that the provider issued for an account.
    pub(crate) fn end_account(&mut self, account: &Account, death: Death) {
        let mut families: Vec<u64> =
            self.access.values().filter(|one| one.account == *account).map(|one| one.family).collect();
        families.dedup();
        families.into_iter().for_each(|family| self.end_family(family, death));
    }

    /// Changes what the tokens of an account may do, and what they bring: users can widen and narrow a grant
    /// later.
    pub(crate) fn set_scopes(&mut self, account: &Account, scopes: &[String]) {
        let tokens = self.access.values_mut().filter(|one| one.account == *account);
        tokens.for_each(|one| one.scopes = within(scopes, one.resource.as_deref()));
        let refreshes = self.refresh.values_mut().filter(|one| one.account == *account);
        refreshes.for_each(|one| one.scopes = scopes.to_vec());
    }
}

impl Access {
    fn is_like(&self, other: &Self) -> bool {
        self.death.is_none() && self.account == other.account && self.scopes == other.scopes
    }
}
