//! What a provider's own rules mean for an operator whose users lose access: data of each adapter, in whole
//! sentences that follow each other in a finding.

/// Advice about one kind of provider.
#[derive(Clone, Copy, Debug)]
pub struct Advice {
    /// Why a login brought no refresh token, and how to get one.
    pub no_refresh_token: &'static str,
    /// When the provider ends grants.
    pub grant_ended: &'static str,
    /// The same for one of the provider's codes, where that tells more.
    pub grant_ended_by_code: &'static [(&'static str, &'static str)],
    /// When the provider no longer accepts a token that nothing renews.
    pub token_ended: &'static str,
    /// What an operator gains by configuring the application that the connection uses in Auth0; it follows
    /// "Set ... in this service's configuration".
    pub with_application: &'static str,
}

impl Advice {
    /// What holds for any provider.
    pub const GENERAL: Self = Self {
        no_refresh_token: "The provider issued no refresh token, so that access ends with the token. Add what the provider \
            documents for one, mostly the scope `offline_access`, to the connection's scopes in Auth0, and have the user \
            log in again.",
        grant_ended: "Only a login of the user brings another one.",
        grant_ended_by_code: &[],
        token_ended: "The provider no longer accepts the token, and it cannot be renewed. The user gets another one by \
            logging in with this connection.",
        with_application: "The token cannot be renewed when it ends, though a refresh token is held: the application must be \
            the one that the connection uses in Auth0.",
    };

    /// When the provider ends grants with this code.
    pub fn grant_ended(&self, code: &str) -> &'static str {
        let by_code = self.grant_ended_by_code.iter().find(|(of, _)| *of == code);
        by_code.map_or(self.grant_ended, |(_, advice)| advice)
    }
}
