//! CreateConnectLink, and the links that errors and diagnoses carry.

use super::{Answer, Broker, Error, Reason};
use crate::{
    auth0::connect::{LinkRequest, LoginApplication, Scopes, State},
    context::Authorized,
    identity::Identity,
    policy::LinkPermit,
    provider::Source,
};

/// What a link is to ask for.
#[derive(Clone, Debug)]
pub struct Connect {
    /// Scopes of the provider's.
    pub scopes: Scopes,
    /// Whether to ask for a refresh token, where the connection's strategy is known.
    pub offline_access: bool,
    /// Where Auth0 sends the user afterwards, unchecked.
    pub redirect_uri: String,
    /// Handed back there.
    pub state: State,
}

impl Broker {
    /// A link at which a user grants, or grants again, access through the permit's connection.
    ///
    /// # Errors
    /// When no login application is configured, or the redirect URI is none of its own.
    pub fn connect_link(
        &self,
        call: &Authorized<'_, LinkPermit>,
        connect: &Connect,
    ) -> Result<String, Error> {
        let application = self.login.as_ref().ok_or_else(|| Error::NotConfigured {
            provider: None,
            missing: vec!["connect.client_id".to_owned(), "connect.redirect_uris".to_owned()],
        })?;
        let redirect_uri = application.redirect_uri(&connect.redirect_uri)?;
        let connection = call.permit().connection().as_str();
        let ask = LinkRequest {
            connection,
            strategy: self.providers.strategy_of(connection),
            scopes: &connect.scopes,
            offline: connect.offline_access,
            state: &connect.state,
        };
        Ok(application.link(&ask, redirect_uri))
    }

    /// Adds to the answer where the user can grant the scopes that it lacks.
    pub(super) fn with_connect_link(&self, mut answer: Answer) -> Answer {
        if let Some(diagnosis) =
            answer.diagnosis.as_mut().filter(|found| found.reason == Reason::ScopeNotGranted)
        {
            let identity = answer.live.identity();
            diagnosis.connect_url = self.link_for(identity, &diagnosis.missing_scopes);
        }
        answer
    }

    /// Where the user of `identity` can log in again and grant `scopes`, as its provider named them; `None`
    /// without a login application.
    ///
    /// For callers without leave to `CreateConnectLink` too: such a link holds nothing but what the operator
    /// and the provider say, leads back to the operator's own address, and only starts a login of whoever
    /// opens it. The permission is for those who choose connection, scopes, `state` and address themselves.
    pub(super) fn link_for(&self, identity: &Identity, scopes: &[String]) -> Option<String> {
        self.link(identity, scopes, self.is_worth_renewing(identity))
    }

    /// The same, for a login that brings a refresh token.
    pub(super) fn offline_link_for(&self, identity: &Identity) -> Option<String> {
        self.link(identity, &[], true)
    }

    fn link(&self, identity: &Identity, scopes: &[String], offline: bool) -> Option<String> {
        let application: &LoginApplication = self.login.as_ref()?;
        let ask = LinkRequest {
            connection: identity.connection(),
            strategy: Some(&identity.provider),
            scopes: &Scopes::of_provider(scopes),
            offline,
            state: &State::default(),
        };
        Some(application.link(&ask, application.default_redirect_uri()))
    }

    /// Whether a refresh token would help: it is the provider's way, and the token has an end. Asked for
    /// unasked, it would turn GitHub's tokens without one into tokens of 8 hours.
    fn is_worth_renewing(&self, identity: &Identity) -> bool {
        let ends = identity.token.as_ref().is_some_and(|token| token.expiry.is_some());
        ends && self.providers.of(identity).is_some_and(|client| {
            client.adapter.renewal().is_ok_and(|renewal| renewal.source() == Source::RefreshToken)
        })
    }
}
