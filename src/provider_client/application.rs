//! Whether the configured application is the one that tokens are issued to.
//!
//! GitHub's 404 and an introspection's `active: false` (RFC 7662, section 2.2) may mean that a token is dead,
//! or that it is another application's. Once the provider has called any token of this application active,
//! only the first is left.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use crate::token::AccessToken;

/// Tokens that are remembered: one that is asked about, and another.
const REMEMBERED: usize = 2;

/// The application of one provider's table.
#[derive(Default)]
pub struct Application {
    proven: AtomicBool,
    /// The latest tokens that the provider accepted in calls, the last one last; empty once the application
    /// is proven.
    accepted: Mutex<Vec<AccessToken>>,
}

impl Application {
    /// Whether it is the right one for certain.
    pub fn proven(&self) -> bool {
        self.proven.load(Ordering::Relaxed)
    }

    /// Notes that the provider has treated a token as this application's.
    pub fn prove(&self) {
        if !self.proven.swap(true, Ordering::Relaxed) {
            self.remember(Vec::clear);
        }
    }

    /// Notes that the provider has accepted `token` in a call. Costs nothing once the application is proven.
    pub fn accepted(&self, token: &AccessToken) {
        if self.proven() {
            return;
        }
        self.remember(|accepted| {
            accepted.retain(|before| before.fingerprint() != token.fingerprint());
            accepted.push(token.clone());
            let surplus = accepted.len().saturating_sub(REMEMBERED);
            accepted.drain(..surplus);
        });
    }

    /// The latest accepted token that is not `token`.
    pub(super) fn another_than(&self, token: &AccessToken) -> Option<AccessToken> {
        let accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        accepted.iter().rev().find(|other| other.fingerprint() != token.fingerprint()).cloned()
    }

    fn remember(&self, change: impl FnOnce(&mut Vec<AccessToken>)) {
        change(&mut self.accepted.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_token_that_was_accepted_lately_is_at_hand_until_the_application_is_proven() {
        let (application, tokens) = (Application::default(), ["a", "b", "c"].map(AccessToken::new));
        let another = |token: &AccessToken| application.another_than(token).map(|it| it.expose().to_owned());
        assert_eq!(another(&tokens[0]), None);
        for token in &tokens {
            application.accepted(token);
        }
        application.accepted(&tokens[2]);
        assert_eq!((another(&tokens[2]).as_deref(), another(&tokens[0]).as_deref()), (Some("b"), Some("c")));
        application.prove();
        application.accepted(&tokens[0]);
        assert_eq!((another(&tokens[2]), application.proven()), (None, true));
    }
}
