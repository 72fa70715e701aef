//! The status of an identity's token: which one is the newest, whether it will do, and what can be done if
//! not. Pure judgement, and the only one: lists, findings and the ladder all ask here.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{IdentitySnapshot, StoredState, TokenSummary, rejected::Rejection, summary::State};
use crate::{
    identity::StoredToken,
    provider::{MissingCapability, Renewal, Source},
    provider_client::ProviderClient,
    store::Failure,
    token::{Expiry, Fingerprint, Freshness, RefreshToken, TokenSource, TokenType},
};

/// The earliest that a token in use is renewed ahead of its end, less a jitter of up to a half.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// The same where only a live token can be renewed: time enough to notice and mend what keeps it from being
/// renewed.
const AHEAD_OF_LIVE: Duration = Duration::from_secs(10 * 24 * 3600);

/// A token is never renewed ahead by more than this share of its life.
const AHEAD_SHARE: u32 = 5;

/// Why a token is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
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

impl Unusable {
    /// What time says of a token that ends at `expiry` and must live for `min_validity`; `None` if it does.
    pub(super) fn by_time(expiry: Option<Expiry>, min_validity: Duration) -> Option<Self> {
        match Freshness::of(expiry, min_validity) {
            Freshness::Live => None,
            Freshness::Dead => Some(Self::Expired),
            Freshness::TooShort => {
                let left = expiry.map(|expiry| expiry.remaining()).unwrap_or_default();
                Some(Self::TooShort { left })
            }
        }
    }
}

/// What a use needs of a token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Requirement {
    /// How long it must live.
    pub(super) min_validity: Duration,
    /// One that will not do, though it may look well.
    pub(super) rejected: Option<Fingerprint>,
}

/// What is to be done for a [`Requirement`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// The newest token meets it.
    Use,
    /// A renewal may bring a token that does.
    Renew,
}

/// Why nothing can be done for a [`Requirement`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Blocker {
    /// A renewal may help, but not now.
    BackingOff {
        /// Why the last one failed, in a word.
        reason: String,
        /// How long until the next.
        left: Duration,
    },
    /// A renewal would help, if the operator had set these keys.
    NotConfigured {
        /// Their full names.
        missing: Vec<String>,
    },
    /// A renewal would help, if what it brings survived this process: the provider kills what it is made
    /// from.
    NotDurable,
    /// No token of this provider lives so long.
    NeverSoLong {
        /// How long they live.
        lifetime: Duration,
    },
    /// The newest token is of this type, which requests cannot be authorised with here.
    NotBearer(TokenType),
    /// Only the user can help.
    Unusable(Unusable),
}

/// How a token can be renewed without the user, or why it cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewability {
    /// With the refresh token that is held.
    WithRefreshToken,
    /// From the access token, as long as that lives.
    WhileActive,
    /// With a refresh token, of which there is none.
    NoRefreshToken,
    /// Not before the operator has set these keys, given by their full names.
    NotConfigured(Vec<String>),
    /// Not before the store is durable: the provider's refresh tokens die at use.
    NotDurable,
    /// Never again: the provider says that the grant is dead.
    GrantDead,
    /// Never again: it was revoked here.
    Revoked,
    /// Not at all: the provider has nothing of the kind, or there is no adapter.
    Unsupported,
}

/// Only a profile that was read later can tell whether its token or the stored one is newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StaleProfile {
    /// A read that began earlier is of no use.
    pub(super) since: Instant,
}

/// What Auth0's profile and the store say about one identity's token, weighed against each other.
#[derive(Clone, Copy)]
pub struct TokenStatus<'a> {
    profile: &'a Arc<StoredToken>,
    stored: Option<&'a StoredState>,
    client: Option<&'a ProviderClient>,
    /// Whether the store survives this process.
    durable: bool,
}

impl<'a> TokenStatus<'a> {
    /// Weighs the token of the profile against what is `stored`; `None` if that could not be learnt.
    ///
    /// # Errors
    /// When the profile is too old to tell.
    pub(super) fn of(
        snapshot: &'a IdentitySnapshot,
        stored: Option<&'a StoredState>,
        durable: bool,
    ) -> Result<Self, StaleProfile> {
        let status = Self { profile: &snapshot.token, stored, client: snapshot.client.as_deref(), durable };
        match stored {
            // A profile that shows another token than the one that the record began with is newer, if it was
            // read later.
            Some(stored)
                if stored.generation > 0
                    && status.in_lineage().is_none()
                    && snapshot.selected.read() < stored.since =>
            {
                Err(StaleProfile { since: stored.since })
            }
            _ => Ok(status),
        }
    }

