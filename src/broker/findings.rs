//! What keeps an identity from being used, or soon will, in words that an operator can act on. Pure judgement.

use std::time::Duration;

use crate::{
    store::Failure,
    token::{Expiry, ExpiryBasis},
    tokens::Renewability,
};

mod words;

/// A token that cannot be renewed and ends within this time is about to be a problem.
const SOON: Duration = Duration::from_secs(24 * 3600);

/// Scopes that a login brings by itself, at any provider, and with which hardly anything can be called.
const OF_A_LOGIN: [&str; 10] = [
    "openid",
    "email",
    "profile",
    "offline_access",
    "public_profile",
    "read:user",
    "user:email",
    "User.Read",
    "https://www.googleapis.com/auth/userinfo.email",
    "https://www.googleapis.com/auth/userinfo.profile",
];

/// The kind of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingReason {
    /// Only the user can get another token.
    ReauthenticationRequired,
    /// The user granted too little.
    ScopeNotGranted,
    /// An operator must set something.
    NotConfigured,
    /// Renewals fail in a way that may pass.
    RenewalFailed,
}

/// One thing to mend, as callers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub reason: FindingReason,
    /// What is wrong and what to change.
    pub message: String,
    /// Where the user can mend it; `None` if only an operator can, or where no login application is configured.
    pub connect_url: Option<String>,
}

/// One thing to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) reason: FindingReason,
    pub(super) message: String,
    pub(super) mend: Mend,
}

/// Who can mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mend {
    /// An operator.
    Operator,
    /// The user, by a login.
    Login,
    /// The user, by a login that asks for a refresh token.
    OfflineLogin,
}

/// What is known of an identity's newest token.
pub(super) struct Facts<'a> {
    /// The Auth0 strategy.
    pub(super) strategy: &'a str,
    /// Whether the provider accepts it.
    pub(super) active: bool,
    /// The key of the configuration that names the application, where the provider does not know the token as
    /// one of this application's: then nobody knows whether it is dead.
    pub(super) not_known_by: Option<&'a str>,
    /// As the provider tells them; empty if it does not.
    pub(super) scopes: &'a [String],
    /// Whether the token has an end.
    pub(super) ends: bool,
    /// When that is.
    pub(super) expiry: Option<Expiry>,
    /// How the last renewals failed, and how long the identity still rests.
    pub(super) failure: Option<(&'a Failure, Duration)>,
    /// How it can be renewed.
    pub(super) renewability: Renewability,
}

impl Facts<'_> {
    /// All that is to be mended; nothing if all is well.
    pub(super) fn problems(&self) -> Vec<Problem> {
        if self.renewability == Renewability::Revoked {
            return vec![login(words::REVOKED)];
        }
        let found = [
            self.not_known(),
            self.dead(),
            self.not_renewable(),
            self.failing(),
            self.login_only(),
            self.ends_soon(),
        ];
        found.into_iter().flatten().collect()
    }

    /// Whether the token lives, or another can be had without the user.
    fn is_renewable(&self) -> bool {
        match self.renewability {
            Renewability::WithRefreshToken => true,
            Renewability::WhileActive => self.active,
            _ => false,
        }
    }

    fn lacks_refresh_token(&self) -> bool {
        self.ends && self.renewability == Renewability::NoRefreshToken
    }

    fn not_known(&self) -> Option<Problem> {
        self.not_known_by.map(|key| not_configured(words::not_known(key)))
    }

    /// Only the user can help, now or once the token has ended.
    fn dead(&self) -> Option<Problem> {
        match self.failure {
            Some((failure, _)) if failure.permanent => {
                Some(offline_login(words::grant_dead(self.strategy, &failure.reason)))
            }
            _ if self.active
                || self.not_known_by.is_some()
                || self.is_renewable()
                || self.lacks_refresh_token() =>
            {
                None
            }
            _ => Some(login(words::dead(self.strategy))),
        }
    }

    /// What keeps a token that ends from being renewed.
    fn not_renewable(&self) -> Option<Problem> {
        match &self.renewability {
            Renewability::NoRefreshToken if self.ends => {
                Some(offline_login(words::no_refresh_token(self.strategy)))
            }
            Renewability::NotConfigured(keys) if self.ends || !self.active => {
                Some(not_configured(words::not_configured(self.strategy, keys)))
            }
            Renewability::NotDurable if self.ends || !self.active => {
                Some(not_configured(words::NOT_DURABLE.to_owned()))
            }
            _ => None,
        }
    }

    fn failing(&self) -> Option<Problem> {
        let (failure, rest) = self.failure.filter(|(failure, _)| !failure.permanent)?;
        let message = words::failing(failure, rest);
        Some(Problem { reason: FindingReason::RenewalFailed, message, mend: Mend::Operator })
    }

    fn login_only(&self) -> Option<Problem> {
        let is_of_login = |scope: &String| OF_A_LOGIN.contains(&scope.as_str());
        let is_little = self.active && !self.scopes.is_empty() && self.scopes.iter().all(is_of_login);
        let message = words::LOGIN_ONLY.to_owned();
        is_little.then_some(Problem { reason: FindingReason::ScopeNotGranted, message, mend: Mend::Login })
    }

    /// Where nothing else says so.
    fn ends_soon(&self) -> Option<Problem> {
        let expiry = self.expiry.filter(|expiry| self.active && expiry.remaining() < SOON)?;
        let is_guess = expiry.basis == ExpiryBasis::UpperBound;
        (self.renewability == Renewability::Unsupported)
            .then(|| login(words::ends_soon(expiry.remaining(), is_guess)))
    }
}

fn login(message: impl Into<String>) -> Problem {
    let reason = FindingReason::ReauthenticationRequired;
    Problem { reason, message: message.into(), mend: Mend::Login }
}

fn not_configured(message: String) -> Problem {
    Problem { reason: FindingReason::NotConfigured, message, mend: Mend::Operator }
}

fn offline_login(message: String) -> Problem {
    Problem { mend: Mend::OfflineLogin, ..login(message) }
}

#[cfg(test)]
mod tests;
