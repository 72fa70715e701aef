//! What happens to a user's tokens at the provider, while Auth0 goes on holding them.

use std::time::SystemTime;

use super::State;
use super::account::{Account, Provider};
use super::grants::Death;
use crate::error::SandboxError;

impl State {
    /// The access token expires, ahead of what Auth0 believes.
    pub(crate) fn expire_token(
        &mut self,
        user: &str,
        selector: &str,
        now: SystemTime,
    ) -> Result<(), SandboxError> {
        let (_, token) = self.held(user, selector)?;
        self.grants.expire(&token, now);
        Ok(())
    }

    /// Every access token of the account expires, also those that came of renewals and that Auth0 knows
    /// nothing of.
    pub(crate) fn expire_all(
        &mut self,
        user: &str,
        selector: &str,
        now: SystemTime,
    ) -> Result<(), SandboxError> {
        let (account, _) = self.held(user, selector)?;
        self.grants.expire_all(&account, now);
        Ok(())
    }

    /// The user removes the app: all tokens of the account die.
    pub(crate) fn revoke_token(&mut self, user: &str, selector: &str) -> Result<(), SandboxError> {
        let (account, _) = self.held(user, selector)?;
        let death = match account.provider {
            Provider::Facebook | Provider::Entra | Provider::MicrosoftAccount => Death::AppRemoved,
            Provider::Google | Provider::GitHub | Provider::Bitbucket | Provider::Generic(_) => {
                Death::Revoked
            }
        };
        self.grants.end_account(&account, death);
        Ok(())
    }

    /// The user changes the password, with the same effect and, at Facebook, another subcode.
    pub(crate) fn change_password(&mut self, user: &str, selector: &str) -> Result<(), SandboxError> {
        let (account, _) = self.held(user, selector)?;
        self.grants.end_account(&account, Death::PasswordChanged);
        Ok(())
    }

    fn held(&self, user: &str, selector: &str) -> Result<(Account, String), SandboxError> {
        let identity = self.users.identity(user, selector)?;
        let account = identity.account().ok_or_else(|| SandboxError::NotPlayed(selector.to_owned()))?;
        if let (None, Some((account, token))) = (&identity.access_token, self.vault.stored(user, selector)) {
            return Ok((account.clone(), token.to_owned()));
        }
        let token = identity.access_token.clone();
        Ok((account, token.ok_or_else(|| SandboxError::NoToken(selector.to_owned()))?))
    }
}
