//! What is asked of [`super::Tokens`].

use std::{sync::Arc, time::Duration};

use super::Selected;
use crate::{
    cache::Loaded,
    context::{Authorized, Ctx},
    identity::{Profile, SelectError, Selector},
    policy::{Grant, Permit},
    token::Fingerprint,
};

/// A request for a token of the identity that `selector` names, within a permit's grant.
#[derive(Clone, Copy)]
pub struct TokenRequest<'a> {
    /// The context of the call: its caller, its deadline and its record.
    pub ctx: &'a Ctx,
    /// Whose identities, and which of them.
    pub grant: &'a Grant,
    /// Which one is meant.
    pub selector: &'a Selector,
    /// How long the token must live.
    pub min_validity: Duration,
    /// A token that the provider has just refused, as the caller says or an answer shows.
    pub rejected: Option<Fingerprint>,
}

impl<'a> TokenRequest<'a> {
    /// A request for a token that lives for `min_validity`.
    pub fn of<A>(
        call: &'a Authorized<'_, Permit<A>>,
        selector: &'a Selector,
        min_validity: Duration,
    ) -> Self {
        Self { ctx: call.ctx(), grant: call.permit().grant(), selector, min_validity, rejected: None }
    }

    /// The one identity in `profile` that is meant, of those that the grant covers.
    ///
    /// # Errors
    /// When none, several, or only identities without a token match.
    pub(super) fn selected(&self, profile: &Loaded<Arc<Profile>>) -> Result<Selected, SelectError> {
        Ok(Selected::at(profile, self.select(&profile.value)?))
    }

    /// Its index in `profile`; else the same errors.
    pub(super) fn select(&self, profile: &Profile) -> Result<usize, SelectError> {
        profile.select(self.selector, |identity| self.grant.scope().covers(identity))
    }
}
