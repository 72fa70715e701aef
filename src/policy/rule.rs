//! A rule: who may do what, with which identities, by which requests.

use std::{collections::BTreeSet, fmt};

use super::{Caller, Pattern, Permission, ProviderName, RequestPattern, Target};
use crate::identity::Selector;

/// A configuration table that allows something. What no rule allows is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The callers.
    pub who: Who,
    /// The permissions.
    pub allow: BTreeSet<Permission>,
    /// The identities.
    pub providers: Vec<ProviderName>,
    /// The requests, if the permissions allow any to be sent.
    pub requests: Vec<RequestPattern>,
    /// The line of the file where the rule begins, counted from 1.
    pub line: Option<usize>,
}

/// The callers that a rule covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Services whose id matches the pattern: `[[callers]]`.
    Services(Pattern),
    /// Every end user, for themselves: `[end_users]`.
    EndUsers,
}

/// The first part of a rule that does not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The rule is for other callers.
    Caller,
    /// Its `allow` lacks a permission.
    Permission(Permission),
    /// None of its `providers` matches the identity.
    Provider,
    /// None of its `requests` matches the request.
    Request,
}

impl Rule {
    /// Checks that this rule allows `caller` all of `needs` with some identity that `selector` can select
    /// and, if a request is to be sent, for `target`.
    ///
    /// # Errors
    /// The first part that does not match.
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

    /// Returns whether the rule covers some identity that `selector` can select. Exact if it names provider
    /// and connection.
    pub(super) fn may_cover(&self, selector: &Selector) -> bool {
        self.providers.iter().any(|name| name.may_cover(selector))
    }

    /// Returns whether the rule allows the request.
    pub(super) fn lets_through(&self, target: &Target<'_>) -> bool {
        self.requests.iter().any(|pattern| pattern.matches(target))
    }
}

impl Who {
    /// A caller without a proven identity matches no pattern.
    fn is(&self, caller: &Caller) -> bool {
        match (self, caller) {
            (Self::Services(pattern), Caller::Service { id }) => pattern.matches(id),
            (Self::EndUsers, Caller::EndUser { .. }) => true,
            (Self::Services(_), Caller::EndUser { .. } | Caller::Anonymous)
            | (Self::EndUsers, Caller::Service { .. } | Caller::Anonymous) => false,
        }
    }
}

/// The notation of the configuration.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Services(pattern) => write!(f, "[[callers]] {pattern}"),
            Self::EndUsers => f.write_str("[end_users]"),
        }
    }
}
