//! The ladder to a live token: the newest one at hand, a fresh read of the profile, a renewal, and then only
//! the user.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    IdentitySnapshot, Plan, Requirement, Selected, StoredState, TokenError, TokenRequest, TokenStatus,
    TokenSummary, Tokens, Unusable,
    rejected::{Introspection, Rejection},
    status::Blocker,
};
use crate::{
    auth0::Acceptance,
    cache::Loaded,
    deadline::Stage,
    identity::{Identity, Profile, StoredToken},
    shares::Overload,
    store::StoreError,
    token::{Fingerprint, TokenSource},
};

/// Steps of the ladder that one call takes at most. Each step up makes sure of something that the one before
/// left open, so four suffice; one more for what changes meanwhile.
const MOST_STEPS: usize = 5;

/// How long to wait for the store when what it said before would do: deadlines are often a second or two.
const STORE_PATIENCE: Duration = Duration::from_millis(500);

/// A token that lives long enough, with the identity that it belongs to.
#[derive(Clone, Debug)]
pub struct LiveToken {
    pub(super) selected: Selected,
    pub(super) token: Arc<StoredToken>,
    /// What callers are told about it.
    pub summary: TokenSummary,
    /// Whether it was renewed for this call.
    pub renewed: bool,
}

impl LiveToken {
    /// Whose account it gives access to.
    pub fn identity(&self) -> &Identity {
        self.selected.identity()
    }

    /// The token.
    pub fn token(&self) -> &StoredToken {
        &self.token
    }

    /// The identity, and the profile that it came from.
    pub fn selected(&self) -> &Selected {
        &self.selected
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.token.access.fingerprint()
    }

    /// The newest token of an identity.
    pub(super) fn of(snapshot: &IdentitySnapshot, status: &TokenStatus<'_>) -> Self {
        let (selected, token) = (snapshot.selected.clone(), Arc::clone(status.token()));
        Self { selected, token, summary: status.summary(None), renewed: false }
    }

    /// A token that Auth0 itself renews.
    pub(super) fn of_vault(selected: Selected, token: Arc<StoredToken>) -> Self {
        let summary = TokenSummary::of_vault(token.expiry);
        Self { selected, token, summary, renewed: false }
    }
}

/// A profile's token that will not do, so that a newer profile is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Lacking {
    pub(super) token: Fingerprint,
    /// A profile that was read before is of no use.
    pub(super) since: Option<Instant>,
}

/// What one step of the ladder came to.
enum Step {
    Done(LiveToken),
    /// A newer profile may tell more; or else this is the error.
    Recheck(Lacking, TokenError),
    /// A renewal was made, by whomever.
    Again,
}

impl Tokens {
    /// A token that meets the request.
    ///
    /// # Errors
    /// When there is none.
    pub async fn get(self: &Arc<Self>, request: &TokenRequest<'_>) -> Result<LiveToken, TokenError> {
        let mut lacking = None;
        let mut renewed = false;
        for _ in 0..MOST_STEPS {
            let profile = self.profile(request, lacking).await?;
            match self.step(request, profile).await? {
                Step::Done(live) => {
                    request.ctx.audit().uses(&live.token.access);
                    let renewed = renewed && live.token.source == TokenSource::Renewed;
                    return Ok(LiveToken { renewed, ..live });
                }
                Step::Recheck(token, error) if lacking == Some(token) => return Err(error),
                Step::Recheck(token, _) => lacking = Some(token),
                Step::Again => renewed = true,
            }
        }
        // Others kept renewing and refusing meanwhile.
        Err(TokenError::Overloaded(Overload::Exhausted))
    }

    /// A live token of a login that is later than the one behind `live`, if Auth0 knows of one. It is asked
    /// rarely about a user whose tokens stay the same, see [`Acceptance::Insufficient`].
    pub async fn of_later_login(
        self: &Arc<Self>,
        live: &LiveToken,
        request: &TokenRequest<'_>,
    ) -> Option<LiveToken> {
        let token = live.identity().fingerprint()?;
        let profile = self.profile(request, Some(Lacking { token, since: None })).await.ok()?;
        let latest = request.selected(&profile).ok()?;
        if latest.identity().fingerprint() == Some(token) {
            return None;
        }
        self.get(request).await.ok()
    }

    /// A profile that selects one identity, and is newer than the one that lacked something.
    pub(super) async fn profile(
        &self,
        request: &TokenRequest<'_>,
        lacking: Option<Lacking>,
    ) -> Result<Loaded<Arc<Profile>>, TokenError> {
        let judge = |profile: &Profile, began: Instant| {
            let Ok(index) = request.select(profile) else { return Acceptance::Insufficient };
            let shown = profile.identities[index].fingerprint();
            match lacking.filter(|lacking| Some(lacking.token) == shown) {
                Some(Lacking { since: Some(since), .. }) if began < since => Acceptance::Stale { since },
                Some(_) => Acceptance::Insufficient,
                None => Acceptance::Accept,
            }
        };
        self.read(request, judge).await
    }

