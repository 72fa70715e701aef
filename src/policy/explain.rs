//! How a decision comes about, for the operator: callers are not told.

use super::{Caller, Mismatch, OTHERS_WHY, Permission, Policy, Rule, Target, is_own};
use crate::identity::{Selector, UserId};

/// What is to be decided, to the last detail.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// For whom; `None` for links, which are for nobody in particular.
    pub user: Option<&'a UserId>,
    /// What is needed.
    pub needs: &'a [Permission],
    /// The identity's strategy; empty where all of a user's are meant.
    pub provider: &'a str,
    /// The identity's connection; empty where all of a user's are meant.
    pub connection: &'a str,
    /// What is to be sent, if anything.
    pub target: Option<Target<'a>>,
}

/// A decision, and what every rule has to do with it.
#[derive(Debug)]
pub struct Decision<'a> {
    /// What it rests on.
    pub basis: Basis<'a>,
    /// Every rule, in the order of the file, and whether it allows this by itself.
    pub rules: Vec<(&'a Rule, Result<(), Mismatch>)>,
}

/// What a decision rests on.
#[derive(Clone, Copy, Debug)]
pub enum Basis<'a> {
    /// Allowed by the first rule that does.
    Rule(&'a Rule),
    /// Allowed, since there are no rules.
    NoRules,
    /// Denied, whatever the rules say; with the reason.
    Principle(&'static str),
    /// Denied, since no rule allows it.
    Default,
}

impl Basis<'_> {
    /// Whether it is allowed.
    pub fn is_allowed(self) -> bool {
        matches!(self, Self::Rule(_) | Self::NoRules)
    }
}

impl Policy {
    /// How the decision about `question` comes about, for `caller`.
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

    /// The strategy of a connection, where the configuration tells.
    pub fn strategy_of(&self, connection: &str) -> Option<&str> {
        self.strategies.get(connection).map(String::as_str)
    }
}
