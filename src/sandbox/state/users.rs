//! The tenant's users: Auth0's copy of what the providers said at the last login.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::State;
use super::account::{Account, Provider};
use super::grants::{Issue, Issued};
use crate::sandbox::error::SandboxError;
use crate::sandbox::seed::{IdentitySeed, TokenSeed, UserSeed};

/// Users sign up this long before the sandbox starts.
const SIGNED_UP_BEFORE: Duration = Duration::from_secs(90 * 86_400);

/// An OAuth app's tokens that were asked for with this scope expire, and come with a refresh token.
const GITHUB_OFFLINE: &str = "offline_access";

/// Seconds that GitHub's expiring tokens live.
const GITHUB_LIFETIME: u64 = 28_800;

/// All users by id.
#[derive(Default)]
pub(crate) struct Users(BTreeMap<String, User>);

/// A user's profile.
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) created_at: SystemTime,
    pub(crate) last_login: SystemTime,
    pub(crate) logins_count: u64,
    pub(crate) identities: Vec<Identity>,
}

/// A linked account in Auth0's eyes.
pub(crate) struct Identity {
    pub(crate) connection: String,
    /// Auth0's strategy.
    pub(crate) strategy: String,
    pub(crate) user_id: String,
    pub(crate) nickname: String,
    pub(crate) access_token: Option<String>,
    pub(crate) refresh_token: Option<String>,
    /// Seconds from the login, as the provider said; Auth0 keeps no moment with it.
    pub(crate) expires_in: Option<u64>,
    pub(crate) logged_in: SystemTime,
    scopes: Vec<String>,
}

impl Identity {
    /// The account behind the identity, where its provider is played.
    pub(crate) fn account(&self) -> Option<Account> {
        let provider = Provider::of_strategy(&self.strategy)?;
        Some(Account { provider, id: self.user_id.clone() })
    }

    /// Whether a selector means this identity: a connection, or `connection|user_id` where several share one.
    fn is_meant(&self, selector: &str) -> bool {
        self.connection == selector
            || selector
                .split_once('|')
                .is_some_and(|(name, id)| name == self.connection && id == self.user_id)
    }
}

impl Users {
    /// The user of that id, byte for byte.
    pub(crate) fn get(&self, id: &str) -> Option<&User> {
        self.0.get(id)
    }

    /// All users in the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &User> {
        self.0.values()
    }

    /// The user and identity behind a provider's account.
    pub(crate) fn of_account(&self, account: &Account) -> Option<(&User, &Identity)> {
        self.iter().find_map(|user| {
            let identity = user.identities.iter().find(|one| one.account().as_ref() == Some(account))?;
            Some((user, identity))
        })
    }

    /// The identity that a user id and a selector name.
    pub(crate) fn identity(&self, user: &str, selector: &str) -> Result<&Identity, SandboxError> {
        let found = self.get(user).ok_or_else(|| SandboxError::NoSuchUser(user.to_owned()))?;
        found.identities.iter().find(|one| one.is_meant(selector)).ok_or_else(|| no_identity(user, selector))
    }

    /// The same, to be changed, together with its user's profile.
    fn identity_mut(
        &mut self,
        user: &str,
        selector: &str,
    ) -> Result<(&mut Identity, Login<'_>), SandboxError> {
        let found = self.0.get_mut(user).ok_or_else(|| SandboxError::NoSuchUser(user.to_owned()))?;
        let login = Login { last_login: &mut found.last_login, count: &mut found.logins_count };
        let identity = found.identities.iter_mut().find(|one| one.is_meant(selector));
        Ok((identity.ok_or_else(|| no_identity(user, selector))?, login))
    }
}

/// The traces that a login leaves on the profile.
struct Login<'a> {
    last_login: &'a mut SystemTime,
    count: &'a mut u64,
}

/// How a login goes.
#[derive(Default)]
pub(crate) struct LoginKind {
    /// Scopes asked for on top of those granted before.
    pub(crate) more_scopes: Vec<String>,
    /// The user saw the consent screen with offline access: only then does Google send a refresh token.
    pub(crate) offline_consent: bool,
}

impl LoginKind {
    /// A login over the consent screen.
    pub(crate) fn consent() -> Self {
        Self { offline_consent: true, ..Self::default() }
    }
}

impl State {
    /// Adds a user, or replaces the one of that id, and issues the tokens of the last logins.
    pub(crate) fn add_user(&mut self, seed: UserSeed, now: SystemTime) {
        self.connect_accounts(&seed.id, seed.connected_accounts, now);
        let nickname = seed.email.split('@').next().unwrap_or_default().to_owned();
        let identities: Vec<Identity> =
            seed.identities.into_iter().map(|one| self.sow(one, &nickname, now)).collect();
        let last_login = identities.iter().map(|one| one.logged_in).max().unwrap_or(now);
        let user = User {
            id: seed.id,
            name: seed.name,
            email: seed.email,
            created_at: now - SIGNED_UP_BEFORE,
            last_login,
            logins_count: identities.len() as u64,
            identities,
        };
        self.users.0.insert(user.id.clone(), user);
    }

