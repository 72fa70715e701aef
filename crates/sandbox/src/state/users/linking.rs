//! Linking: an identity moves to another user, with the tokens that Auth0 keeps of it.

use super::{Identity, User, no_identity};
use crate::error::SandboxError;
use crate::state::State;

impl State {
    /// Links an identity of `secondary` to the user `primary`, behind those that are there. A user without
    /// any identity is gone. <https://auth0.com/docs/manage-users/user-accounts/user-account-linking>
    pub(crate) fn link(
        &mut self,
        primary: &str,
        secondary: &str,
        selector: &str,
    ) -> Result<(), SandboxError> {
        if self.users.get(primary).is_none() {
            return Err(SandboxError::NoSuchUser(primary.to_owned()));
        }
        if primary == secondary {
            return Err(SandboxError::LinkedToItself(primary.to_owned()));
        }
        let (identity, _) = self.take_identity(secondary, selector)?;
        let user = self.users.0.get_mut(primary).expect("the user was there a moment ago");
        user.identities.push(identity);
        Ok(())
    }

    /// Makes an identity of `user` a user of its own again, who has the id that they had before they were
    /// linked.
    pub(crate) fn unlink(&mut self, user: &str, selector: &str) -> Result<(), SandboxError> {
        let (identity, profile) = self.take_identity(user, selector)?;
        let id = format!("{}|{}", identity.strategy, identity.user_id);
        let last_login = identity.logged_in;
        let own = User { id, last_login, logins_count: 1, identities: vec![identity], ..profile };
        self.users.0.insert(own.id.clone(), own);
        Ok(())
    }

    /// The identity, and the profile that it was part of, without identities.
    fn take_identity(&mut self, user: &str, selector: &str) -> Result<(Identity, User), SandboxError> {
        let found = self.users.0.get_mut(user).ok_or_else(|| SandboxError::NoSuchUser(user.to_owned()))?;
        let index = found.identities.iter().position(|one| one.is_meant(selector));
        let identity = found.identities.remove(index.ok_or_else(|| no_identity(user, selector))?);
        let profile = User {
            id: found.id.clone(),
            name: found.name.clone(),
            email: found.email.clone(),
            identities: Vec::new(),
            ..*found
        };
        if found.identities.is_empty() {
            self.users.0.remove(user);
        }
        Ok((identity, profile))
    }
}
