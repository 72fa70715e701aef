//! Permits: what the policy has allowed, as values that the use cases require.

use std::sync::Arc;

use super::{CallProvider, Denied, Permission, Rule, Target};
use crate::{
    identity::{ConnectionName, Identity, Selector, UserId},
    provider::{Provider, request::ApiRequest},
    rpc::Rpc,
};

/// A permit for one operation for one user, with some of their identities. Only [`super::Policy::authorize`]
/// creates it.
#[derive(Debug)]
pub struct Permit<A> {
    pub(super) grant: Grant,
    pub(super) action: A,
}

/// The user and the identities that a permit covers.
#[derive(Debug)]
pub struct Grant {
    pub(super) user: UserId,
    pub(super) scope: Scope,
}

impl<A> Permit<A> {
    /// The user and the identities.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The permitted operation.
    pub fn action(&self) -> &A {
        &self.action
    }
}

impl Grant {
    /// The user.
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// The identities. Others of the user do not exist for this caller.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }
}

/// The identities that a permit covers.
#[derive(Debug)]
pub struct Scope(pub(super) Granting);

/// The source of a permit.
#[derive(Debug)]
pub(super) enum Granting {
    /// There are no rules.
    Everything,
    /// These rules, each by itself: a request allowed by one does not pass with the provider of another.
    Rules(Vec<Arc<Rule>>),
}

impl Scope {
    /// Returns whether `identity` exists for this caller.
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
    /// Checks that `request`, as `adapter` sends it, may pass for some identity that `selector` can select.
    ///
    /// # Errors
    /// When it cannot pass for any.
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
        is_let_through.then_some(()).ok_or(Denied::of(Permission::Rpc(Rpc::CallProvider)))
    }

    /// Clears `request`, as `adapter` sends it, for the token of `identity`.
    ///
    /// # Errors
    /// When no rule allows exactly this.
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

/// A request that the policy allows. Only [`Permit::clear`] creates it.
#[derive(Debug)]
pub struct ClearedRequest(ApiRequest);

impl ClearedRequest {
    /// The request.
    pub fn request(&self) -> &ApiRequest {
        &self.0
    }
}

/// A permit to create links for one connection. Only [`super::Policy::authorize_link`] creates it.
#[derive(Debug)]
pub struct LinkPermit {
    pub(super) connection: ConnectionName,
}

impl LinkPermit {
    /// The connection.
    pub fn connection(&self) -> &ConnectionName {
        &self.connection
    }
}
