//! The providers as the configuration has them: each an adapter, the transport that carries it, its retry
//! budget and its places for calls.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use tokio::time::Instant;

use crate::{
    identity::{Identity, Selector},
    provider::Provider,
    retry::attempts::RetryBudget,
    shares::Shares,
    transport::{Transport, TransportError},
};

mod application;
mod inquiry;

pub use application::Application;
pub use inquiry::{ProviderError, Told, reason};

/// The longest answer of a token, inspection or revocation endpoint, in bytes. They stay below 16 KiB; one
/// that is cut off may have held the only live token, so this is generous.
const ANSWER_LIMIT: usize = 256 * 1024;

/// Calls under way at one provider: half of what the server works on at all, so that a provider that hangs
/// leaves room for the others.
const CALLS_PER_PROVIDER: usize = 512;

/// One provider as one table of the configuration reaches it.
pub struct ProviderClient {
    /// The table's name below `[providers]`: a strategy or a connection.
    pub name: String,
    /// The Auth0 strategy of its connections.
    pub strategy: String,
    /// What it speaks.
    pub adapter: Box<dyn Provider>,
    /// What carries it.
    pub transport: Transport,
    /// Repetitions of requests to its API.
    pub budget: RetryBudget,
    /// Places for calls, by caller.
    pub places: Shares,
    /// Whether the configured application is the one that tokens are issued to.
    pub application: Application,
}

impl ProviderClient {
    /// The provider that `adapter` speaks for, as the table `name` has it.
    pub fn new(name: String, strategy: String, adapter: Box<dyn Provider>, transport: Transport) -> Self {
        let (budget, places) = (RetryBudget::default(), Shares::new(CALLS_PER_PROVIDER));
        Self { name, strategy, adapter, transport, budget, places, application: Application::default() }
    }

    /// Sends what an adapter described for a token, inspection or revocation endpoint. Once: such a request
    /// may not be repeated, since it may have been carried out.
    ///
    /// # Errors
    /// When there is no whole answer by `deadline`.
    pub async fn exchange(
        &self,
        request: Request<Bytes>,
        deadline: Instant,
    ) -> Result<Response<Bytes>, TransportError> {
        self.transport.send(request, ANSWER_LIMIT, deadline).await
    }

    /// The full names of keys in this provider's table.
    pub fn keys(&self, keys: &[&str]) -> Vec<String> {
        keys.iter().map(|key| self.key(key)).collect()
    }

    fn key(&self, key: &str) -> String {
        format!("providers.{}.{key}", self.name)
    }
}

/// All providers, by connection or, where a connection has none of its own, by strategy.
#[derive(Default)]
pub struct Providers(BTreeMap<String, Arc<ProviderClient>>);

impl Providers {
    /// Adds the provider of a connection or, where its name is its strategy, of all that strategy's
    /// connections.
    pub fn insert(&mut self, client: ProviderClient) {
        self.0.insert(client.name.clone(), Arc::new(client));
    }

    /// The provider of an identity. A connection may be called after a strategy that is not its own: its
    /// tokens must not reach that strategy's hosts.
    pub fn of(&self, identity: &Identity) -> Option<&Arc<ProviderClient>> {
        let names = [identity.connection(), &identity.provider];
        names
            .into_iter()
            .filter_map(|name| self.0.get(name))
            .find(|client| client.strategy == identity.provider)
    }

    /// The strategy of a connection, where it is configured or called after its strategy, as social ones are.
    pub fn strategy_of(&self, connection: &str) -> Option<&str> {
        self.0.get(connection).map(|client| client.strategy.as_str())
    }

    /// The providers of the identities that `selector` may mean, each with a selector of those that have it.
    pub fn meant_by(&self, selector: &Selector) -> impl Iterator<Item = (Selector, &Arc<ProviderClient>)> {
        let is = |asked: &str, name: &str| asked.is_empty() || asked == name;
        let has_own =
            self.0.get(&selector.connection).is_some_and(|client| is(&selector.provider, &client.strategy));
        let clients = self.0.iter().filter(move |(_, client)| is(&selector.provider, &client.strategy));
        clients.filter_map(move |(name, client)| {
            let is_for_all = *name == client.strategy && !has_own;
            if !is_for_all && !is(&selector.connection, name) {
                return None;
            }
            let mut meant = Selector { provider: client.strategy.clone(), ..selector.clone() };
            if *name != client.strategy {
                meant.connection.clone_from(name);
            }
            Some((meant, client))
        })
    }
}
