//! Permits: what the policy has allowed, as values that the use cases ask for.

use std::sync::Arc;

use super::{CallProvider, Denied, Permission, Rule, Target};
use crate::{
    identity::{ConnectionName, Identity, Selector, UserId},
    provider::{Provider, request::ApiRequest},
};

/// Leave to do one thing for one user, with some of their identities. Only [`super::Policy::authorize`] makes it.
#[derive(Debug)]
pub struct Permit<A> {
    pub(super) grant: Grant,
    pub(super) action: A,
}

/// Whose identities a permit is about, and which of them.
#[derive(Debug)]
pub struct Grant {
    pub(super) user: UserId,
    pub(super) scope: Scope,
}

impl<A> Permit<A> {
    /// For whom, and with which identities.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// For what.
    pub fn action(&self) -> &A {
        &self.action
    }
}

impl Grant {
    /// For whom.
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// With which identities. For this caller the user has no others.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }
}

/// The identities that a permit is about.
#[derive(Debug)]
pub struct Scope(pub(super) Granting);

/// What grants a permit.
#[derive(Debug)]
pub(super) enum Granting {
    /// There are no rules.
    Everything,
    /// These rules, each by itself: a request that one lets through does not pass with the provider of another.
    Rules(Vec<Arc<Rule>>),
}

impl Scope {
    /// Whether `identity` exists for this caller.
    pub fn covers(&self, identity: &Identity) -> bool {
        match &self.0 {
            Granting::Everything => true,
            Granting::Rules(rules) => {
                let selector = identity.selector();
                rules.iter().any(|rule| rule.may_cover(&selector))
            }
        }
    }
}

impl Permit<CallProvider> {
    /// Whether `request`, as `adapter` sends it, would be let through for some identity that `selector` means.
    ///
    /// # Errors
    /// When it would not.
    pub fn foresee(
        &self,
        selector: &Selector,
        request: &ApiRequest,
        adapter: &dyn Provider,
    ) -> Result<(), Denied> {
        let path = adapter.sent_path(request.path_and_query.path());
        self.judge(selector, &Target::of(request, &path))
    }

    fn judge(&self, selector: &Selector, target: &Target<'_>) -> Result<(), Denied> {
        let is_let_through = match &self.grant.scope.0 {
            Granting::Everything => true,
            Granting::Rules(rules) => {
                rules.iter().any(|rule| rule.may_cover(selector) && rule.lets_through(target))
            }
        };
        is_let_through.then_some(()).ok_or(Denied::of(Permission::CallProvider))
    }

    /// Lets `request` through, as `adapter` sends it, with the token of `identity`.
    ///
    /// # Errors
    /// When no rule allows just this.
    pub fn clear(
        &self,
        identity: &Identity,
        request: ApiRequest,
        adapter: &dyn Provider,
    ) -> Result<ClearedRequest, Denied> {
        self.foresee(&identity.selector(), &request, adapter)?;
        Ok(ClearedRequest(request))
    }
}

/// A request that the policy lets through. Only [`Permit::clear`] makes it.
#[derive(Debug)]
pub struct ClearedRequest(ApiRequest);

impl ClearedRequest {
    /// The request.
    pub fn request(&self) -> &ApiRequest {
        &self.0
    }
}

/// Leave to make links for one connection. Only [`super::Policy::authorize_link`] makes it.
#[derive(Debug)]
pub struct LinkPermit {
    pub(super) connection: ConnectionName,
}

impl LinkPermit {
    /// For which connection.
    pub fn connection(&self) -> &ConnectionName {
        &self.connection
    }
}
