//! What callers are told about an identity.

use std::time::Duration;

use tokio::time::Instant;

use super::{Broker, LiveToken, ProviderEntry};
use crate::{
    identity::{Identity, UserId},
    renewal::{Outlook, Standing, Subject, Wish},
    store::Failure,
    token::Expiry,
};

/// Whether the service can act for an identity now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A token is at hand, or can be renewed without the user.
    Active,
    /// The user must log in through the provider again.
    ReauthenticationRequired,
    /// Auth0 holds no token.
    NoToken,
}

/// How the last renewal failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewalTrouble {
    /// In a way that may pass; the grant is kept.
    Passing,
    /// The provider says that the grant has ended.
    GrantDead,
}

impl RenewalTrouble {
    pub(super) fn of(failure: &Failure) -> Self {
        if failure.permanent { Self::GrantDead } else { Self::Passing }
    }
}

/// An identity without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityView {
    /// Whose it is.
    pub user: UserId,
    /// The Auth0 strategy.
    pub provider: String,
    /// The Auth0 connection.
    pub connection: String,
    /// The provider's own id of the account.
    pub account_id: String,
    /// Whether Auth0 counts the connection as social.
    pub is_social: bool,
    /// Whether it can be used.
    pub state: State,
    /// Whether the token can be renewed without the user.
    pub renewable: bool,
    /// When its token ends, as far as is known.
    pub expiry: Option<Expiry>,
    /// How the last renewal failed, if it did.
    pub trouble: Option<RenewalTrouble>,
}

impl IdentityView {
    /// An identity without a token.
    fn new(user: &UserId, identity: &Identity) -> Self {
        Self {
            user: user.clone(),
            provider: identity.provider.clone(),
            connection: identity.connection().to_owned(),
            account_id: identity.account_id().to_owned(),
            is_social: identity.is_social,
            state: State::NoToken,
            renewable: false,
            expiry: None,
            trouble: None,
        }
    }
}

impl LiveToken {
    /// Describes the token's identity, which is active: that was judged when the token was chosen.
    pub fn view(&self) -> IdentityView {
        IdentityView {
            state: State::Active,
            renewable: self.renewable,
            expiry: self.token().expiry,
            trouble: self.trouble,
            ..IdentityView::new(self.user(), self.identity())
        }
    }
}

impl Broker {
    /// Describes `identity` of `user`, of a profile whose read began at `read`, as it stands now. A store
    /// that fails is done without: then this is what the profile alone shows.
    pub(super) async fn view(&self, user: &UserId, identity: &Identity, read: Instant) -> IdentityView {
        let view = IdentityView::new(user, identity);
        let Some(token) = &identity.token else {
            // Whether the user has connected the account is not asked for a list: it would cost an exchange for each.
            let state = if identity.in_vault { State::Active } else { State::NoToken };
            return IdentityView { state, renewable: identity.in_vault, ..view };
        };
        let client = self.providers.of(identity).map(|entry| &entry.client);
        let known = self
            .renewals
            .known(Subject { user, key: &identity.key, profile: token, read, client })
            .await
            .ok();
        // A profile that may be older than what is known is taken as it is: whoever needs the token makes sure.
        let standing =
            Standing::of(token, read, known.as_deref()).or_else(|_| Standing::of(token, read, None));
        standing.map_or(view, |standing| self.view_of(user, identity, &standing))
    }

    /// Describes an identity that holds a token.
    pub(super) fn view_of(
        &self,
        user: &UserId,
        identity: &Identity,
        standing: &Standing<'_>,
    ) -> IdentityView {
        let entry = self.providers.of(identity);
        let newest = standing.token();
        let state = match self.outlook(entry, standing) {
            Outlook::Live | Outlook::Renewable | Outlook::Resting { .. } => State::Active,
            Outlook::Over(_)
            | Outlook::NotConfigured { .. }
            | Outlook::NotDurable
            | Outlook::NeverSoLong { .. } => State::ReauthenticationRequired,
        };
        IdentityView {
            state,
            renewable: self.is_renewable(standing, entry),
            expiry: newest.expiry,
            trouble: standing.failure().map(RenewalTrouble::of),
            ..IdentityView::new(user, identity)
        }
    }

    /// What can be done for whoever needs a token at all.
    pub(super) fn outlook(&self, entry: Option<&ProviderEntry>, standing: &Standing<'_>) -> Outlook {
        let fingerprint = standing.token().access.fingerprint();
        let rejected = self.refusals.since(fingerprint, None).map(|_| fingerprint);
        let wish = Wish { min_validity: Duration::ZERO, rejected };
        standing.outlook(&wish, entry.map(|entry| &*entry.client), self.renewals.is_durable())
    }
}
