//! Where an identity stands: its newest token, and what can be done if that is not good enough. Pure judgement.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Known, ProviderClient};
use crate::{
    identity::StoredToken,
    provider::{Lack, Renewal, Source},
    store::Failure,
    token::{Fingerprint, Freshness, RefreshToken},
};

/// How long before its end a token in use is renewed ahead, at most; less a jitter of up to a half.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// The same where only a live token can be renewed: time enough to notice and mend what keeps it from being renewed.
const AHEAD_OF_LIVE: Duration = Duration::from_secs(10 * 24 * 3600);

/// And never more than this share of a token's life.
const AHEAD_SHARE: u32 = 5;

/// Why a token is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lifeless {
    /// Its time is over, and nothing is held to renew it with.
    #[error("has expired, and nothing is held to renew it with:")]
    Expired,
    /// It ends before it is needed.
    #[error("lives for {} s more, less than was asked for, and cannot be renewed: ask for less, or", .left.as_secs())]
    TooShort {
        /// What is left.
        left: Duration,
    },
    /// The provider refused it.
    #[error("is no longer accepted by the provider:")]
    Refused,
    /// It was revoked through this service.
    #[error("was revoked:")]
    Revoked,
    /// The provider says that the grant behind it is dead.
    #[error("cannot be renewed, since the provider says that the user's grant has ended:")]
    GrantDead,
}

/// What a use needs.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// How long the token must live.
    pub min_validity: Duration,
    /// One that will not do, though it may look well.
    pub rejected: Option<Fingerprint>,
}

/// What can be done for a [`Wish`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// The newest token fulfils it.
    Live,
    /// A renewal may bring a token that does.
    Renewable,
    /// A renewal may, but not now.
    Resting {
        /// Why the last one failed, in a word.
        reason: String,
        /// How long until the next.
        left: Duration,
    },
    /// A renewal would, if the operator had set these keys.
    NotConfigured {
        /// Their full names.
        missing: Vec<String>,
    },
    /// A renewal would, if what it brings survived this process: the provider kills what it is made from.
    NotDurable,
    /// No token of this provider lives so long.
    NeverSoLong {
        /// How long they live.
        lifetime: Duration,
    },
    /// Only the user can help.
    Over(Lifeless),
}

/// Auth0's word and ours about one identity.
#[derive(Clone, Copy)]
pub struct Standing<'a> {
    profile: &'a Arc<StoredToken>,
    known: Option<&'a Known>,
}

impl<'a> Standing<'a> {
    /// Weighs the token of the profile, whose read began at `read`, and what is known besides; `None` if that could not
    /// be learnt. `Err` with a moment if only a profile that was read later can tell which of the two is newer.
    ///
    /// # Errors
    /// See above.
    pub fn of(
        profile: &'a Arc<StoredToken>,
        read: Instant,
        known: Option<&'a Known>,
    ) -> Result<Self, Instant> {
        let standing = Self { profile, known };
        match known {
            // A profile that shows another token than the one that the record began with is newer, if it was read later.
            Some(known) if known.generation > 0 && standing.in_lineage().is_none() && read < known.since => {
                Err(known.since)
            }
            _ => Ok(standing),
        }
    }

