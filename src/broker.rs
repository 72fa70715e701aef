//! The use cases: everything that a caller can have done, each with the [`Permit`] that it takes.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::Semaphore;

use crate::{
    auth0::{Auth0, connect::LoginApplication},
    identity::{ConnectionName, Identity, Selector, UserId},
    policy::{Action, Caller, Denied, LinkPermit, Permit, Policy},
    provider::Provider,
    renewal::{ProviderClient, Renewals},
    retry::attempts::RetryBudget,
    telemetry::Metrics,
    transport::Transport,
};

mod call;
mod confirmation;
mod connect;
mod findings;
mod found;
mod inspect;
mod lend;
mod list;
mod live_token;
mod masking;
mod page;
mod refusals;
mod revoke;
mod state;
mod vault;

pub use call::{Answer, Call, Diagnosis, Reason};
pub use connect::Connect;
pub use findings::{Finding, FindingReason};
pub use inspect::Inspection;
pub use lend::{Lend, Lent};
pub use list::List;
pub use live_token::LiveToken;
pub use state::{IdentityView, RenewalTrouble, State};

use confirmation::Confirmations;
use refusals::Refusals;

/// See [`crate::fuzzing`].
#[cfg(fuzzing)]
pub(crate) fn page_token(user: &UserId, start: usize, size: usize, length: usize) -> String {
    page::Page { start, size }.next(user, length)
}

/// See [`crate::fuzzing`].
#[cfg(fuzzing)]
pub(crate) fn page_start(user: &UserId, token: &str) -> Option<usize> {
    page::Page::parse(user, 0, token).ok().map(|page| page.start)
}

/// Lends tokens and calls providers.
pub struct Broker {
    auth0: Arc<Auth0>,
    providers: Providers,
    renewals: Arc<Renewals>,
    /// The application behind connect links, where one is configured.
    login: Option<LoginApplication>,
    policy: Policy,
    refusals: Refusals,
    confirmations: Confirmations,
    metrics: Arc<Metrics>,
}

impl Broker {
    /// A broker between one tenant and its providers. Without `login` there are no connect links.
    pub fn new(
        auth0: Arc<Auth0>,
        providers: Providers,
        renewals: Arc<Renewals>,
        login: Option<LoginApplication>,
        policy: Policy,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (refusals, confirmations) = (Refusals::default(), Confirmations::default());
        Self { auth0, providers, renewals, login, policy, refusals, confirmations, metrics }
    }

    /// Asks the policy whether `caller` may do `action` for `user`, with some identity that `selector` may mean. Every use
    /// case wants the permit that this returns.
    ///
    /// # Errors
    /// When the policy says no.
    pub fn authorize<A: Action>(
        &self,
        caller: &Caller,
        user: UserId,
        selector: &Selector,
        action: A,
    ) -> Result<Permit<A>, Denied> {
        self.policy.authorize(caller, user, selector, action)
    }

    /// Asks the policy about links, which are for no user in particular.
    ///
    /// # Errors
    /// When the policy says no.
    pub fn authorize_link(&self, caller: &Caller, connection: ConnectionName) -> Result<LinkPermit, Denied> {
        self.policy.authorize_link(caller, connection)
    }
}

/// The adapters, by connection or, where a connection has none of its own, by strategy.
#[derive(Default)]
pub struct Providers(BTreeMap<String, ProviderEntry>);

/// One provider, as one connection or all of a strategy reach it.
struct ProviderEntry {
    strategy: String,
    client: Arc<ProviderClient>,
    budget: RetryBudget,
    /// Calls under way.
    places: Semaphore,
}

/// Calls under way at one provider: half of what the server works on at all, so that a provider that hangs leaves
/// room for the others.
const CALLS_PER_PROVIDER: usize = 512;

impl Providers {
    /// Adds the adapter of a connection or, where `name` is the `strategy`, of all its connections.
    pub fn insert(
        &mut self,
        name: String,
        strategy: String,
        adapter: Box<dyn Provider>,
        transport: Transport,
    ) {
        let places = Semaphore::new(CALLS_PER_PROVIDER);
        let client = ProviderClient { name: name.clone(), adapter: adapter.into(), transport };
        let entry =
            ProviderEntry { strategy, client: Arc::new(client), budget: RetryBudget::default(), places };
        self.0.insert(name, entry);
    }

    /// The adapter of an identity. A connection may be called after a strategy that is not its own: its tokens
    /// must not reach that strategy's hosts.
    fn of(&self, identity: &Identity) -> Option<&ProviderEntry> {
        let names = [identity.connection(), &identity.provider];
        names
            .into_iter()
            .filter_map(|name| self.0.get(name))
            .find(|entry| entry.strategy == identity.provider)
    }

    /// The strategy of a connection, where it is configured or called after its strategy, as social ones are.
    fn strategy_of(&self, connection: &str) -> Option<&str> {
        self.0.get(connection).map(|entry| entry.strategy.as_str())
    }

    /// The adapters of the identities that `selector` may mean, each with a selector of those that have it.
    fn meant_by(&self, selector: &Selector) -> impl Iterator<Item = (Selector, &ProviderEntry)> {
        let is = |asked: &str, name: &str| asked.is_empty() || asked == name;
        let has_own =
            self.0.get(&selector.connection).is_some_and(|entry| is(&selector.provider, &entry.strategy));
        let entries = self.0.iter().filter(move |(_, entry)| is(&selector.provider, &entry.strategy));
        entries.filter_map(move |(name, entry)| {
            let is_for_all = *name == entry.strategy && !has_own;
            if !is_for_all && !is(&selector.connection, name) {
                return None;
            }
            let mut meant = Selector { provider: entry.strategy.clone(), ..selector.clone() };
            if *name != entry.strategy {
                meant.connection.clone_from(name);
            }
            Some((meant, entry))
        })
    }
}
