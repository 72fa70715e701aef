//! Who may do what. Denies by default; what it allows, it allows with a [`Permit`], without which no use case runs.
//!
//! A [`Rule`] allows by itself or not at all: caller, permission, provider and request must all match one rule. There
//! are no rules that deny, and so no order. [`Policy::explain`] tells how a decision comes about, by the same code.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    caller::Caller,
    identity::{ConnectionName, Selector, UserId},
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

/// The policy says no. Says nothing of what exists, nor which rule is missing.
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
    /// `None` where nobody is told apart: everybody may do everything, save get refresh tokens. That is never implied.
    rules: Option<Vec<Arc<Rule>>>,
    /// Of connections, as far as the configuration tells.
    strategies: BTreeMap<String, String>,
}

impl Policy {
    /// Everybody who reaches the port may do everything, save get refresh tokens.
    pub fn open() -> Self {
        Self::default()
    }

    /// What `rules` do not allow is denied. `strategies` has those of connections, as far as they are known.
    pub fn new(rules: impl IntoIterator<Item = Rule>, strategies: BTreeMap<String, String>) -> Self {
        Self { rules: Some(rules.into_iter().map(Arc::new).collect()), strategies }
    }

    /// Decides whether `caller` may do `action` for `user`, with some identity that `selector` may mean.
    ///
    /// # Errors
    /// When it may not.
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

    /// Decides whether `caller` may have links made that lead to a login with `connection`.
    ///
    /// # Errors
    /// When it may not.
    pub fn authorize_link(&self, caller: &Caller, connection: ConnectionName) -> Result<LinkPermit, Denied> {
        let selector = self.connection(connection.as_str());
        self.scope(caller, &selector, &[Permission::CreateConnectLink])?;
        Ok(LinkPermit { connection })
    }

    /// The identities that the rules give `caller` all of `needs` for. Those of rules that may cover `selector` do.
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

    /// What no rule can allow, and why.
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

    /// `selector` with the strategy of its connection, where only the latter is named and the former is known.
    fn completed(&self, selector: &Selector) -> Selector {
        let mut selector = selector.clone();
        if selector.provider.is_empty()
            && let Some(strategy) = self.strategies.get(&selector.connection)
        {
            selector.provider.clone_from(strategy);
        }
        selector
    }

    /// All identities of one connection. Where its strategy is not known it is taken to have one of its own, as most
    /// social connections do, so that no rule for another strategy covers it.
    fn connection(&self, name: &str) -> Selector {
        let provider = self.strategies.get(name).map_or(name, String::as_str).to_owned();
        Selector { provider, connection: name.to_owned(), account_id: String::new() }
    }
}

/// What an end user is told who asks for somebody else, and why.
const OTHERS: &str = "to act for this user";
const OTHERS_WHY: &str = "an end user may only act for the subject of the token";

/// An end user may only act for the subject of the token.
fn is_own(caller: &Caller, user: &UserId) -> bool {
    match caller {
        Caller::EndUser { subject, .. } => subject == user,
        Caller::Anonymous | Caller::Service { .. } => true,
    }
}