    fn sow(&mut self, seed: IdentitySeed, nickname: &str, now: SystemTime) -> Identity {
        let strategy = seed.provider.clone().unwrap_or_else(|| seed.connection.clone());
        let mut identity = Identity {
            nickname: seed.nickname.clone().unwrap_or_else(|| nickname.to_owned()),
            logged_in: now.checked_sub(seed.logged_in).unwrap_or(now),
            expires_in: seed.expires_in.map(|life| life.as_secs()),
            connection: seed.connection,
            user_id: seed.user_id,
            scopes: seed.scopes,
            access_token: None,
            refresh_token: None,
            strategy,
        };
        let Some(account) = identity.account() else {
            identity.access_token = written(seed.access_token);
            identity.refresh_token = written(seed.refresh_token);
            return identity;
        };
        let Some(access) = wanted(seed.access_token.unwrap_or(TokenSeed::Made(true))) else {
            return identity;
        };
        let issued = self.grants.issue(Issue {
            account,
            scopes: identity.scopes.clone(),
            issued: identity.logged_in,
            lifetime: seed.expires_in,
            access,
            refresh: seed.refresh_token.and_then(wanted),
        });
        identity.keep(issued);
        identity
    }

    /// The user logs in again with that connection: the provider issues a new token, and Auth0 overwrites the old.
    pub(crate) fn log_in(
        &mut self,
        user: &str,
        selector: &str,
        kind: LoginKind,
        now: SystemTime,
    ) -> Result<String, SandboxError> {
        let (identity, login) = self.users.identity_mut(user, selector)?;
        let account = identity.account().ok_or_else(|| SandboxError::NotPlayed(selector.to_owned()))?;
        identity.widen(account.provider, kind.more_scopes);
        let offline = identity.gets_refresh_token(account.provider, kind.offline_consent);
        let issued = self.grants.issue(Issue {
            account,
            scopes: identity.scopes.clone(),
            issued: now,
            lifetime: identity.expires_in.map(Duration::from_secs),
            access: None,
            refresh: offline.then_some(None),
        });
        let token = issued.access.clone();
        identity.keep(issued);
        identity.logged_in = now;
        *login.last_login = now;
        *login.count += 1;
        Ok(token)
    }

    /// Removes the tokens from Auth0's copy; the provider's stay as they are.
    pub(crate) fn forget_token(&mut self, user: &str, selector: &str) -> Result<(), SandboxError> {
        let (identity, _) = self.users.identity_mut(user, selector)?;
        identity.access_token = None;
        identity.refresh_token = None;
        identity.expires_in = None;
        Ok(())
    }

    /// Changes the grant at the provider, for the living tokens and for later logins.
    pub(crate) fn set_scopes(
        &mut self,
        user: &str,
        selector: &str,
        scopes: &[String],
    ) -> Result<(), SandboxError> {
        let (identity, _) = self.users.identity_mut(user, selector)?;
        let account = identity.account().ok_or_else(|| SandboxError::NotPlayed(selector.to_owned()))?;
        identity.scopes = scopes.to_vec();
        self.grants.set_scopes(&account, scopes);
        Ok(())
    }
}

impl Identity {
    fn keep(&mut self, issued: Issued) {
        self.access_token = Some(issued.access);
        self.refresh_token = issued.refresh;
    }

    fn widen(&mut self, provider: Provider, more: Vec<String>) {
        if self.scopes.is_empty() {
            self.scopes = provider.login_scopes();
        }
        let is_offline = |scope: &String| provider == Provider::GitHub && scope == GITHUB_OFFLINE;
        if more.iter().any(is_offline) {
            self.expires_in = Some(GITHUB_LIFETIME);
        }
        let is_new = |scope: &String| !self.scopes.contains(scope) && !is_offline(scope);
        let new: Vec<String> = more.into_iter().filter(is_new).collect();
        self.scopes.extend(new);
    }

    /// Google sends a refresh token on the consent screen only; GitHub with each expiring token; Facebook never.
    fn gets_refresh_token(&self, provider: Provider, offline_consent: bool) -> bool {
        match provider {
            Provider::Google => offline_consent,
            Provider::GitHub => self.expires_in.is_some(),
            Provider::Facebook => false,
        }
    }
}

fn no_identity(user: &str, selector: &str) -> SandboxError {
    SandboxError::NoSuchIdentity { user: user.to_owned(), connection: selector.to_owned() }
}

/// `None`: no token. `Some(None)`: one is to be made up.
pub(super) fn wanted(seed: TokenSeed) -> Option<Option<String>> {
    match seed {
        TokenSeed::Made(made) => made.then_some(None),
        TokenSeed::Written(text) => Some(Some(text)),
    }
}

/// Only a written token, where nothing can be made up.
fn written(seed: Option<TokenSeed>) -> Option<String> {
    seed.and_then(wanted).flatten()
}