    /// What is known, if it is about the login that the profile shows.
    fn in_lineage(&self) -> Option<&'a Known> {
        let origin = Some(self.profile.access.fingerprint());
        self.known.filter(|known| known.record.descends_from == origin)
    }

    /// The newest token.
    pub fn token(&self) -> &'a Arc<StoredToken> {
        self.in_lineage().and_then(Known::token).unwrap_or(self.profile)
    }

    /// Whether it was revoked here, and the user has not logged in since.
    pub fn is_revoked(&self) -> bool {
        self.in_lineage().is_some_and(|known| known.record.revoked)
    }

    /// How the last renewals failed, if they did.
    pub fn failure(&self) -> Option<&'a Failure> {
        self.in_lineage()?.record.failure.as_ref()
    }

    /// Whether there is what a renewal would be made from, at a provider whose refresh tokens die at use or do not.
    pub fn holds_refresh_token(&self, rotates: bool) -> bool {
        self.refresh(rotates).is_some()
    }

    /// How long no renewal is tried.
    pub fn rest(&self) -> Duration {
        self.in_lineage().map_or(Duration::ZERO, Known::rest)
    }

    /// What a renewal would be made from. Where refresh tokens do not die at use, one of an earlier login does too if the
    /// last one brought none.
    pub(super) fn refresh(&self, rotates: bool) -> Option<&'a RefreshToken> {
        let own = self.token().refresh.as_ref();
        let record = self.known.filter(|_| !rotates).map(|known| &known.record);
        let earlier = || record?.tokens.as_ref()?.refresh.as_ref();
        own.or_else(|| record?.spare.as_ref()).or_else(earlier)
    }

    /// Whether the service can renew the token without the user, at this provider, with a store that is `durable`.
    pub fn is_renewable(&self, client: &ProviderClient, durable: bool) -> bool {
        self.means(client, durable, None).is_ok()
    }

    /// What can be done for `wish`, at this provider, with a store that is `durable`.
    pub fn outlook(&self, wish: &Wish, client: Option<&ProviderClient>, durable: bool) -> Outlook {
        let Some(lifeless) = self.lifeless(wish) else { return Outlook::Live };
        let Some(client) = client else { return Outlook::Over(lifeless) };
        if let Err(outlook) = self.means(client, durable, Some(lifeless)) {
            return outlook;
        }
        if let Some(lifetime) = self.lifetime().filter(|lifetime| *lifetime < wish.min_validity) {
            return Outlook::NeverSoLong { lifetime };
        }
        if let Some(outlook) = self.resting() {
            return outlook;
        }
        Outlook::Renewable
    }

    /// Whether the newest token, while it lives, should be renewed ahead; `jitter` is between 0 and 1.
    pub fn is_due(&self, client: &ProviderClient, durable: bool, jitter: impl FnOnce() -> f64) -> bool {
        let Some(expiry) = self.token().expiry else { return false };
        let left = expiry.remaining();
        if left >= AHEAD_OF_LIVE {
            return false;
        }
        let Ok(renewal) = self.means(client, durable, None) else { return false };
        let most = match renewal.source() {
            Source::RefreshToken => AHEAD,
            Source::LiveAccessToken => AHEAD_OF_LIVE,
        };
        let share = self.lifetime().map_or(most, |lifetime| lifetime / AHEAD_SHARE);
        left < most.min(share).mul_f64(0.5 + jitter() / 2.0) && self.resting().is_none()
    }

    fn lifeless(&self, wish: &Wish) -> Option<Lifeless> {
        let token = self.token();
        let fingerprint = token.access.fingerprint();
        if self.is_revoked() {
            return Some(Lifeless::Revoked);
        }
        let refused = self.known.is_some_and(|known| known.record.refused.contains(&fingerprint));
        if refused || wish.rejected == Some(fingerprint) {
            return Some(Lifeless::Refused);
        }
        match Freshness::of(token.expiry, wish.min_validity) {
            Freshness::Live => None,
            Freshness::Dead => Some(Lifeless::Expired),
            Freshness::TooShort => {
                let left = token.expiry.map(|expiry| expiry.remaining()).unwrap_or_default();
                Some(Lifeless::TooShort { left })
            }
        }
    }

    /// How the token can be renewed, or why it cannot be. `lifeless` is what is wrong with it, if anything.
    fn means<'c>(
        &self,
        client: &'c ProviderClient,
        durable: bool,
        lifeless: Option<Lifeless>,
    ) -> Result<&'c dyn Renewal, Outlook> {
        let over = || Outlook::Over(lifeless.unwrap_or(Lifeless::Expired));
        if self.is_revoked() {
            return Err(Outlook::Over(Lifeless::Revoked));
        }
        if self.failure().is_some_and(|failure| failure.permanent) {
            return Err(Outlook::Over(Lifeless::GrantDead));
        }
        let renewal = match client.adapter.renewal() {
            Ok(renewal) => renewal,
            // Without a refresh token the user has to log in again in any case.
            Err(Lack::NotConfigured { missing }) if self.refresh(false).is_some() => {
                return Err(Outlook::NotConfigured { missing: client.keys(missing) });
            }
            Err(Lack::NotConfigured { .. } | Lack::Unsupported) => return Err(over()),
        };
        let is_possible = match renewal.source() {
            Source::RefreshToken => self.refresh(renewal.rotates()).is_some(),
            Source::LiveAccessToken => matches!(lifeless, None | Some(Lifeless::TooShort { .. })),
        };
        if !is_possible {
            return Err(over());
        }
        if renewal.rotates() && !durable {
            return Err(Outlook::NotDurable);
        }
        Ok(renewal)
    }

    /// How long the newest token lived when it was new, where that is known.
    fn lifetime(&self) -> Option<Duration> {
        let tokens = self.in_lineage()?.record.tokens.as_ref()?;
        tokens.expires_at?.duration_since(tokens.obtained_at).ok()
    }

    fn resting(&self) -> Option<Outlook> {
        let known = self.in_lineage()?;
        let left = Some(known.rest()).filter(|left| !left.is_zero())?;
        let failure = known.record.failure.as_ref();
        let reason = failure.map_or("renewed_just_now", |failure| &failure.reason).to_owned();
        Some(Outlook::Resting { reason, left })
    }
}

#[cfg(test)]
mod tests;
