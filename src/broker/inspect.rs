//! InspectIdentityToken.

use std::time::Duration;

use super::{
    Broker, Error, Finding, IdentityView,
    findings::{Facts, Mend, Problem},
};
use crate::{
    context::{Authorized, Ctx},
    identity::{Identity, Selector},
    policy::{InspectIdentityToken, Permit},
    provider::Inspected,
    provider_client::Told,
    token::{Expiry, ExpiryBasis},
    tokens::{NewestToken, TokenRequest, TokenSummary},
};

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

impl Broker {
    /// Asks the provider about the newest token of an identity of the permit's user. Renews nothing.
    ///
    /// # Errors
    /// When no single identity is meant, or the provider does not tell.
    pub async fn inspect(
        &self,
        call: &Authorized<'_, Permit<InspectIdentityToken>>,
        selector: &Selector,
    ) -> Result<Inspection, Error> {
        let request = TokenRequest::of(call, selector, Duration::ZERO);
        let inspected = Box::pin(self.tokens.inspect(&request)).await;
        let (newest, told) = inspected.map_err(|error| self.error(error, "InspectIdentityToken"))?;
        Ok(self.inspection(call.ctx(), &newest, told))
    }

    fn inspection(&self, ctx: &Ctx, newest: &NewestToken, told: Told) -> Inspection {
        let (identity, status) = (newest.selected().identity(), newest.status());
        let summary = self.tokens.summary_of(ctx.caller(), &status);
        let active = matches!(told, Told::Active(_));
        let is_dead = told == Told::Inactive;
        let (Inspected { expires_at, scopes, .. }, not_known_by) = match told {
            Told::Active(inspected) => (inspected, None),
            Told::Inactive => (Inspected::default(), None),
            Told::NotKnown { client_id } => (Inspected::default(), Some(client_id)),
        };
        let expiry = match expires_at {
            Some(time) => Some(Expiry::at(time, ExpiryBasis::Provider)),
            // Of a dead token it is not known when it ended, unless that was due.
            None => summary.expiry.filter(|expiry| !is_dead || expiry.remaining().is_zero()),
        };
        let facts = Facts {
            strategy: &identity.provider,
            active,
            not_known_by: not_known_by.as_deref(),
            scopes: &scopes,
            ends: expires_at.is_some() || status.token().expiry.is_some(),
            expiry,
            failure: status.failure().map(|failure| (failure, status.backoff())),
            renewability: status.renewability(),
        };
        let findings = facts.problems().into_iter().map(|problem| self.finding(identity, problem)).collect();
        let view = IdentityView::new(newest.selected(), TokenSummary { expiry, ..summary });
        Inspection { view, active, scopes, findings }
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
