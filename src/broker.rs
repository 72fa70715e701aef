//! The use cases: everything that a caller can have done, each with the [`Permit`] that it takes.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::Semaphore;

use crate::{
    auth0::{Auth0, connect::LoginApplication},
    identity::{ConnectionName, Identity, UserId},
    policy::{Action, Caller, Denied, LinkPermit, Permit, Policy},
    provider::Provider,
    renewal::{ProviderClient, Renewals},
    retry::attempts::RetryBudget,
    telemetry::Metrics,
    transport::Transport,
};

mod call;
mod connect;
mod lend;
mod list;
mod live_token;
mod masking;
mod page;
mod refusals;
mod state;

pub use call::{Answer, Call, Diagnosis, Reason};
pub use connect::Connect;
pub use lend::Lend;
pub use list::List;
pub use live_token::LiveToken;
pub use state::{IdentityView, RenewalTrouble, State};

use refusals::Refusals;

/// Lends tokens and calls providers.
pub struct Broker {
    auth0: Arc<Auth0>,
    providers: Providers,
    renewals: Arc<Renewals>,
    /// The application behind connect links, where one is configured.
    login: Option<LoginApplication>,
    policy: Policy,
    refusals: Refusals,
    metrics: Arc<Metrics>,
}

impl Broker {
    /// A broker between one tenant and its providers. Without `login` there are no connect links.
    pub fn new(
        auth0: Arc<Auth0>,
        providers: Providers,
        renewals: Arc<Renewals>,
        login: Option<LoginApplication>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { auth0, providers, renewals, login, policy: Policy, refusals: Refusals::default(), metrics }
    }

    /// Asks the policy. Every use case wants the permit that this returns.
    ///
    /// # Errors
    /// When the policy says no.
    pub fn authorize(&self, caller: &Caller, user: UserId, action: Action) -> Result<Permit, Denied> {
        self.policy.authorize(caller, user, action)
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

    /// The adapter that a strategy's identities have, as a rule.
    fn of_strategy(&self, strategy: &str) -> Option<&ProviderEntry> {
        self.0.get(strategy)
    }
}
