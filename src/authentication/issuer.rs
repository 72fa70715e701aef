//! One issuer, for one audience: whose tokens are believed, and what they make of a caller.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    error::{AuthenticationError, Refusal},
    key_source::KeySource,
    token::{Claims, Token},
};
use crate::identity::UserId;

/// Whom a token stands for.
#[derive(Clone, Debug)]
pub(super) enum Principal {
    /// A program.
    Service(String),
    /// A user of the tenant.
    User(UserId),
}

/// Whose tokens an issuer is believed about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subjects {
    /// Programs; the issuer knows nothing else, as far as is known.
    Services,
    /// Applications of the tenant: its users are no programs, whatever audience their tokens have.
    Applications,
    /// Users of the tenant: its applications are no users.
    Users,
}

/// See the module's documentation.
pub(super) struct Issuer {
    pub(super) name: Arc<str>,
    pub(super) audience: String,
    pub(super) subjects: Subjects,
    pub(super) keys: Arc<KeySource>,
}

impl Issuer {
    /// Whom `token` stands for, and how long it still does. Whether it is of this issuer and audience is known already.
    ///
    /// # Errors
    /// When the token is not to be believed, or nobody can tell.
    pub(super) async fn verify(
        &self,
        token: &Token<'_>,
    ) -> Result<(Principal, Duration), AuthenticationError> {
        // What needs no key comes first: junk makes nobody fetch any.
        let left = token.claims.lifetime(SystemTime::now())?;
        let principal = self.principal(&token.claims)?;
        let unavailable = |cause| AuthenticationError::KeysUnavailable {
            issuer: self.name.to_string(),
            is_tenant: self.subjects != Subjects::Services,
            cause,
        };
        let mut keys = self.keys.keys().await.map_err(|error| unavailable(error.0))?;
        if keys.find(&token.header).err() == Some(Refusal::Key) {
            keys = self.keys.newer_keys().await.map_err(|error| unavailable(error.0))?;
        }
        let (key, algorithm) = keys.find(&token.header)?;
        if !key.verifies(algorithm, token.message, token.signature) {
            return Err(Refusal::Signature.into());
        }
        Ok((principal, left))
    }

    fn principal(&self, claims: &Claims) -> Result<Principal, Refusal> {
        let subject = claims.sub.clone().ok_or(Refusal::Malformed)?;
        // Auth0's user ids have the same bounds, and an id is compared and logged.
        let user = UserId::parse(subject.clone(), "sub").map_err(|_| Refusal::Malformed)?;
        match (self.subjects, claims.is_of_an_application()) {
            (Subjects::Users, _) if claims.has_nonce() => Err(Refusal::Kind),
            (Subjects::Users, false) => Ok(Principal::User(user)),
            (Subjects::Services, _) | (Subjects::Applications, true) => Ok(Principal::Service(subject)),
            (Subjects::Users, true) | (Subjects::Applications, false) => Err(Refusal::Subject),
        }
    }
}
