//! One issuer for one audience: which of its tokens are accepted, and which caller each identifies.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    error::{AuthenticationError, CredentialRejection},
    key_source::KeySource,
    token::{Claims, Token},
};
use crate::identity::UserId;

/// Whom a token identifies.
#[derive(Clone, Debug)]
pub(super) enum Principal {
    /// A program.
    Service(String),
    /// A user of the tenant.
    User(UserId),
}

/// Whose tokens are accepted from an issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subjects {
    /// Programs; any other kind of subject is unknown for this issuer.
    Services,
    /// Applications of the tenant. Its users are not programs, whatever audience their tokens have.
    Applications,
    /// Users of the tenant. Its applications are not users.
    Users,
}

/// An issuer; see the module's documentation.
pub(super) struct Issuer {
    pub(super) name: Arc<str>,
    pub(super) audience: String,
    pub(super) subjects: Subjects,
    pub(super) keys: Arc<KeySource>,
}

impl Issuer {
    /// Verifies `token` and returns whom it identifies, and for how much longer. The issuer and audience must
    /// have been matched before.
    ///
    /// # Errors
    /// When the token is rejected, or the keys are unavailable.
    pub(super) async fn verify(
        &self,
        token: &Token<'_>,
    ) -> Result<(Principal, Duration), AuthenticationError> {
        // Checks that need no key come first, so that junk causes no fetch.
        let left = token.claims.lifetime(SystemTime::now())?;
        let principal = self.principal(&token.claims)?;
        let unavailable = |cause| AuthenticationError::KeysUnavailable {
            issuer: self.name.to_string(),
            is_tenant: self.subjects != Subjects::Services,
            cause,
        };
        let mut keys = self.keys.keys().await.map_err(|error| unavailable(error.0))?;
        if keys.find(&token.header).err() == Some(CredentialRejection::Key) {
            keys = self.keys.newer_keys().await.map_err(|error| unavailable(error.0))?;
        }
        let (key, algorithm) = keys.find(&token.header)?;
        if !key.verifies(algorithm, token.message, token.signature) {
            return Err(CredentialRejection::Signature.into());
        }
        Ok((principal, left))
    }

    fn principal(&self, claims: &Claims) -> Result<Principal, CredentialRejection> {
        let subject = claims.sub.clone().ok_or(CredentialRejection::Malformed)?;
        // Auth0's user ids have the same bounds; ids are compared and logged.
        let user = UserId::parse(subject.clone(), "sub").map_err(|_| CredentialRejection::Malformed)?;
        match (self.subjects, claims.is_of_an_application()) {
            (Subjects::Users, _) if claims.has_nonce() => Err(CredentialRejection::Kind),
            (Subjects::Users, false) => Ok(Principal::User(user)),
            (Subjects::Services, _) | (Subjects::Applications, true) => Ok(Principal::Service(subject)),
            (Subjects::Users, true) | (Subjects::Applications, false) => Err(CredentialRejection::Subject),
        }
    }
}
