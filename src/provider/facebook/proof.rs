//! The proof that a call comes from the application to which the token was issued.
//! <https://developers.facebook.com/docs/graph-api/guides/secure-requests>

use std::fmt::Write;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use secrecy::{ExposeSecret, SecretString};

use crate::token::AccessToken;

/// HMAC-SHA256 of the token under the application's secret, in lower-case hexadecimal.
pub(super) fn of(token: &AccessToken, secret: &SecretString) -> String {
    let key = Key::new(HMAC_SHA256, secret.expose_secret().as_bytes());
    let mut proof = String::with_capacity(64);
    for byte in sign(&key, token.expose().as_bytes()).as_ref() {
        write!(proof, "{byte:02x}").expect("a string takes all that is written to it");
    }
    proof
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_the_hmac_of_rfc_4231() {
        let token = AccessToken::new("what do ya want for nothing?".to_owned()); // test case 2
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(of(&token, &SecretString::from("Jefe")), expected);
    }
}
