//! `Debug` for messages that carry a secret: it shows everything but tokens.

use std::fmt;

use super::pb::GetIdentityTokenResponse;

impl fmt::Debug for GetIdentityTokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetIdentityTokenResponse")
            .field("identity", &self.identity)
            .field("scopes", &self.scopes)
            .field("source", &self.source)
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_token() {
        let response = GetIdentityTokenResponse {
            access_token: "canary".to_owned(),
            refresh_token: "canary".to_owned(),
            fingerprint: "ungWv48Bz-pBQUDeXa4iIw".to_owned(),
            ..GetIdentityTokenResponse::default()
        };
        let shown = format!("{response:?}");
        assert!(!shown.contains("canary") && shown.contains("ungWv48Bz"), "{shown}");
    }
}
