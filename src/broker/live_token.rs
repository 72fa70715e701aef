//! The ladder to a live token: the newest one at hand, a fresh read of the profile, a renewal, and then only the user.

use std::{pin::pin, sync::Arc, time::Duration};

use secrecy::SecretString;
use tokio::time::Instant;

use super::{Broker, ProviderEntry, state::RenewalTrouble};
use crate::{
    audit::Trail,
    auth0::{Fit, Need},
    cache::Loaded,
    deadline::{Deadline, Stage},
    error::Error,
    field::InvalidField,
    identity::{Identity, Profile, SelectError, Selector, StoredToken, UserId},
    policy::{Permit, Scope},
    renewal::{Known, Outlook, Standing, Subject, Wish},
    store::StoreError,
    token::{Fingerprint, Freshness, TokenSource},
};

/// Steps of the ladder that one call takes at most. Each step up makes sure of something that the one before left open,
/// so four suffice; one more for what changes meanwhile.
const MOST_STEPS: usize = 5;

/// So long the store is waited for where a caller might do without: deadlines are often a second or two.
const STORE_PATIENCE: Duration = Duration::from_millis(500);

/// A token that is wanted.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) user: &'a UserId,
    /// The access token of the end user who calls, if one does.
    pub(super) end_user: Option<&'a SecretString>,
    /// Of which identities: the permit's.
    pub(super) scope: &'a Scope,
    pub(super) selector: &'a Selector,
    /// Where the token that is found is put on record.
    pub(super) trail: &'a Trail,
    /// How long it must live.
    pub(super) min_validity: Duration,
    /// One that the provider has just refused, as the caller says.
    pub(super) rejected: Option<Fingerprint>,
}

impl<'a> Wanted<'a> {
    /// One that the permit is about, of the identity that `selector` means.
    pub(super) fn by<A>(permit: &'a Permit<A>, selector: &'a Selector, min_validity: Duration) -> Self {
        Self {
            user: permit.user(),
            end_user: permit.end_user(),
            scope: permit.scope(),
            trail: permit.trail(),
            selector,
            min_validity,
            rejected: None,
        }
    }

    /// The identity of `profile` whose token it is.
    pub(super) fn select<'p>(&self, profile: &'p Profile) -> Result<&'p Identity, SelectError> {
        profile.select(self.selector, |identity| self.scope.covers(identity))
    }
}

/// A token that lives long enough, with the identity that it belongs to.
#[derive(Clone, Debug)]
pub struct LiveToken {
    profile: Arc<Profile>,
    /// Which of the profile's identities.
    index: usize,
    token: Arc<StoredToken>,
    /// Whether it was renewed for this call.
    pub renewed: bool,
    /// Whether it can be renewed again without the user.
    pub(super) renewable: bool,
    /// How the last renewal failed, if it did.
    pub(super) trouble: Option<RenewalTrouble>,
}

impl LiveToken {
    fn new(profile: &Arc<Profile>, identity: &Identity, token: Arc<StoredToken>) -> Self {
        let index = profile.index_of(identity);
        Self { profile: Arc::clone(profile), index, token, renewed: false, renewable: false, trouble: None }
    }

    /// A token that Auth0 itself renews.
    fn of_vault(profile: &Arc<Profile>, identity: &Identity, token: Arc<StoredToken>) -> Self {
        Self { renewable: true, ..Self::new(profile, identity, token) }
    }

    /// Whose account it gives access to.
    pub fn identity(&self) -> &Identity {
        &self.profile.identities[self.index]
    }

    /// The token.
    pub fn token(&self) -> &StoredToken {
        &self.token
    }

    /// Whose it is.
    pub fn user(&self) -> &UserId {
        &self.profile.user_id
    }
}

/// A profile's token that will not do, so that a newer profile is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Lacking {
    token: Fingerprint,
    /// A profile that was read before is of no use.
    since: Option<Instant>,
}

/// What one step of the ladder came to.
enum Step {
    Done(LiveToken),
    /// A newer profile may tell more; or else this is the error.
    Recheck(Lacking, Error),
    /// A renewal was made, by whomever.
    Again,
}

impl Broker {
    pub(super) async fn live_token(
        &self,
        wanted: &Wanted<'_>,
        deadline: &Deadline,
    ) -> Result<LiveToken, Error> {
        let mut lacking = None;
        let mut renewed = false;
        for _ in 0..MOST_STEPS {
            let profile = self.profile(wanted, lacking, deadline).await?;
            match self.step(wanted, profile, deadline).await? {
                Step::Done(live) => {
                    wanted.trail.uses(&live.token.access);
                    let renewed = renewed && live.token.source == TokenSource::Renewed;
                    return Ok(LiveToken { renewed, ..live });
                }
                Step::Recheck(token, error) if lacking == Some(token) => return Err(error),
                Step::Recheck(token, _) => lacking = Some(token),
                Step::Again => renewed = true,
            }
        }
        // Others kept renewing and refusing meanwhile.
        Err(Error::Overloaded)
    }

