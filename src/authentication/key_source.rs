//! Where an issuer publishes its keys: asked rarely, whatever callers send, and not missed while it is down.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use tokio::time::Instant;

use super::key_set::KeySet;
use crate::{
    cache::{Backoff, Cache, Loaded, Lookup},
    transport::Transport,
};

/// Keys of this age are used, and fetched again meanwhile. Auth0 advises 5 to 10 min: reference of
/// <https://auth0.com/docs/secure/tokens/json-web-tokens/json-web-key-sets>.
const FRESH: Duration = Duration::from_secs(5 * 60);

/// Keys of this age are used only where no newer ones come in time.
const OLD: Duration = Duration::from_secs(10 * 60);

/// While the issuer is down, the last keys are used until this age: longer than most outages, and as long as a key that
/// was revoked just then is believed at most.
const OLDEST: Duration = Duration::from_secs(6 * 3600);

/// Old keys serve after so long a wait for newer ones.
const PATIENCE: Duration = Duration::from_millis(500);

/// Between two fetches for keys that nobody knows: whatever callers make up, the issuer is asked this often at most. It is
/// also how long a key that the issuer uses without having published it before may stay unknown.
const UNKNOWN_KEYS_EVERY: Duration = Duration::from_secs(30);

/// One fetch; it normally takes well below a second.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes; a key with its certificates has about 3 KiB.
const ANSWER_LIMIT: usize = 128 * 1024;

/// After a fetch that failed.
const BACKOFF: Backoff<FetchError> =
    Backoff { first: Duration::from_secs(2), most: Duration::from_secs(60), least: |_| Duration::ZERO };

/// Why there are no keys, in words.
#[derive(Clone, Debug)]
pub(super) struct FetchError(pub(super) String);

/// One JWKS endpoint.
pub(super) struct KeySource {
    url: Uri,
    transport: Transport,
    kept: Cache<(), Arc<KeySet>, FetchError>,
    /// When somebody last had reason to look for a key that was not there.
    missed: Mutex<Option<Instant>>,
}

impl KeySource {
    pub(super) fn new(url: Uri, transport: Transport) -> Self {
        let kept = Cache::new(1, OLDEST, BACKOFF);
        Self { url, transport, kept, missed: Mutex::default() }
    }

    /// The keys, as fresh as they can be had.
    pub(super) async fn keys(&self) -> Result<Arc<KeySet>, FetchError> {
        let Some(old) = self.kept.peek(&()).filter(|kept| kept.began.elapsed() < OLDEST) else {
            return self.get(by_age).await;
        };
        match tokio::time::timeout(PATIENCE, self.get(by_age)).await {
            Ok(Ok(keys)) => Ok(keys),
            _ => Ok(old.value),
        }
    }

    /// The keys, fetched again if that was not done lately, for a token whose key is not among [`Self::keys`]. Old ones do
    /// not serve here: if there is no answer, nobody knows whether the token is good.
    pub(super) async fn newer_keys(&self) -> Result<Arc<KeySet>, FetchError> {
        let since = self.missed_since();
        self.get(|kept| if kept.began < since { Lookup::MissSince(since) } else { Lookup::Hit }).await
    }

    /// When the present wish for newer keys began. All who come within [`UNKNOWN_KEYS_EVERY`] share it, and its fetch.
    fn missed_since(&self) -> Instant {
        let now = Instant::now();
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        match *missed {
            Some(since) if now.duration_since(since) < UNKNOWN_KEYS_EVERY => since,
            _ => *missed.insert(now),
        }
    }

    async fn get(
        &self,
        judge: impl FnOnce(&Loaded<Arc<KeySet>>) -> Lookup,
    ) -> Result<Arc<KeySet>, FetchError> {
        let load = |_: Option<&Arc<KeySet>>, _| fetch(self.transport.clone(), self.url.clone());
        self.kept.get(&(), judge, load).await.map(|loaded| loaded.value)
    }
}

fn by_age(kept: &Loaded<Arc<KeySet>>) -> Lookup {
    match kept.began.elapsed() {
        age if age < FRESH => Lookup::Hit,
        age if age < OLD => Lookup::HitAndRefresh,
        _ => Lookup::Miss,
    }
}

async fn fetch(transport: Transport, url: Uri) -> Result<Arc<KeySet>, FetchError> {
    let outcome = try_fetch(&transport, &url).await;
    match &outcome {
        Ok(_) => tracing::info!(%url, "Fetched an issuer's keys"),
        Err(FetchError(cause)) => tracing::warn!(%url, cause, "Cannot fetch an issuer's keys"),
    }
    outcome
}

async fn try_fetch(transport: &Transport, url: &Uri) -> Result<Arc<KeySet>, FetchError> {
    let request = Request::get(url).header(header::ACCEPT, "application/json").body(Bytes::new());
    let request = request.map_err(|error| FetchError(error.to_string()))?;
    let answer = transport.send(request, ANSWER_LIMIT, Instant::now() + FETCH_TIMEOUT).await;
    let answer = answer.map_err(|error| FetchError(error.to_string()))?;
    if answer.status() != StatusCode::OK {
        return Err(FetchError(format!("it answered {}", answer.status())));
    }
    KeySet::parse(answer.body()).map(Arc::new).map_err(|what| FetchError(what.to_owned()))
}
