//! An issuer's JWKS endpoint: fetched rarely, whatever callers send, and not missed while it is down.

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

/// Keys older than this are still used, but fetched again in the background. Auth0 advises 5 to 10 min
/// (<https://auth0.com/docs/secure/tokens/json-web-tokens/json-web-key-sets>).
const FRESH: Duration = Duration::from_secs(5 * 60);

/// Keys older than this are used only if no newer ones arrive in time.
const OLD: Duration = Duration::from_secs(10 * 60);

/// While the issuer is down, keys are used up to this age: longer than most outages. Also the longest that a
/// key revoked meanwhile is accepted.
const OLDEST: Duration = Duration::from_secs(6 * 3600);

/// How long to wait for newer keys before old ones are used.
const PATIENCE: Duration = Duration::from_millis(500);

/// Minimum time between two fetches for unknown keys, so that made-up key names cannot cause more. Also the
/// longest that a key stays unknown which the issuer uses without having published it before.
const UNKNOWN_KEYS_EVERY: Duration = Duration::from_secs(30);

/// Limit of one fetch, which normally takes well below a second.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum size of an answer in bytes; a key with its certificates has about 3 KiB.
const ANSWER_LIMIT: usize = 128 * 1024;

/// Back-off after a failed fetch.
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
    /// When a missing key last caused a fetch.
    missed: Mutex<Option<Instant>>,
}

impl KeySource {
    pub(super) fn new(url: Uri, transport: Transport) -> Self {
        let kept = Cache::new(1, OLDEST, BACKOFF);
        Self { url, transport, kept, missed: Mutex::default() }
    }

    /// Returns the freshest keys available.
    pub(super) async fn keys(&self) -> Result<Arc<KeySet>, FetchError> {
        let Some(old) = self.kept.peek(&()).filter(|kept| kept.began.elapsed() < OLDEST) else {
            return self.get(by_age).await;
        };
        match tokio::time::timeout(PATIENCE, self.get(by_age)).await {
            Ok(Ok(keys)) => Ok(keys),
            _ => Ok(old.value),
        }
    }

    /// Returns keys fetched recently, for a token whose key is not among [`Self::keys`]. Old keys will not do
    /// here: without an answer, nobody knows whether the token is good.
    pub(super) async fn newer_keys(&self) -> Result<Arc<KeySet>, FetchError> {
        let since = self.missed_since();
        self.get(|kept| if kept.began < since { Lookup::MissSince(since) } else { Lookup::Hit }).await
    }

    /// Returns when the current search for newer keys began. All requests within [`UNKNOWN_KEYS_EVERY`] share
    /// it and its fetch.
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