    /// A profile that selects one identity, and is newer than the one that lacked something.
    async fn profile(
        &self,
        wanted: &Wanted<'_>,
        lacking: Option<Lacking>,
        deadline: &Deadline,
    ) -> Result<Loaded<Arc<Profile>>, Error> {
        let fit = |profile: &Profile, began: Instant| match wanted.select(profile) {
            Err(_) => Fit::Lacks,
            Ok(identity) => match lacking.filter(|lacking| Some(lacking.token) == identity.fingerprint()) {
                Some(Lacking { since: Some(since), .. }) if began < since => Fit::Outdated { since },
                Some(_) => Fit::Lacks,
                None => Fit::Serves,
            },
        };
        deadline.enter(if self.auth0.is_throttled() { Stage::Queue } else { Stage::Auth0 });
        Ok(self.auth0.profile(wanted.user, Need { fit: &fit }).await?)
    }

    /// A live token of a login that is later than the one behind `live`, if Auth0 knows of one. It is asked rarely about a
    /// user whose tokens stay the same, see [`Fit::Lacks`].
    pub(super) async fn token_of_later_login(
        &self,
        live: &LiveToken,
        wanted: &Wanted<'_>,
        deadline: &Deadline,
    ) -> Option<LiveToken> {
        let token = live.identity().fingerprint()?;
        let profile = self.profile(wanted, Some(Lacking { token, since: None }), deadline).await.ok()?;
        let latest = wanted.select(&profile.value).ok()?;
        if latest.fingerprint() == Some(token) {
            return None;
        }
        self.live_token(wanted, deadline).await.ok()
    }

    async fn step(
        &self,
        wanted: &Wanted<'_>,
        profile: Loaded<Arc<Profile>>,
        deadline: &Deadline,
    ) -> Result<Step, Error> {
        let Loaded { value: profile, began } = profile;
        let identity = wanted.select(&profile)?;
        wanted.trail.found(identity);
        let Some(token) = &identity.token else {
            let token = self.vault_token(identity, wanted).await?;
            return Ok(Step::Done(LiveToken::of_vault(&profile, identity, token)));
        };
        let entry = self.providers.of(identity);
        let client = entry.map(|entry| &entry.client);
        let subject =
            Subject { user: &profile.user_id, key: &identity.key, profile: token, read: began, client };
        let known = self.known(subject).await;
        let lacks = |since| Lacking { token: token.access.fingerprint(), since };
        let standing = match Standing::of(token, began, known.as_deref().ok()) {
            Ok(standing) => standing,
            Err(since) => return Ok(Step::Recheck(lacks(Some(since)), Error::Overloaded)),
        };
        let newest = standing.token().access.fingerprint();
        let refused_since = self.refusals.since(newest, wanted.rejected);
        let wish = Wish { min_validity: wanted.min_validity, rejected: refused_since.map(|_| newest) };
        let outlook = standing.outlook(&wish, client.map(|client| &**client), self.renewals.is_durable());
        if outlook == Outlook::Live {
            let renewable = self.is_renewable(&standing, entry);
            let trouble = standing.failure().map(RenewalTrouble::of);
            let token = Arc::clone(standing.token());
            return Ok(Step::Done(LiveToken {
                renewable,
                trouble,
                ..LiveToken::new(&profile, identity, token)
            }));
        }
        if identity.in_vault {
            // What the profile still has is older than what the user connected since.
            let token = self.vault_token(identity, wanted).await?;
            return Ok(Step::Done(LiveToken::of_vault(&profile, identity, token)));
        }
        // What the store would say may be what is missing.
        known?;
        if outlook == Outlook::Renewable {
            deadline.enter(Stage::Renewal);
            self.renewals.renew(subject, wish).await?;
            return Ok(Step::Again);
        }
        let error = self.unfit(identity, &wish, outlook);
        Ok(Step::Recheck(lacks(refused_since), error))
    }

    /// What the store knows. While it is slow, a profile's token that lives is not withheld.
    async fn known(&self, subject: Subject<'_>) -> Result<Arc<Known>, StoreError> {
        let mut known = pin!(self.renewals.known(subject));
        if let Ok(known) = tokio::time::timeout(STORE_PATIENCE, &mut known).await {
            return known;
        }
        if Freshness::of(subject.profile.expiry, Duration::ZERO) == Freshness::Dead {
            return known.await;
        }
        Err(StoreError::Unavailable { detail: "it takes more than 500 ms".to_owned() })
    }

    pub(super) fn is_renewable(&self, standing: &Standing<'_>, entry: Option<&ProviderEntry>) -> bool {
        entry.is_some_and(|entry| standing.is_renewable(&entry.client, self.renewals.is_durable()))
    }

    /// Why there is no token for `wish`.
    fn unfit(&self, identity: &Identity, wish: &Wish, outlook: Outlook) -> Error {
        let (provider, connection) = (identity.provider.clone(), identity.connection().to_owned());
        match outlook {
            Outlook::Over(why) => self.reauthentication(identity, why),
            Outlook::Resting { reason, left } => {
                Error::RenewalFailed { provider, connection, reason, retry_after: left }
            }
            Outlook::NotConfigured { missing } => Error::NotConfigured { provider: Some(provider), missing },
            Outlook::NotDurable => Error::NotDurable { provider, connection },
            Outlook::NeverSoLong { lifetime } => {
                let (wanted, lifetime) = (wish.min_validity.as_secs(), lifetime.as_secs());
                let problem = format!(
                    "is {wanted} s, but the tokens of {provider} live for {lifetime} s: ask for less"
                );
                InvalidField::new("min_validity", problem).into()
            }
            Outlook::Live | Outlook::Renewable => Error::Internal,
        }
    }
}
