//! A JWT as received: parsed and judged, except for its signature.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::error::CredentialRejection;

/// Maximum bytes. All headers of a request together have 16 KiB; an Auth0 token with many permissions has
/// about 4.
const LONGEST: usize = 8 * 1024;

/// How far the issuer's clock may be off. OpenID Connect Core 1.0, section 2: "no more than a few minutes".
const LEEWAY: Duration = Duration::from_secs(60);

/// Accepted values of `typ`; many issuers send none, which is accepted too. `at+jwt` is RFC 9068, section
/// 2.1; `JOSE` is JWT-SVID's, section 2.3.
const TYPES: [&str; 4] = ["jwt", "at+jwt", "application/at+jwt", "jose"];

/// Claims that only other kinds of tokens have: ID tokens (OpenID Connect Core 1.0, section 3.3.2.11), and
/// security events and logout tokens (RFC 8417, section 2.2).
const CLAIMS_OF_OTHER_KINDS: [&str; 4] = ["at_hash", "c_hash", "s_hash", "events"];

/// A parsed token. Nothing in it is verified.
pub(super) struct Token<'a> {
    pub(super) header: Header,
    pub(super) claims: Claims,
    /// The signed part: header and claims as received.
    pub(super) message: &'a str,
    pub(super) signature: &'a str,
}

/// The header (RFC 7515, section 4.1), without `jku`, `jwk`, `x5u` and `x5c`: a token does not say who
/// vouches for it.
#[derive(Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    pub(super) kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

/// The claims (RFC 7519, section 4.1) that matter.
#[derive(Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) sub: Option<String>,
    #[serde(default)]
    aud: Audience,
    exp: Option<f64>,
    nbf: Option<f64>,
    iat: Option<f64>,
    /// Auth0: the grant type, if it is client credentials.
    gty: Option<String>,
    /// Cognito: `access` or `id`.
    token_use: Option<String>,
    /// Keycloak: `Bearer`, `ID`, `Refresh`, `Offline`, `Logout`.
    typ: Option<String>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// One audience or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Default for Audience {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl<'a> Token<'a> {
    /// Parses `token`, and rejects kinds that are not for calls.
    pub(super) fn parse(token: &'a str) -> Result<Self, CredentialRejection> {
        if token.len() > LONGEST {
            return Err(CredentialRejection::Malformed);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(CredentialRejection::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(CredentialRejection::Malformed)?;
        let header: Header = part(header)?;
        // RFC 7515, section 4.1.11: extensions that must be understood are not understood here.
        if header.crit.is_some() {
            return Err(CredentialRejection::Malformed);
        }
        let accepted = |typ: &String| TYPES.iter().any(|known| known.eq_ignore_ascii_case(typ));
        if !header.typ.as_ref().is_none_or(accepted) {
            return Err(CredentialRejection::Kind);
        }
        let claims: Claims = part(claims)?;
        if claims.are_of_another_kind() {
            return Err(CredentialRejection::Kind);
        }
        Ok(Self { header, claims, message, signature })
    }
}

fn part<T: DeserializeOwned>(encoded: &str) -> Result<T, CredentialRejection> {
    let json = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| CredentialRejection::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| CredentialRejection::Malformed)
}

impl Claims {
    fn are_of_another_kind(&self) -> bool {
        self.token_use.as_ref().is_some_and(|word| word != "access")
            || self.typ.as_ref().is_some_and(|word| !word.eq_ignore_ascii_case("bearer"))
            || CLAIMS_OF_OTHER_KINDS.iter().any(|claim| self.others.contains_key(*claim))
    }

    /// Returns whether the token is for `audience`.
    pub(super) fn is_for(&self, audience: &str) -> bool {
        match &self.aud {
            Audience::One(one) => one == audience,
            Audience::Several(several) => several.iter().any(|one| one == audience),
        }
    }

    /// Returns whether there is an ID token's `nonce` (OpenID Connect Core 1.0, section 2). Auth0's access
    /// tokens have none; those of other issuers may.
    pub(super) fn has_nonce(&self) -> bool {
        self.others.contains_key("nonce")
    }

    /// Returns whether Auth0 issued the token to an application rather than a user.
    pub(super) fn is_of_an_application(&self) -> bool {
        self.gty.as_ref().is_some_and(|grant| grant.contains("client-credentials"))
            || self.sub.as_ref().is_some_and(|sub| sub.ends_with("@clients"))
    }

