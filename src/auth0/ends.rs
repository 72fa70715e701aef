//! The ends that were worked out for tokens, so that none of them moves into the future.

use std::sync::Arc;

use moka::policy::EvictionPolicy;

use crate::{
    identity::Profile,
    token::{Expiry, Fingerprint},
};

/// About 150 bytes each: 15 MiB.
const CAPACITY: u64 = 100_000;

/// The earliest end that each token ever had. Auth0 does not record when a token was issued, so that its end
/// is worked out from the user's `last_login`, which a login with another identity moves, and which is
/// another one when accounts are linked or unlinked; the token itself has not changed. Known by token and not
/// by user or account, for as long as memory allows: a profile that nobody asks for is forgotten sooner.
pub(super) struct Ends(moka::sync::Cache<Fingerprint, Expiry>);

impl Default for Ends {
    fn default() -> Self {
        let ends = moka::sync::Cache::builder().max_capacity(CAPACITY);
        Self(ends.eviction_policy(EvictionPolicy::lru()).build())
    }
}

impl Ends {
    /// Takes the end of no token in `profile` for later than it was known to be.
    pub(super) fn extend_none(&self, profile: &mut Profile) {
        let tokens = profile.identities.iter_mut().filter_map(|identity| identity.token.as_mut());
        for token in tokens {
            let fingerprint = token.access.fingerprint();
            let known = self.0.get(&fingerprint);
            let Some(earliest) = Expiry::earlier(known, token.expiry) else { continue };
            if known != Some(earliest) {
                self.0.insert(fingerprint, earliest);
            }
            if token.expiry != Some(earliest) {
                Arc::make_mut(token).expiry = Some(earliest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::{
        identity::{Identity, IdentityKey, StoredToken, UserId},
        token::{AccessToken, ExpiryBasis},
    };

    /// A profile of `user` with `token`, which ends in so many seconds.
    fn profile(user: &str, token: &str, left: Option<u64>) -> Profile {
        let end = |left| Expiry::at(SystemTime::now() + Duration::from_secs(left), ExpiryBasis::UpperBound);
        let token = StoredToken::of_profile(AccessToken::new(token), None, left.map(end));
        let key = IdentityKey { connection: "google-oauth2".to_owned(), account_id: "1".to_owned() };
        let identity = Identity {
            provider: "google-oauth2".to_owned(),
            key: Arc::new(key),
            is_social: true,
            token: Some(Arc::new(token)),
            in_vault: false,
        };
        let user_id = UserId::parse(user.to_owned(), "user_id").expect("a user id");
        Profile { user_id, identities: vec![identity] }
    }

    fn left(ends: &Ends, mut profile: Profile) -> Option<u64> {
        ends.extend_none(&mut profile);
        let token = profile.identities[0].token.as_ref().expect("it has a token");
        token.expiry.map(|expiry| (expiry.remaining() + Duration::from_millis(500)).as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn no_end_moves_into_the_future_whoever_has_the_token() {
        let ends = Ends::default();
        for (user, token, told, taken) in [
            ("google-oauth2|1", "a", None, None),
            ("google-oauth2|1", "a", Some(100), Some(100)),
            ("google-oauth2|1", "a", Some(3600), Some(100)),
            ("google-oauth2|1", "a", None, Some(100)),
            ("auth0|p1", "a", Some(3600), Some(100)),
            ("auth0|p1", "a", Some(50), Some(50)),
            ("auth0|p1", "b", Some(3600), Some(3600)),
        ] {
            assert_eq!(left(&ends, profile(user, token, told)), taken, "{user} {token} {told:?}");
        }
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(left(&ends, profile("auth0|p1", "a", Some(3600))), Some(0), "dead is dead");
        assert_eq!(left(&ends, profile("auth0|p1", "a", None)), Some(0));
    }
}
