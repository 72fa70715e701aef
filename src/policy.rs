//! Authorization: who may do what. Everything is denied by default. A [`Permit`] proves that the policy
//! allows an operation, and no use case runs without one.
//!
//! A [`Rule`] allows a request alone or not at all: caller, permission, provider and request must all match
//! one rule. No rule denies, so their order does not matter. [`Policy::explain`] reports how a decision is
//! reached, by the same code.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    caller::Caller,
    identity::{ConnectionName, Selector, UserId},
    rpc::Rpc,
};

mod action;
mod explain;
mod pattern;
mod permit;
mod provider_name;
mod request;
mod rule;
#[cfg(test)]
mod tests;

pub use action::{
    Action, CallProvider, GetIdentityToken, InspectIdentityToken, ListIdentities, Permission,
    RevokeIdentityToken,
};
pub use explain::{Basis, Decision, Question};
pub use pattern::{PATTERN_LIMIT, Pattern};
pub use permit::{ClearedRequest, Grant, LinkPermit, Permit, Scope};
pub use provider_name::ProviderName;
pub use request::{RequestPattern, Target};
pub use rule::{Mismatch, Rule, Who};

use permit::Granting;

/// A denial. It reveals neither what exists nor which rule is missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the policy does not allow this caller {what}")]
pub struct Denied {
    what: &'static str,
}

impl Denied {
    fn of(permission: Permission) -> Self {
        Self { what: permission.refusal() }
    }
}

/// The rules.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// `None` if callers are not told apart: everyone may do everything except get refresh tokens, which
    /// always takes a rule.
    rules: Option<Vec<Arc<Rule>>>,
    /// The strategies of connections, as far as the configuration names them.
    strategies: BTreeMap<String, String>,
}

impl Policy {
    /// A policy under which everyone who reaches the port may do everything except get refresh tokens.
    pub fn open() -> Self {
        Self::default()
    }

    /// A policy that denies whatever `rules` do not allow. `strategies` holds the known strategies of
    /// connections.
    pub fn new(rules: impl IntoIterator<Item = Rule>, strategies: BTreeMap<String, String>) -> Self {
        Self { rules: Some(rules.into_iter().map(Arc::new).collect()), strategies }
    }

    /// Decides whether `caller` may do `action` for `user`, with some identity that `selector` may select.
    ///
    /// # Errors
    /// When the policy denies it.
    pub fn authorize<A: Action>(
        &self,
        caller: &Caller,
        user: UserId,
        selector: &Selector,
        action: A,
    ) -> Result<Permit<A>, Denied> {
        if !is_own(caller, &user) {
            return Err(Denied { what: OTHERS });
        }
        let scope = self.scope(caller, &self.completed(selector), action.needs())?;
        Ok(Permit { grant: Grant { user, scope }, action })
    }

    /// Decides whether `caller` may create links to a login with `connection`.
    ///
    /// # Errors
    /// When the policy denies it.
    pub fn authorize_link(&self, caller: &Caller, connection: ConnectionName) -> Result<LinkPermit, Denied> {
        let selector = self.connection(connection.as_str());
        self.scope(caller, &selector, &[Permission::Rpc(Rpc::CreateConnectLink)])?;
        Ok(LinkPermit { connection })
    }

    /// The identities for which the rules give `caller` all of `needs`: those of rules that may cover
    /// `selector`.
    fn scope(&self, caller: &Caller, selector: &Selector, needs: &[Permission]) -> Result<Scope, Denied> {
        let denied = || Denied::of(*needs.last().expect("every action needs a permission"));
        if self.principle(caller, needs).is_some() {
            return Err(denied());
        }
        let Some(rules) = &self.rules else { return Ok(Scope(Granting::Everything)) };
        let granting = rules.iter().filter(|rule| rule.judge(caller, needs, selector, None).is_ok());
        let granting: Vec<_> = granting.cloned().collect();
        if granting.is_empty() { Err(denied()) } else { Ok(Scope(Granting::Rules(granting))) }
    }

    /// Denials that no rule can lift, with the reason.
    fn principle(&self, caller: &Caller, needs: &[Permission]) -> Option<&'static str> {
        let shows_tokens = needs.iter().any(|needed| needed.shows_tokens());
        match (caller, &self.rules) {
            (Caller::EndUser { .. }, _) if shows_tokens => Some("an end user never gets a raw token"),
            (Caller::EndUser { .. }, None) => Some("without `[end_users]` there are no end users"),
            (Caller::Anonymous, Some(_)) => Some("the caller did not prove who it is"),
            (_, None) if needs.contains(&Permission::RefreshToken) => {
                Some("`refresh-token` is never implied: it takes a rule")
            }
            _ => None,
        }
    }

    /// Adds the strategy to a `selector` that names only a connection, if the strategy is known.
    fn completed(&self, selector: &Selector) -> Selector {
        let mut selector = selector.clone();
        if selector.provider.is_empty()
            && let Some(strategy) = self.strategies.get(&selector.connection)
        {
            selector.provider.clone_from(strategy);
        }
        selector
    }

    /// All identities of one connection. A connection of unknown strategy counts as having its own, like most
    /// social connections, so that no rule for another strategy covers it.
    fn connection(&self, name: &str) -> Selector {
        let provider = self.strategies.get(name).map_or(name, String::as_str).to_owned();
        Selector { provider, connection: name.to_owned(), account_id: String::new() }
    }
}

/// The denial for an end user who asks about another user.
const OTHERS: &str = "to act for this user";
const OTHERS_WHY: &str = "an end user may only act for the subject of the token";

/// An end user may only act for the subject of the token.
fn is_own(caller: &Caller, user: &UserId) -> bool {
    match caller {
        Caller::EndUser { subject, .. } => subject == user,
        Caller::Anonymous | Caller::Service { .. } => true,
    }
}