    /// The profile of the user whose token is asked for, as `judge` accepts it.
    pub(super) async fn read(
        &self,
        request: &TokenRequest<'_>,
        judge: impl Fn(&Profile, Instant) -> Acceptance + Sync,
    ) -> Result<Loaded<Arc<Profile>>, TokenError> {
        let holder = request.ctx.holder();
        request.ctx.deadline().enter(self.auth0.stage(holder));
        Ok(self.auth0.profile(request.grant.user(), holder, &judge).await?)
    }

    /// What happens rarely is boxed, so that the future of a call that needs none of it stays small.
    async fn step(
        self: &Arc<Self>,
        request: &TokenRequest<'_>,
        profile: Loaded<Arc<Profile>>,
    ) -> Result<Step, TokenError> {
        let selected = request.selected(&profile)?;
        request.ctx.audit().found(selected.identity());
        let Some(token) = selected.identity().token.clone() else {
            return Ok(Step::Done(Box::pin(self.vault_token(request, selected)).await?));
        };
        let snapshot = self.snapshot(selected, token);
        let stored = self.load_with_patience(&snapshot).await?;
        let lacks = |since| Lacking { token: snapshot.token.access.fingerprint(), since };
        let status = match self.status(&snapshot, Some(&stored)) {
            Ok(status) => status,
            Err(stale) => {
                return Ok(Step::Recheck(
                    lacks(Some(stale.since)),
                    TokenError::Overloaded(Overload::Exhausted),
                ));
            }
        };
        let rejection = self.rejection(request, &status);
        let requirement = request.requirement(&status, rejection);
        let plan = status.plan(&requirement);
        if plan == Ok(Plan::Use) {
            return Ok(Step::Done(LiveToken::of(&snapshot, &status)));
        }
        if snapshot.selected.identity().in_vault {
            // What the profile still has is older than what the user connected since.
            return Ok(Step::Done(Box::pin(self.vault_token(request, snapshot.selected)).await?));
        }
        let plan = match plan {
            Ok(_) if !Box::pin(self.may_renew(&snapshot, &status, rejection)).await => {
                Err(Blocker::Unusable(Unusable::Refused))
            }
            plan => plan,
        };
        if let Err(blocker) = plan {
            self.remember_end(&snapshot, &stored);
            let error = TokenError::blocked(&snapshot.selected, request.min_validity, blocker);
            return Ok(Step::Recheck(lacks(rejection.map(|rejection| rejection.since)), error));
        }
        request.ctx.deadline().enter(Stage::Renewal);
        Box::pin(self.renew(&snapshot, requirement)).await?;
        Ok(Step::Again)
    }

    /// Whether the evidence against the newest token suffices to renew it, or the provider, when it is asked,
    /// gives more.
    async fn may_renew(
        self: &Arc<Self>,
        snapshot: &IdentitySnapshot,
        status: &TokenStatus<'_>,
        rejection: Option<Rejection>,
    ) -> bool {
        if status.justifies_renewal(rejection) {
            return true;
        }
        let Some(client) = &snapshot.client else { return false };
        // With another application than the token's, a renewal would not succeed, and so cost nobody a token.
        let word = self.introspect(client, &snapshot.selected, &status.token().access).await;
        matches!(word, Introspection::Inactive | Introspection::NotKnown)
    }

    /// What the store knows. While it is slow, what it said before is not withheld; of an identity about
    /// which nothing is known, the profile's token may be one that was revoked or replaced here.
    async fn load_with_patience(&self, snapshot: &IdentitySnapshot) -> Result<Arc<StoredState>, StoreError> {
        let mut stored = pin!(self.load_and_renew_ahead(snapshot));
        if let Ok(stored) = tokio::time::timeout(STORE_PATIENCE, &mut stored).await {
            return stored;
        }
        match self.records.peek(snapshot.selected.key()) {
            Some(kept) => Ok(kept.value),
            None => stored.await,
        }
    }

    /// Why the newest token of `status` will not do for the request, though it may look well.
    pub(super) fn rejection(
        &self,
        request: &TokenRequest<'_>,
        status: &TokenStatus<'_>,
    ) -> Option<Rejection> {
        let newest = status.token().access.fingerprint();
        let (caller, is_reported) = (request.ctx.caller(), request.rejected == Some(newest));
        self.rejected.rejection(newest, caller, is_reported, status.accepted_since())
    }
}

impl TokenRequest<'_> {
    pub(super) fn requirement(&self, status: &TokenStatus<'_>, rejection: Option<Rejection>) -> Requirement {
        let rejected = rejection.map(|_| status.token().access.fingerprint());
        Requirement { min_validity: self.min_validity, rejected }
    }
}
