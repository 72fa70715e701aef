//! Token Vault: accounts that users connected, whose tokens Auth0 keeps and renews by itself.

use std::collections::HashSet;
use std::time::SystemTime;

use super::State;
use super::account::{Account, Provider};
use super::grants::{Issue, Rotation};
use super::users::wanted;
use crate::seed::ConnectedAccountSeed;

/// What the vault holds.
#[derive(Default)]
pub(crate) struct Vault {
    accounts: Vec<Connected>,
    /// Client and `jti` of every subject token seen: each is good once.
    subjects: HashSet<(String, String)>,
}

/// A connected account. When its token ends is what Auth0 believes; the provider may know better.
struct Connected {
    user: String,
    connection: String,
    account: Account,
    access: String,
    refresh: Option<String>,
    expires: Option<SystemTime>,
}

/// A token that the vault gives out.
pub(crate) struct Opened {
    pub(crate) access: String,
    pub(crate) expires: Option<SystemTime>,
    pub(crate) scopes: Vec<String>,
}

impl Connected {
    fn is_over(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|end| now >= end)
    }

    /// Whether it is meant by a connection and, where one is given, the account's id.
    fn is_meant(&self, user: &str, connection: &str, account: Option<&str>) -> bool {
        self.user == user
            && self.connection == connection
            && account.is_none_or(|account| self.account.id == account)
    }
}

impl Vault {
    /// Whether a client's subject token is seen for the first time.
    pub(crate) fn is_first(&mut self, client: &str, jti: String) -> bool {
        self.subjects.insert((client.to_owned(), jti))
    }

    /// Account and token as they lie in the vault; `selector` is a connection, or `connection|user_id`.
    pub(crate) fn stored(&self, user: &str, selector: &str) -> Option<(&Account, &str)> {
        let whole = |one: &&Connected| one.is_meant(user, selector, None);
        let found = self.accounts.iter().find(whole).or_else(|| {
            let (connection, account) = selector.split_once('|')?;
            self.accounts.iter().find(|one| one.is_meant(user, connection, Some(account)))
        })?;
        Some((&found.account, &found.access))
    }
}

impl State {
    /// Replaces a user's connected accounts. One whose provider is not played gets no tokens and is left out.
    pub(crate) fn connect_accounts(
        &mut self,
        user: &str,
        accounts: Vec<ConnectedAccountSeed>,
        now: SystemTime,
    ) {
        self.vault.accounts.retain(|one| one.user != user);
        for seed in accounts {
            let strategy = seed.provider.as_deref().unwrap_or(&seed.connection);
            let Some(provider) = Provider::of_strategy(strategy) else { continue };
            let account = Account { provider, id: seed.user_id };
            let issued_at = now.checked_sub(seed.connected).unwrap_or(now);
            let issued = self.grants.issue(Issue {
                account: account.clone(),
                scopes: seed.scopes,
                resource: None,
                issued: issued_at,
                lifetime: seed.expires_in,
                access: seed.access_token.and_then(wanted).flatten(),
                refresh: seed.refresh_token.and_then(wanted),
            });
            self.vault.accounts.push(Connected {
                user: user.to_owned(),
                connection: seed.connection,
                account,
                access: issued.access,
                refresh: issued.refresh,
                expires: seed.expires_in.map(|life| issued_at + life),
            });
        }
    }

    /// Gives out the stored token, renewed if its time is over; `None` where there is none, or none any more.
    pub(crate) fn open_vault(
        &mut self,
        user: &str,
        connection: &str,
        account: Option<&str>,
        now: SystemTime,
    ) -> Option<Opened> {
        let found = self.vault.accounts.iter_mut().find(|one| one.is_meant(user, connection, account))?;
        if found.is_over(now) {
            let (provider, refresh) = (found.account.provider, found.refresh.clone()?);
            let rotation = rotation(provider);
            self.grants.present(provider, &refresh, rotation, now).ok()?;
            let (issued, access) = self.grants.renew(&refresh, rotation, None, now)?;
            found.access = issued.access;
            found.refresh = issued.refresh.or(Some(refresh));
            found.expires = access.expires;
        }
        let scopes = self.grants.find(&found.access).map(|access| access.scopes.clone()).unwrap_or_default();
        Some(Opened { access: found.access.clone(), expires: found.expires, scopes })
    }
}

/// What a renewal does to the tokens of a connected account.
fn rotation(provider: Provider) -> Rotation {
    match provider {
        Provider::GitHub => Rotation::GuardsPair,
        Provider::Bitbucket => Rotation::Replaces,
        Provider::Entra | Provider::MicrosoftAccount => Rotation::Adds,
        Provider::Generic(_) => Rotation::Guards,
        Provider::Google | Provider::Facebook => Rotation::Keeps,
    }
}
