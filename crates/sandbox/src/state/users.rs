//! The tenant's users: Auth0's copy of what the providers said at the last login.

mod linking;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::State;
use super::account::{Account, Provider};
use super::grants::{GRAPH, Issue, Issued};
use crate::error::SandboxError;
use crate::seed::{IdentitySeed, ProvidersSeed, TokenSeed, UserSeed};

/// Users sign up this long before the sandbox starts.
const SIGNED_UP_BEFORE: Duration = Duration::from_secs(90 * 86_400);

/// An OAuth app's tokens that were asked for with this scope expire, and come with a refresh token.
const GITHUB_OFFLINE: &str = "offline_access";

/// How long GitHub's expiring tokens live.
const GITHUB_LIFETIME: Duration = Duration::from_secs(28_800);

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
    /// Who plays the provider, if anybody does.
    pub(crate) provider: Option<Provider>,
    pub(crate) user_id: String,
    pub(crate) nickname: String,
    pub(crate) access_token: Option<String>,
    pub(crate) refresh_token: Option<String>,
    /// Seconds from the login, as the provider said; Auth0 keeps no moment with it.
    pub(crate) expires_in: Option<u64>,
    pub(crate) logged_in: SystemTime,
    /// How long the tokens really live, whether Auth0 was told or not.
    lifetime: Option<Duration>,
    scopes: Vec<String>,
}

impl Identity {
    /// The account behind the identity, where its provider is played.
    pub(crate) fn account(&self) -> Option<Account> {
        let provider = self.provider?;
        Some(Account { provider, id: self.account_id().to_owned() })
    }

    /// The id at the provider. Auth0 puts the connection before it, where many connections share a strategy.
    fn account_id(&self) -> &str {
        let bare = self.user_id.strip_prefix(&self.connection).and_then(|rest| rest.strip_prefix('|'));
        bare.filter(|_| matches!(self.provider, Some(Provider::Generic(_)))).unwrap_or(&self.user_id)
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
    pub(crate) fn add_user(&mut self, seed: UserSeed, providers: &ProvidersSeed, now: SystemTime) {
        self.connect_accounts(&seed.id, seed.connected_accounts, now);
        let nickname = seed.email.split('@').next().unwrap_or_default().to_owned();
        let identities: Vec<Identity> =
            seed.identities.into_iter().map(|one| self.sow(one, providers, &nickname, now)).collect();
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

    fn sow(
        &mut self,
        seed: IdentitySeed,
        providers: &ProvidersSeed,
        nickname: &str,
        now: SystemTime,
    ) -> Identity {
        let access = seed.access_token.clone();
        let refresh = seed.refresh_token.clone();
        let mut identity = Identity::new(seed, providers, nickname, now);
        if identity.provider.is_none() {
            identity.access_token = written(access);
            identity.refresh_token = written(refresh);
            return identity;
        }
        let Some(access) = wanted(access.unwrap_or(TokenSeed::Made(true))) else {
            return identity;
        };
        let issue = identity.issue(identity.logged_in, access, refresh.and_then(wanted));
        let issued = issue.map(|issue| self.grants.issue(issue));
        issued.into_iter().for_each(|issued| identity.keep(issued));
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
        let issue = identity.issue(now, None, offline.then_some(None));
        let issue = issue.ok_or_else(|| SandboxError::NotPlayed(selector.to_owned()))?;
        let issued = self.grants.issue(issue);
        let token = issued.access.clone();
        identity.keep(issued);
        identity.logged_in = now;
        *login.last_login = now;
        *login.count += 1;
        Ok(token)
    }

    /// The user logs in without any provider, with a password in Auth0's own database.
    pub(crate) fn note_login(&mut self, user: &str, now: SystemTime) -> Result<(), SandboxError> {
        let user = self.users.0.get_mut(user).ok_or_else(|| SandboxError::NoSuchUser(user.to_owned()))?;
        user.last_login = now;
        user.logins_count += 1;
        Ok(())
    }

    /// Removes the tokens from Auth0's copy; the provider's stay as they are.
    pub(crate) fn forget_token(&mut self, user: &str, selector: &str) -> Result<(), SandboxError> {
        let (identity, _) = self.users.identity_mut(user, selector)?;
        identity.access_token = None;
        identity.refresh_token = None;
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
    fn new(seed: IdentitySeed, providers: &ProvidersSeed, nickname: &str, now: SystemTime) -> Self {
        let strategy = seed.provider.unwrap_or_else(|| seed.connection.clone());
        let provider = Provider::behind(&strategy, &seed.connection, providers);
        let generic = match provider {
            Some(Provider::Generic(index)) => providers.generic.get(index),
            _ => None,
        };
        let lifetime = seed.expires_in.or(generic.map(|one| one.token_lifetime));
        let told = lifetime.filter(|_| generic.is_none_or(|one| one.tells_lifetime));
        Self {
            nickname: seed.nickname.unwrap_or_else(|| nickname.to_owned()),
            logged_in: now.checked_sub(seed.logged_in).unwrap_or(now),
            expires_in: told.map(|life| life.as_secs()),
            lifetime,
            connection: seed.connection,
            user_id: seed.user_id,
            scopes: seed.scopes,
            access_token: None,
            refresh_token: None,
            provider,
            strategy,
        }
    }

    /// What the provider issues at a login; nothing where no provider is played.
    fn issue(
        &self,
        issued: SystemTime,
        access: Option<String>,
        refresh: Option<Option<String>>,
    ) -> Option<Issue> {
        let account = self.account()?;
        let is_microsoft = matches!(account.provider, Provider::Entra | Provider::MicrosoftAccount);
        Some(Issue {
            account,
            scopes: self.scopes.clone(),
            resource: is_microsoft.then(|| GRAPH.to_owned()),
            issued,
            lifetime: self.lifetime,
            access,
            refresh,
        })
    }

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
            self.expires_in = Some(GITHUB_LIFETIME.as_secs());
            self.lifetime = Some(GITHUB_LIFETIME);
        }
        let is_new = |scope: &String| !self.scopes.contains(scope) && !is_offline(scope);
        let new: Vec<String> = more.into_iter().filter(is_new).collect();
        self.scopes.extend(new);
    }

    /// Google sends a refresh token on the consent screen only; GitHub with each expiring token; Facebook never;
    /// Microsoft where `offline_access` is asked for; the others always.
    fn gets_refresh_token(&self, provider: Provider, offline_consent: bool) -> bool {
        match provider {
            Provider::Google => offline_consent,
            Provider::GitHub => self.lifetime.is_some(),
            Provider::Facebook => false,
            Provider::Entra | Provider::MicrosoftAccount => {
                self.scopes.iter().any(|scope| scope == "offline_access")
            }
            Provider::Bitbucket | Provider::Generic(_) => true,
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
