//! Explains decisions to the operator; callers do not see this.

use super::{Caller, Mismatch, OTHERS_WHY, Permission, Policy, Rule, Target, is_own};
use crate::identity::{Selector, UserId};

/// A complete question to the policy.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The user; `None` for connect links, which are not for a particular user.
    pub user: Option<&'a UserId>,
    /// The permissions that are needed.
    pub needs: &'a [Permission],
    /// The identity's strategy; empty for all of a user's identities.
    pub provider: &'a str,
    /// The identity's connection; empty for all of a user's identities.
    pub connection: &'a str,
    /// The request to be sent, if any.
    pub target: Option<Target<'a>>,
}

/// A decision, with the verdict of every rule.
#[derive(Debug)]
pub struct Decision<'a> {
    /// The reason.
    pub basis: Basis<'a>,
    /// All rules in the file's order, and whether each allows this by itself.
    pub rules: Vec<(&'a Rule, Result<(), Mismatch>)>,
}

/// The reason for a decision.
#[derive(Clone, Copy, Debug)]
pub enum Basis<'a> {
    /// Allowed by a rule, the first that matches.
    Rule(&'a Rule),
    /// Allowed, because there are no rules.
    NoRules,
    /// Denied whatever the rules say, with the reason.
    Principle(&'static str),
    /// Denied, because no rule allows it.
    Default,
}

impl Basis<'_> {
    /// Returns whether it is allowed.
    pub fn is_allowed(self) -> bool {
        matches!(self, Self::Rule(_) | Self::NoRules)
    }
}

impl Policy {
    /// Explains the decision about `question` for `caller`.
    pub fn explain(&self, caller: &Caller, question: &Question<'_>) -> Decision<'_> {
        let Question { user, needs, provider, connection, target } = question;
        let selector = Selector {
            provider: (*provider).to_owned(),
            connection: (*connection).to_owned(),
            ..Selector::default()
        };
        let judge = |rule| Rule::judge(rule, caller, needs, &selector, target.as_ref());
        let rules: Vec<_> =
            self.rules.iter().flatten().map(|rule| &**rule).map(|rule| (rule, judge(rule))).collect();
        let principle = if user.is_none_or(|user| is_own(caller, user)) {
            self.principle(caller, needs)
        } else {
            Some(OTHERS_WHY)
        };
        let by_rule = rules.iter().find(|(_, judgement)| judgement.is_ok());
        let basis = match (principle, by_rule) {
            (Some(why), _) => Basis::Principle(why),
            (None, Some((rule, _))) => Basis::Rule(rule),
            (None, None) if self.rules.is_none() => Basis::NoRules,
            (None, None) => Basis::Default,
        };
        Decision { basis, rules }
    }

    /// The strategy of a connection, if the configuration names it.
    pub fn strategy_of(&self, connection: &str) -> Option<&str> {
        self.strategies.get(connection).map(String::as_str)
    }
}
