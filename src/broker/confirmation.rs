//! Whether a token that a provider refused is really dead: the provider is asked before everybody believes it.
//!
//! Some answers of 401 are not about the token: an endpoint that takes no user's token, or an incident.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Broker, LiveToken, ProviderEntry};
use crate::{
    auth0::Auth0Error,
    cache::{Cache, Loaded, Rest, Use},
    error::Error,
    token::Fingerprint,
};

/// Tokens about which a provider was asked; about 200 bytes each.
const CAPACITY: u64 = 50_000;

/// An answer is remembered for so long: an endpoint that refuses a living token costs one question a minute, and a token
/// that dies meanwhile may be handed out for so long.
const KEPT: Duration = Duration::from_secs(60);

/// A question may take this long. Each caller waits with a deadline of its own.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What a provider says of a token that it refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Alive,
    Dead,
    /// Nothing, or it cannot be asked.
    None,
}

/// What providers said, one question however many callers.
pub(super) struct Confirmations(Cache<Fingerprint, Word, Infallible>);

impl Default for Confirmations {
    fn default() -> Self {
        Self(Cache::new(CAPACITY, KEPT, Rest::NONE))
    }
}

fn judge(kept: &Loaded<Word>) -> Use {
    if kept.began.elapsed() < KEPT { Use::Take } else { Use::Reload }
}

impl Broker {
    /// Whether the provider has said lately that it takes the token: then another refusal is not about the token.
    pub(super) fn is_confirmed(&self, token: Fingerprint) -> bool {
        let kept = self.confirmations.0.peek(&token);
        kept.is_some_and(|kept| kept.value == Word::Alive && judge(&kept) == Use::Take)
    }

    /// Whether the provider that refused the token of `live` says that it is alive all the same. If not, everybody
    /// believes the refusal: for good if that is the provider's word, and else for a while.
    pub(super) async fn is_alive(&self, entry: &ProviderEntry, live: &LiveToken) -> bool {
        let access = live.token().access.clone();
        let token = access.fingerprint();
        let load = |_: Option<&Word>, _| {
            let (client, metrics) = (Arc::clone(&entry.client), Arc::clone(&self.metrics));
            let (renewals, key) = (Arc::clone(&self.renewals), Arc::clone(&live.identity().key));
            let user = live.user().clone();
            let origin = live.identity().fingerprint().unwrap_or(token);
            async move {
                let word = match client.inspect(&access, Instant::now() + TIMEOUT, &metrics).await {
                    Ok(Some(_)) => Word::Alive,
                    Ok(None) => Word::Dead,
                    Err(trouble) => {
                        tracing::debug!(?trouble, %token, "Cannot ask about a token that was refused");
                        Word::None
                    }
                };
                if word == Word::Dead {
                    renewals.refuse(&user, &key, origin, token).await;
                }
                Ok(word)
            }
        };
        let Ok(Loaded { value: word, .. }) = self.confirmations.0.get(&token, judge, load).await;
        if word != Word::Alive {
            self.refusals.saw(token);
        }
        word == Word::Alive
    }
}

/// Whether there may be nothing wrong with a token of which the ladder came to `error`. Where the identity itself is
/// gone, that is the answer.
pub(super) fn is_about_the_token(error: &Error) -> bool {
    !matches!(error, Error::Select(_) | Error::Auth0(Auth0Error::UserNotFound))
}
