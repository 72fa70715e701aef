//! GetIdentityToken.

use std::time::Duration;

use super::{Broker, Error};
use crate::{
    context::Authorized,
    identity::Selector,
    policy::{GetIdentityToken, Permit},
    rpc::Rpc,
    token::{Fingerprint, RefreshToken},
    tokens::{LiveToken, TokenRequest},
};

/// Which token is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Lend {
    /// How long it must live.
    pub min_validity: Duration,
    /// One that the provider has just refused.
    pub rejected: Option<Fingerprint>,
}

/// A token that is lent.
#[derive(Debug)]
pub struct Lent {
    /// The access token, and whose it is.
    pub live: LiveToken,
    /// The refresh token, where the permit includes it and there is one.
    pub refresh: Option<RefreshToken>,
}

impl Broker {
    /// A token of an identity of the permit's user, which `selector` means. It lives at least as long as
    /// asked for.
    ///
    /// # Errors
    /// When there is no such token, or Auth0 gives no usable answer.
    pub async fn lend(
        &self,
        call: &Authorized<'_, Permit<GetIdentityToken>>,
        selector: &Selector,
        lend: Lend,
    ) -> Result<Lent, Error> {
        let request = TokenRequest::of(call, selector, lend.min_validity);
        let request = TokenRequest { rejected: lend.rejected, ..request };
        let live = self
            .tokens
            .get(&request)
            .await
            .map_err(|error| self.error(error, Rpc::GetIdentityToken.name()))?;
        let refresh = live.token().refresh.clone().filter(|_| call.permit().action().refresh_token);
        if refresh.is_some() {
            call.ctx().audit().lends_refresh_token();
        }
        Ok(Lent { live, refresh })
    }
}
