//! The use cases: everything that a caller can have done, each with the [`Permit`] that it takes.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    auth0::Auth0,
    identity::{Identity, UserId},
    policy::{Action, Caller, Denied, Permit, Policy},
    provider::Provider,
    retry::attempts::RetryBudget,
    telemetry::Metrics,
    transport::Transport,
};

mod call;
mod lend;
mod list;
mod live_token;
mod masking;
mod page;
mod refusals;
mod state;

pub use call::{Answer, Call, Diagnosis, Reason};
pub use lend::Lend;
pub use list::List;
pub use live_token::LiveToken;
pub use state::{IdentityView, State};

use refusals::Refusals;

/// Lends tokens and calls providers.
pub struct Broker {
    auth0: Arc<Auth0>,
    providers: Providers,
    transport: Transport,
    policy: Policy,
    refusals: Refusals,
    metrics: Arc<Metrics>,
}

impl Broker {
    /// A broker between one tenant and its providers.
    pub fn new(auth0: Arc<Auth0>, providers: Providers, transport: Transport, metrics: Arc<Metrics>) -> Self {
        Self { auth0, providers, transport, policy: Policy, refusals: Refusals::default(), metrics }
    }

    /// Asks the policy. Every use case wants the permit that this returns.
    ///
    /// # Errors
    /// When the policy says no.
    pub fn authorize(&self, caller: Caller, user: UserId, action: Action) -> Result<Permit, Denied> {
        self.policy.authorize(caller, user, action)
    }
}

/// The adapters, by connection or, where a connection has none of its own, by strategy.
#[derive(Default)]
pub struct Providers(BTreeMap<String, ProviderEntry>);

struct ProviderEntry {
    adapter: Box<dyn Provider>,
    budget: RetryBudget,
}

impl Providers {
    /// Adds an adapter for a connection or a strategy.
    pub fn insert(&mut self, name: String, adapter: Box<dyn Provider>) {
        self.0.insert(name, ProviderEntry { adapter, budget: RetryBudget::default() });
    }

    fn of(&self, identity: &Identity) -> Option<&ProviderEntry> {
        self.named(&identity.connection).or_else(|| self.named(&identity.provider))
    }

    fn named(&self, name: &str) -> Option<&ProviderEntry> {
        self.0.get(name)
    }
}
