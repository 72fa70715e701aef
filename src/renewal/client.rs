//! A provider, and the way to it.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use tokio::time::Instant;

use crate::{
    provider::Provider,
    transport::{Transport, TransportError},
};

/// Bytes; answers of token, inspection and revocation endpoints stay below 16 KiB. One that is cut off may have held
/// the only live token, so this is generous.
const ANSWER_LIMIT: usize = 256 * 1024;

/// One provider as one table of the configuration reaches it.
pub struct ProviderClient {
    /// The table's name below `[providers]`: a strategy or a connection.
    pub name: String,
    /// What it speaks.
    pub adapter: Arc<dyn Provider>,
    /// What carries it.
    pub transport: Transport,
}

impl ProviderClient {
    /// Sends what an adapter described for a token, inspection or revocation endpoint. Once: such a request may not be
    /// repeated, since it may have been carried out.
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
        keys.iter().map(|key| format!("providers.{}.{key}", self.name)).collect()
    }
}
