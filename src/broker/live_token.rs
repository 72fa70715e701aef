//! The ladder to a live token: the kept one, a fresh read of the profile, and then only the user can help.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::Broker;
use crate::{
    auth0::{Fit, Need},
    deadline::{Deadline, Stage},
    error::{Error, Lifeless},
    identity::{Profile, Selected, Selector, UserId},
    token::{Fingerprint, Freshness},
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

impl Broker {
    pub(super) async fn live_token(
        &self,
        wanted: &Wanted<'_>,
        deadline: &Deadline,
    ) -> Result<LiveToken, Error> {
        let fit = |profile: &Profile, began: Instant| self.fit(profile, began, wanted);
        deadline.enter(if self.auth0.is_throttled() { Stage::Queue } else { Stage::Auth0 });

        let read = || self.auth0.profile(wanted.user, Need { fit: &fit });
        let mut loaded = read().await?;
        // A first read may join one that was under way before the token was refused: then one more read tells.
        if matches!(fit(&loaded.value, loaded.began), Fit::Outdated { .. }) {
            loaded = read().await?;
        }
        self.pick(loaded.value, wanted)
    }

    /// Whether a profile will do, or might after another read.
    fn fit(&self, profile: &Profile, began: Instant, wanted: &Wanted<'_>) -> Fit {
        let Ok(selected) = profile.select(wanted.selector) else { return Fit::Lacks };
        let refused = self.refusals.since(selected.token.access.fingerprint(), wanted.rejected);
        match refused {
            Some(since) if began < since => Fit::Outdated { since },
            None if Freshness::of(selected.token.expiry, wanted.min_validity) == Freshness::Live => {
                Fit::Serves
            }
            _ => Fit::Lacks,
        }
    }

    fn pick(&self, profile: Arc<Profile>, wanted: &Wanted<'_>) -> Result<LiveToken, Error> {
        let selected = profile.select(wanted.selector)?;
        if let Some(why) = self.lifeless(selected, wanted) {
            return Err(Error::ReauthenticationRequired {
                provider: selected.identity.provider.clone(),
                connection: selected.identity.connection.clone(),
                why,
            });
        }
        let index = profile.identities.iter().position(|identity| std::ptr::eq(identity, selected.identity));
        let index = index.expect("the selected identity is one of the profile's");
        Ok(LiveToken { profile, index })
    }

    fn lifeless(&self, selected: Selected<'_>, wanted: &Wanted<'_>) -> Option<Lifeless> {
        let token = selected.token;
        if self.refusals.since(token.access.fingerprint(), wanted.rejected).is_some() {
            return Some(Lifeless::Refused);
        }
        match Freshness::of(token.expiry, wanted.min_validity) {
            Freshness::Live => None,
            Freshness::Dead => Some(Lifeless::Expired),
            Freshness::TooShort => Some(Lifeless::TooShort {
                left: token.expiry.map(|expiry| expiry.remaining()).unwrap_or_default(),
            }),
        }
    }
}
