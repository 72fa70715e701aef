//! Asking a provider whether a token is active, before anybody is denied it and before anything is renewed.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Selected, Tokens, rejected::Introspection};
use crate::{provider_client::ProviderClient, token::AccessToken};

/// How long a question may take. Each caller waits with a deadline of its own.
const TIMEOUT: Duration = Duration::from_secs(10);

impl Tokens {
    /// What the provider says of a token of `selected` that was refused. Everybody believes it, and replicas
    /// learn of a token that is dead, or is not after all, through the store.
    pub(super) async fn introspect(
        self: &Arc<Self>,
        client: &Arc<ProviderClient>,
        selected: &Selected,
        access: &AccessToken,
    ) -> Introspection {
        let token = access.fingerprint();
        let ask = || {
            let (tokens, client) = (Arc::clone(self), Arc::clone(client));
            let (selected, access) = (selected.clone(), access.clone());
            async move {
                let told = client.inspect(&access, Instant::now() + TIMEOUT, &tokens.metrics).await;
                let word = match told {
                    Ok(told) => told.word(),
                    Err(error) => {
                        tracing::debug!(?error, %token, "Cannot ask about a token that was refused");
                        Introspection::Unknown
                    }
                };
                tokens.record(&selected, token, word).await;
                word
            }
        };
        self.rejected.introspect(token, ask).await
    }
}
