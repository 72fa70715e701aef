//! One rule: who may do what, with whose tokens, by which requests.

use std::{collections::BTreeSet, fmt};

use super::{Caller, Pattern, Permission, ProviderName, RequestPattern, Target};
use crate::identity::Selector;

/// A table of the configuration that allows something. What no rule allows is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Who is meant.
    pub who: Who,
    /// What they may do.
    pub allow: BTreeSet<Permission>,
    /// With whose tokens.
    pub providers: Vec<ProviderName>,
    /// By which requests, where they may have any sent.
    pub requests: Vec<RequestPattern>,
    /// The line of the file that the rule begins on, counted from 1.
    pub line: Option<usize>,
}

/// Whom a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Services whose id matches: `[[callers]]`.
    Services(Pattern),
    /// Every end user, for themselves: `[end_users]`.
    EndUsers,
}

/// The first thing that keeps a rule from allowing something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// It is about others.
    Caller,
    /// Its `allow` lacks a permission.
    Permission(Permission),
    /// None of its `providers` is the identity's.
    Provider,
    /// None of its `requests` matches.
    Request,
}

impl Rule {
    /// Whether this rule allows `caller` all of `needs` with some identity that `selector` means and, where one is to
    /// be sent, by the request `target`.
    ///
    /// # Errors
    /// The first thing that does not match.
    pub(super) fn judge(
        &self,
        caller: &Caller,
        needs: &[Permission],
        selector: &Selector,
        target: Option<&Target<'_>>,
    ) -> Result<(), Mismatch> {
        if !self.who.is(caller) {
            return Err(Mismatch::Caller);
        }
        if let Some(lacking) = needs.iter().find(|needed| !self.allow.contains(needed)) {
            return Err(Mismatch::Permission(*lacking));
        }
        if !self.may_cover(selector) {
            return Err(Mismatch::Provider);
        }
        match target {
            Some(target) if !self.lets_through(target) => Err(Mismatch::Request),
            _ => Ok(()),
        }
    }

    /// Whether the rule is about some identity that `selector` means; exact where that names provider and connection.
    pub(super) fn may_cover(&self, selector: &Selector) -> bool {
        self.providers.iter().any(|name| name.may_cover(selector))
    }

    /// Whether the rule lets the request through.
    pub(super) fn lets_through(&self, target: &Target<'_>) -> bool {
        self.requests.iter().any(|pattern| pattern.matches(target))
    }
}

impl Who {
    /// Nobody is who did not prove who they are.
    fn is(&self, caller: &Caller) -> bool {
        match (self, caller) {
            (Self::Services(pattern), Caller::Service { id }) => pattern.matches(id),
            (Self::EndUsers, Caller::EndUser { .. }) => true,
            (Self::Services(_), Caller::EndUser { .. } | Caller::Anonymous)
            | (Self::EndUsers, Caller::Service { .. } | Caller::Anonymous) => false,
        }
    }
}

/// As the configuration names it.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Services(pattern) => write!(f, "[[callers]] {pattern}"),
            Self::EndUsers => f.write_str("[end_users]"),
        }
    }
}
