//! InspectIdentityToken.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    Broker, Finding, IdentityView,
    findings::{Facts, Means, Mend, Problem},
    found::{self, Found},
};
use crate::{
    deadline::{Deadline, Stage},
    error::Error,
    identity::{Identity, Selector},
    policy::{InspectIdentityToken, Permit},
    provider::Inspected,
    renewal::{Known, Standing},
    token::{Expiry, ExpiryBasis},
};

const OPERATION: &str = "InspectIdentityToken";

/// Profiles that one inspection reads at most: one, and one more where it is older than what the store knows.
const MOST_READS: usize = 3;

/// What a provider says of an identity's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The identity, with the expiry that the provider tells.
    pub view: IdentityView,
    /// Whether the provider accepts the token now.
    pub active: bool,
    /// The scopes that were granted; empty if the provider does not tell.
    pub scopes: Vec<String>,
    /// What is to be mended; empty if all is well.
    pub findings: Vec<Finding>,
}

/// An identity whose newest token is known.
struct Newest {
    found: Found,
    known: Arc<Known>,
}

impl Newest {
    fn standing(&self) -> Standing<'_> {
        self.found.standing(&self.known).expect("it was judged when it was found")
    }
}

impl Broker {
    /// Asks the provider about the newest token of an identity of the permit's user. Renews nothing.
    ///
    /// # Errors
    /// When no single identity is meant, or the provider does not tell.
    pub async fn inspect(
        &self,
        permit: &Permit<InspectIdentityToken>,
        selector: &Selector,
        deadline: &Deadline,
    ) -> Result<Inspection, Error> {
        let mut newest = self.newest(permit, selector, None, deadline).await?;
        let mut told = self.ask(&newest, deadline).await?;
        if told.is_none()
            && let Some(later) = self.after_a_login(permit, &newest, deadline).await
        {
            told = self.ask(&later, deadline).await?;
            newest = later;
        }
        Ok(self.inspection(&newest, told))
    }

    async fn newest(
        &self,
        permit: &Permit<InspectIdentityToken>,
        selector: &Selector,
        mut since: Option<Instant>,
        deadline: &Deadline,
    ) -> Result<Newest, Error> {
        for _ in 0..MOST_READS {
            let found = self.find(permit, selector, since, deadline).await?;
            // Without its provider, since nothing is to be renewed.
            let known = self.renewals.known(found.subject(None)).await?;
            match found.standing(&known) {
                Ok(standing) => {
                    permit.trail().uses(&standing.token().access);
                    return Ok(Newest { found, known });
                }
                Err(moment) => since = Some(moment),
            }
        }
        // Others kept writing meanwhile.
        Err(Error::Overloaded)
    }

    /// The identity as Auth0 has it now, where that shows another token than the dead one.
    async fn after_a_login(
        &self,
        permit: &Permit<InspectIdentityToken>,
        dead: &Newest,
        deadline: &Deadline,
    ) -> Option<Newest> {
        let token = dead.standing().token().access.fingerprint();
        let since = self.refusals.since(token, None);
        let selector = dead.found.identity().selector();
        let later = self.newest(permit, &selector, since, deadline).await.ok()?;
        let is_another = later.standing().token().access.fingerprint() != token;
        is_another.then_some(later)
    }

    /// Asks, and remembers the answer; `None` if the token is dead.
    async fn ask(&self, newest: &Newest, deadline: &Deadline) -> Result<Option<Inspected>, Error> {
        let identity = newest.found.identity();
        let entry = self.entry_for(identity, OPERATION)?;
        let _place = entry.places.try_acquire().map_err(|_| Error::Overloaded)?;
        deadline.enter(Stage::Provider);
        let token = newest.standing().token();
        let told = entry.client.inspect(&token.access, deadline.at(), &self.metrics).await;
        let told = told.map_err(|trouble| {
            let is_late = Instant::now() >= deadline.at();
            let error = || found::error(identity, OPERATION, trouble);
            if is_late { Error::DeadlineExceeded(Stage::Provider) } else { error() }
        })?;
        let fingerprint = token.access.fingerprint();
        match &told {
            Some(_) => self.refusals.forget(fingerprint),
            None => {
                self.refusals.saw(fingerprint);
                // What has expired is never handed out again in any case.
                if token.expiry.is_none_or(|expiry| !expiry.remaining().is_zero()) {
                    let origin = newest.found.token().access.fingerprint();
                    self.renewals.refuse(newest.found.user(), &identity.key, origin, fingerprint).await;
                }
            }
        }
        // Scopes are the one text of the provider's that is passed on.
        let own = [&token.access, &newest.found.token().access];
        Ok(told.map(|mut told| {
            told.scopes.retain(|scope| !own.iter().any(|own| scope.contains(own.expose())));
            told
        }))
    }

    fn inspection(&self, newest: &Newest, told: Option<Inspected>) -> Inspection {
        let (identity, standing) = (newest.found.identity(), newest.standing());
        let view = self.view_of(newest.found.user(), identity, &standing);
        let active = told.is_some();
        let Inspected { expires_at, scopes, .. } = told.unwrap_or_default();
        let expiry = match expires_at {
            Some(time) => Some(Expiry::at(time, ExpiryBasis::Provider)),
            // Of a dead token it is not known when it ended, unless that was due.
            None => view.expiry.filter(|expiry| active || expiry.remaining().is_zero()),
        };
        let means = self.providers.of(identity).map_or(Means::None, |entry| {
            Means::of(&identity.provider, &entry.client, &standing, self.renewals.is_durable())
        });
        let facts = Facts {
            strategy: &identity.provider,
            active,
            scopes: &scopes,
            ends: expires_at.is_some() || standing.token().expiry.is_some(),
            expiry,
            revoked: standing.is_revoked(),
            failure: standing.failure().map(|failure| (failure, standing.rest())),
            means,
        };
        let findings = facts.problems().into_iter().map(|problem| self.finding(identity, problem)).collect();
        Inspection { view: IdentityView { expiry, ..view }, active, scopes, findings }
    }

    fn finding(&self, identity: &Identity, problem: Problem) -> Finding {
        let connect_url = match problem.mend {
            Mend::Operator => None,
            Mend::Login => self.link_for(identity, &[]),
            Mend::OfflineLogin => self.offline_link_for(identity),
        };
        Finding { reason: problem.reason, message: problem.message, connect_url }
    }
}
