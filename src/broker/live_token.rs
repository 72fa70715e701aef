//! The ladder to a live token: the kept one, a fresh read of the profile, and then only the user can help.

use std::{ptr, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::Broker;
use crate::{
    auth0::{Fit, Need},
    deadline::{Deadline, Stage},
    error::{Error, Lifeless},
    identity::{Profile, Selected, Selector, UserId},
    token::{Expiry, Fingerprint, Freshness},
};

/// A token that is wanted.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) user: &'a UserId,
    pub(super) selector: &'a Selector,
    /// How long it must live.
    pub(super) min_validity: Duration,
    /// One that the provider has just refused, as the caller says.
    pub(super) rejected: Option<Fingerprint>,
}

/// A token that lives long enough, with the identity that it belongs to.
#[derive(Clone, Debug)]
pub struct LiveToken {
    profile: Arc<Profile>,
    /// Which of the profile's identities; it holds a token.
    index: usize,
}

impl LiveToken {
    /// The identity and its token.
    pub fn selected(&self) -> Selected<'_> {
        let identity = &self.profile.identities[self.index];
        let token = identity.token.as_ref().expect("a live token was found in this identity");
        Selected { identity, token }
    }

    /// Whose it is.
    pub fn user(&self) -> &UserId {
        &self.profile.user_id
    }
}

/// Why no token of a profile will do.
struct Unfit {
    error: Error,
    /// Since when the token is refused, if it is.
    refused_since: Option<Instant>,
}

impl Unfit {
    /// Since when a profile whose read began at `began` is known to be out of date.
    fn outdated(&self, began: Instant) -> Option<Instant> {
        self.refused_since.filter(|since| began < *since)
    }
}

impl Broker {
    pub(super) async fn live_token(
        &self,
        wanted: &Wanted<'_>,
        deadline: &Deadline,
    ) -> Result<LiveToken, Error> {
        let fit = |profile: &Profile, began: Instant| match self.choose(profile, wanted) {
            Ok(_) => Fit::Serves,
            Err(unfit) => unfit.outdated(began).map_or(Fit::Lacks, |since| Fit::Outdated { since }),
        };
        deadline.enter(if self.auth0.is_throttled() { Stage::Queue } else { Stage::Auth0 });

        let read = || self.auth0.profile(wanted.user, Need { fit: &fit });
        let mut loaded = read().await?;
        let mut chosen = self.choose(&loaded.value, wanted);
        // A first read may join one that was under way before the token was refused: then one more read tells.
        if chosen.as_ref().is_err_and(|unfit| unfit.outdated(loaded.began).is_some()) {
            loaded = read().await?;
            chosen = self.choose(&loaded.value, wanted);
        }
        let index = chosen.map_err(|unfit| unfit.error)?;
        Ok(LiveToken { profile: loaded.value, index })
    }

    /// Which of the profile's identities has the token that is wanted.
    fn choose(&self, profile: &Profile, wanted: &Wanted<'_>) -> Result<usize, Unfit> {
        let selected = profile.select(wanted.selector);
        let selected = selected.map_err(|error| Unfit { error: error.into(), refused_since: None })?;
        let refused_since = self.refusals.since(selected.token.access.fingerprint(), wanted.rejected);
        if let Some(why) = lifeless(selected.token.expiry, refused_since, wanted.min_validity) {
            let error = self.reauthentication(selected.identity, why);
            return Err(Unfit { error, refused_since });
        }
        let index = profile.identities.iter().position(|identity| ptr::eq(identity, selected.identity));
        Ok(index.expect("the selected identity is one of the profile's"))
    }
}

fn lifeless(
    expiry: Option<Expiry>,
    refused_since: Option<Instant>,
    min_validity: Duration,
) -> Option<Lifeless> {
    if refused_since.is_some() {
        return Some(Lifeless::Refused);
    }
    match Freshness::of(expiry, min_validity) {
        Freshness::Live => None,
        Freshness::Dead => Some(Lifeless::Expired),
        Freshness::TooShort => {
            Some(Lifeless::TooShort { left: expiry.map(|expiry| expiry.remaining()).unwrap_or_default() })
        }
    }
}