    /// Returns how long the token still lives at `now`; zero if only the leeway keeps it valid.
    pub(super) fn lifetime(&self, now: SystemTime) -> Result<Duration, CredentialRejection> {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let leeway = LEEWAY.as_secs_f64();
        let exp = self.exp.ok_or(CredentialRejection::Malformed)?;
        // A number too large for a duration means a token that never expires, which nobody intends.
        let left = exp - now;
        if left <= -leeway {
            return Err(CredentialRejection::Expired);
        }
        if [self.nbf, self.iat].into_iter().flatten().any(|from| from > now + leeway) {
            return Err(CredentialRejection::NotYetValid);
        }
        Duration::try_from_secs_f64(left.max(0.0)).map_err(|_| CredentialRejection::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn encoded(header: &Value, claims: &Value) -> String {
        let part = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        format!("{}.{}.c2ln", part(header), part(claims))
    }

    fn rejection(header: &Value, claims: &Value) -> Option<CredentialRejection> {
        Token::parse(&encoded(header, claims)).err()
    }

    #[test]
    fn only_kinds_that_are_for_calls_are_taken() {
        let claims = json!({ "iss": "a" });
        for (typ, expected) in [
            (json!("JWT"), None),
            (json!("at+jwt"), None),
            (json!("application/at+JWT"), None),
            (json!("JOSE"), None),
            (Value::Null, None),
            (json!("logout+jwt"), Some(CredentialRejection::Kind)),
            (json!("dpop+jwt"), Some(CredentialRejection::Kind)),
            (json!(""), Some(CredentialRejection::Kind)),
            (json!(5), Some(CredentialRejection::Malformed)),
        ] {
            assert_eq!(rejection(&json!({ "alg": "RS256", "typ": typ }), &claims), expected, "{typ}");
        }
        let header = json!({ "alg": "RS256" });
        for (claim, value, expected) in [
            ("scope", json!("a"), None),
            ("typ", json!("Bearer"), None),
            ("token_use", json!("access"), None),
            ("at_hash", json!("x"), Some(CredentialRejection::Kind)),
            ("c_hash", json!("x"), Some(CredentialRejection::Kind)),
            ("events", json!({}), Some(CredentialRejection::Kind)),
            ("typ", json!("ID"), Some(CredentialRejection::Kind)),
            ("typ", json!("Refresh"), Some(CredentialRejection::Kind)),
            ("token_use", json!("id"), Some(CredentialRejection::Kind)),
            ("iss", json!(["a", "b"]), Some(CredentialRejection::Malformed)),
            ("exp", json!("soon"), Some(CredentialRejection::Malformed)),
            ("aud", json!({}), Some(CredentialRejection::Malformed)),
        ] {
            let mut claims = claims.clone();
            claims[claim] = value;
            assert_eq!(rejection(&header, &claims), expected, "{claims}");
        }
    }

    #[test]
    fn what_is_no_token_is_malformed() {
        let good = encoded(&json!({ "alg": "RS256" }), &json!({ "iss": "a" }));
        let critical = encoded(&json!({ "alg": "RS256", "crit": ["exp"] }), &json!({ "iss": "a" }));
        let long = encoded(&json!({ "alg": "RS256" }), &json!({ "iss": "a".repeat(LONGEST) }));
        let twice = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","alg":"none"}"#);
        let twice = format!("{twice}.{}.", URL_SAFE_NO_PAD.encode(r#"{"iss":"a"}"#));
        assert!(Token::parse(&good).is_ok());
        for text in ["", ".", "..", "a.b", "a.b.c", &format!("{good}.x"), &good.replace('.', "=."), &critical]
        {
            assert_eq!(Token::parse(text).err(), Some(CredentialRejection::Malformed), "{text}");
        }
        assert_eq!(Token::parse(&long).err(), Some(CredentialRejection::Malformed));
        assert_eq!(Token::parse(&twice).err(), Some(CredentialRejection::Malformed));
    }

    #[test]
    fn a_token_lives_between_its_times_and_a_minute_beyond() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (times, expected) in [
            (json!({ "exp": 1_000_100 }), Ok(100)),
            (json!({ "exp": 1_000_000 }), Ok(0)),
            (json!({ "exp": 999_941 }), Ok(0)),
            (json!({ "exp": 999_940 }), Err(CredentialRejection::Expired)),
            (json!({ "exp": -1 }), Err(CredentialRejection::Expired)),
            (json!({ "exp": 1_000_100.5, "nbf": 1_000_060.0, "iat": 1_000_060 }), Ok(100)),
            (json!({ "exp": 1_000_100, "nbf": 1_000_061 }), Err(CredentialRejection::NotYetValid)),
            (json!({ "exp": 1_000_100, "iat": 1_000_061 }), Err(CredentialRejection::NotYetValid)),
            (json!({ "exp": 1e300 }), Err(CredentialRejection::Malformed)),
            (json!({ "exp": null }), Err(CredentialRejection::Malformed)),
            (json!({}), Err(CredentialRejection::Malformed)),
        ] {
            let mut claims = times.clone();
            claims["iss"] = json!("a");
            let claims: Claims = serde_json::from_value(claims).expect("claims");
            assert_eq!(claims.lifetime(now).map(|left| left.as_secs()), expected, "{times}");
        }
    }

    #[test]
    fn an_application_is_known_by_its_subject_or_its_grant() {
        for (claims, expected) in [
            (json!({ "iss": "a", "sub": "google-oauth2|1" }), false),
            (json!({ "iss": "a", "sub": "abc@clients" }), true),
            (json!({ "iss": "a", "sub": "auth0|1", "gty": "client-credentials" }), true),
            (json!({ "iss": "a", "sub": "auth0|1", "gty": "password" }), false),
        ] {
            let claims: Claims = serde_json::from_value(claims).expect("claims");
            assert_eq!(claims.is_of_an_application(), expected);
        }
    }
}