    /// What is stored, if it is about the login that the profile shows.
    fn in_lineage(&self) -> Option<&'a StoredState> {
        let origin = Some(self.profile.access.fingerprint());
        self.stored.filter(|stored| stored.record.descends_from == origin)
    }

    /// The newest token.
    pub fn token(&self) -> &'a Arc<StoredToken> {
        self.in_lineage().and_then(StoredState::token).unwrap_or(self.profile)
    }

    /// Whether it was revoked here, and the user has not logged in since.
    pub fn is_revoked(&self) -> bool {
        self.in_lineage().is_some_and(|stored| stored.record.revoked)
    }

    /// Since when the store, which all replicas share, is known not to count the newest token as refused.
    pub(super) fn accepted_since(&self) -> Option<Instant> {
        let stored = self.stored.filter(|stored| stored.generation > 0)?;
        let is_refused = stored.record.refused.contains(&self.token().access.fingerprint());
        (!is_refused).then_some(stored.since)
    }

    /// How the last renewals failed, if they did.
    pub fn failure(&self) -> Option<&'a Failure> {
        self.in_lineage()?.record.failure.as_ref()
    }

    /// How long no renewal is tried.
    pub fn backoff(&self) -> Duration {
        self.in_lineage().map_or(Duration::ZERO, StoredState::backoff)
    }

    /// What a renewal would be made from. Where refresh tokens do not die at use, one of an earlier login
    /// does too if the last one brought none.
    pub(super) fn refresh_token(&self, rotates: bool) -> Option<&'a RefreshToken> {
        let own = self.token().refresh.as_ref();
        let record = self.stored.filter(|_| !rotates).map(|stored| &stored.record);
        let earlier = || record?.tokens.as_ref()?.refresh.as_ref();
        own.or_else(|| record?.spare.as_ref()).or_else(earlier)
    }

    /// How the token can be renewed.
    pub fn renewability(&self) -> Renewability {
        let Some(client) = self.client else { return Renewability::Unsupported };
        if self.is_revoked() {
            return Renewability::Revoked;
        }
        if self.failure().is_some_and(|failure| failure.permanent) {
            return Renewability::GrantDead;
        }
        let is_held = |rotates| self.refresh_token(rotates).is_some();
        match client.adapter.renewal() {
            Ok(renewal) if renewal.source() == Source::LiveAccessToken => Renewability::WhileActive,
            Ok(renewal) if !is_held(renewal.rotates()) => Renewability::NoRefreshToken,
            Ok(renewal) if renewal.rotates() && !self.durable => Renewability::NotDurable,
            Ok(_) => Renewability::WithRefreshToken,
            Err(MissingCapability::Unsupported) => Renewability::Unsupported,
            // Without a refresh token, the keys would not help.
            Err(MissingCapability::NotConfigured { .. })
                if client.adapter.renewal_source() == Source::RefreshToken && !is_held(false) =>
            {
                Renewability::NoRefreshToken
            }
            Err(MissingCapability::NotConfigured { missing }) => {
                Renewability::NotConfigured(client.keys(missing))
            }
        }
    }

    /// What is to be done for `requirement`, or why nothing can be.
    pub(super) fn plan(&self, requirement: &Requirement) -> Result<Plan, Blocker> {
        let token = self.token();
        let not_bearer = || Err(Blocker::NotBearer(token.token_type.clone()));
        let is_bearer = token.token_type == TokenType::Bearer;
        // Another login brings one of the same type; another renewal need not, once the application's
        // settings at the provider are mended.
        if !is_bearer && token.source != TokenSource::Renewed {
            return not_bearer();
        }
        let Some(unusable) = self.unusable(requirement) else {
            return if is_bearer { Ok(Plan::Use) } else { not_bearer() };
        };
        if let Some(blocker) = self.blocker(Some(unusable)) {
            return Err(blocker);
        }
        if let Some(lifetime) = self.lifetime().filter(|lifetime| *lifetime < requirement.min_validity) {
            return Err(Blocker::NeverSoLong { lifetime });
        }
        match self.backing_off() {
            Some(blocker) => Err(blocker),
            None => Ok(Plan::Renew),
        }
    }

    /// Whether the newest token, while it lives, should be renewed ahead; `jitter` is between 0 and 1.
    pub(super) fn is_due(&self, jitter: impl FnOnce() -> f64) -> bool {
        let Some(expiry) = self.token().expiry else { return false };
        let left = expiry.remaining();
        if left >= AHEAD_OF_LIVE || self.token().token_type != TokenType::Bearer {
            return false;
        }
        let most = match self.renewability() {
            Renewability::WithRefreshToken => AHEAD,
            // A dead token could not be exchanged.
            Renewability::WhileActive if !left.is_zero() => AHEAD_OF_LIVE,
            _ => return false,
        };
        let share = self.lifetime().map_or(most, |lifetime| lifetime / AHEAD_SHARE);
        left < most.min(share).mul_f64(0.5 + jitter() / 2.0) && self.backing_off().is_none()
    }

    /// Whether the evidence against the newest token suffices to renew it. Where tokens rotate, a renewal
    /// costs others the token that they hold: it takes the provider's own word.
    pub(super) fn justifies_renewal(&self, rejection: Option<Rejection>) -> bool {
        let is_confirmed = rejection.is_none_or(|rejection| rejection.is_confirmed);
        let rotates = self.client.is_some_and(|client| client.adapter.renewal().is_ok_and(Renewal::rotates));
        is_confirmed || !rotates || self.token().has_ended()
    }

    /// What callers are told. `rejection` is why the newest token will not do for who asks.
    pub(super) fn summary(&self, rejection: Option<Rejection>) -> TokenSummary {
        let rejected = rejection.map(|_| self.token().access.fingerprint());
        let requirement = Requirement { min_validity: Duration::ZERO, rejected };
        let state = match self.plan(&requirement) {
            Ok(Plan::Renew) if !self.justifies_renewal(rejection) => State::ReauthenticationRequired,
            Ok(Plan::Use | Plan::Renew) | Err(Blocker::BackingOff { .. }) => State::Active,
            Err(Blocker::NotBearer(_)) => State::NoToken,
            Err(
                Blocker::Unusable(_)
                | Blocker::NotConfigured { .. }
                | Blocker::NotDurable
                | Blocker::NeverSoLong { .. },
            ) => State::ReauthenticationRequired,
        };
        TokenSummary {
            state,
            renewable: state != State::NoToken && self.blocker(self.unusable(&requirement)).is_none(),
            expiry: self.token().expiry,
            last_renewal_error: self.failure().map(Into::into),
        }
    }

    fn unusable(&self, requirement: &Requirement) -> Option<Unusable> {
        let token = self.token();
        let fingerprint = token.access.fingerprint();
        if self.is_revoked() {
            return Some(Unusable::Revoked);
        }
        if token.has_ended() {
            return Some(Unusable::Expired);
        }
        let refused = self.stored.is_some_and(|stored| stored.record.refused.contains(&fingerprint));
        if refused || requirement.rejected == Some(fingerprint) {
            return Some(Unusable::Refused);
        }
        Unusable::by_time(token.expiry, requirement.min_validity)
    }

    /// What keeps the token from being renewed. `unusable` is what is wrong with it, if anything.
    fn blocker(&self, unusable: Option<Unusable>) -> Option<Blocker> {
        let is_alive = matches!(unusable, None | Some(Unusable::TooShort { .. }));
        Some(match self.renewability() {
            Renewability::WithRefreshToken => return None,
            Renewability::WhileActive if is_alive => return None,
            Renewability::NotDurable => Blocker::NotDurable,
            // What is made from a live token only would not help a dead one, whatever is set.
            Renewability::NotConfigured(missing) if self.refresh_token(false).is_some() => {
                Blocker::NotConfigured { missing }
            }
            Renewability::Revoked => Blocker::Unusable(Unusable::Revoked),
            Renewability::GrantDead => Blocker::Unusable(Unusable::GrantDead),
            Renewability::WhileActive
            | Renewability::NotConfigured(_)
            | Renewability::NoRefreshToken
            | Renewability::Unsupported => Blocker::Unusable(unusable.unwrap_or(Unusable::Expired)),
        })
    }

    /// How long the newest token lived when it was new, where that is known.
    fn lifetime(&self) -> Option<Duration> {
        let tokens = self.in_lineage()?.record.tokens.as_ref()?;
        tokens.expires_at?.duration_since(tokens.obtained_at).ok()
    }

    fn backing_off(&self) -> Option<Blocker> {
        let stored = self.in_lineage()?;
        let left = Some(stored.backoff()).filter(|left| !left.is_zero())?;
        let failure = stored.record.failure.as_ref();
        let reason = failure.map_or("renewed_just_now", |failure| &failure.reason).to_owned();
        Some(Blocker::BackingOff { reason, left })
    }
}

#[cfg(test)]
mod tests;
