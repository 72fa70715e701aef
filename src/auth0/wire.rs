//! Auth0's JSON, and how it becomes ours. Lenient where Auth0 is: unknown keys, numbers as strings.

use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use crate::{
    identity::{Identity, Profile, StoredToken, UserId},
    token::{AccessToken, Expiry, ExpiryBasis, RefreshToken},
};

/// The answer of `POST /oauth/token`.
#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    pub(super) access_token: SecretString,
    /// Seconds.
    #[serde(default, deserialize_with = "lenient_seconds")]
    pub(super) expires_in: Option<u64>,
    /// What was really granted, separated by spaces.
    #[serde(default)]
    pub(super) scope: String,
}

/// Both shapes of Auth0's errors: `error` is a code at the token endpoint and a title at the Management API,
/// which has its code in `errorCode`.
#[derive(Default, Deserialize)]
pub(super) struct ErrorBody {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
    #[serde(default, rename = "errorCode")]
    error_code: String,
    #[serde(default, rename = "statusCode")]
    status_code: Option<u16>,
}

impl ErrorBody {
    /// Reads a body; one that is not Auth0's is like an empty one.
    pub(super) fn parse(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// The code, if it looks like one; never free text, which does not belong in our messages.
    pub(super) fn code(&self) -> &str {
        let code = if self.error_code.is_empty() { &self.error } else { &self.error_code };
        let is_code = code.len() <= 64 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if is_code { code } else { "" }
    }

    /// Whether this is the Management API's own shape, and not some proxy's page.
    pub(super) fn is_management_api(&self) -> bool {
        self.status_code.is_some()
    }

    pub(super) fn speaks_of_a_limit(&self) -> bool {
        self.error_description.to_ascii_lowercase().contains("limit")
    }
}

/// The answer of `GET /api/v2/users/{id}`, as far as it was asked for.
#[derive(Deserialize)]
pub(super) struct UserAnswer {
    /// RFC 3339; without it nothing is known of the tokens' ends, and no more than that.
    #[serde(default, deserialize_with = "lenient_text")]
    last_login: Option<String>,
    #[serde(default)]
    identities: Vec<IdentityAnswer>,
}

#[derive(Deserialize)]
struct IdentityAnswer {
    #[serde(default)]
    provider: String,
    #[serde(default)]
    connection: String,
    /// A number for some providers (GitHub) and a string for others.
    #[serde(default, deserialize_with = "string_or_number")]
    user_id: String,
    #[serde(default, rename = "isSocial")]
    is_social: bool,
    #[serde(default)]
    access_token: Option<SecretString>,
    #[serde(default)]
    refresh_token: Option<SecretString>,
    #[serde(default, deserialize_with = "lenient_seconds")]
    expires_in: Option<u64>,
}

impl UserAnswer {
    pub(super) fn into_profile(self, user_id: UserId) -> Profile {
        let last_login = self.last_login.and_then(|time| humantime::parse_rfc3339(&time).ok());
        // With linked identities nobody knows which of them `last_login` was about.
        let basis = if self.identities.len() == 1 { ExpiryBasis::LastLogin } else { ExpiryBasis::UpperBound };
        let identities = self.identities.into_iter().map(|answer| answer.into_identity(last_login, basis));
        Profile { user_id, identities: identities.collect() }
    }
}

impl IdentityAnswer {
    fn into_identity(self, last_login: Option<SystemTime>, basis: ExpiryBasis) -> Identity {
        let lifetime = self.expires_in.map(Duration::from_secs);
        let expiry = || Some(Expiry::at(last_login?.checked_add(lifetime?)?, basis));
        Identity {
            token: self.access_token.map(|access| StoredToken {
                access: AccessToken::new(access),
                refresh: self.refresh_token.map(RefreshToken::new),
                expiry: expiry(),
            }),
            provider: self.provider,
            connection: self.connection,
            account_id: self.user_id,
            is_social: self.is_social,
        }
    }
}

/// A JSON value that should have been a number, or a string that holds one. Anything else must not make the rest of
/// the answer unreadable.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lenient {
    Integer(u64),
    Text(String),
    Other(serde::de::IgnoredAny),
}

/// Seconds as a number or a string; negative, absent and odd ones are "unknown".
fn lenient_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(match Lenient::deserialize(deserializer)? {
        Lenient::Integer(seconds) => Some(seconds),
        Lenient::Text(text) => text.trim().parse().ok(),
        Lenient::Other(_) => None,
    })
}

fn lenient_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Lenient::deserialize(deserializer)? {
        Lenient::Text(text) => Some(text),
        Lenient::Integer(_) | Lenient::Other(_) => None,
    })
}

fn string_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match Lenient::deserialize(deserializer)? {
        Lenient::Integer(number) => number.to_string(),
        Lenient::Text(text) => text,
        Lenient::Other(_) => String::new(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn profile(answer: serde_json::Value) -> Profile {
        let user = UserId::parse("user".to_owned(), "user_id").expect("a valid id");
        serde_json::from_value::<UserAnswer>(answer).expect("a readable answer").into_profile(user)
    }

    fn expiry(identity: &Identity) -> Option<(u64, ExpiryBasis)> {
        let expiry = identity.token.as_ref()?.expiry?;
        Some((expiry.time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs(), expiry.basis))
    }

    #[test]
    fn one_identity_expires_at_its_last_login_plus_its_lifetime() {
        let user = profile(json!({
            "last_login": "2026-11-22T00:00:00.000Z",
            "identities": [{ "provider": "google-oauth2", "access_token": "t", "expires_in": 3599 }],
        }));
        assert_eq!(expiry(&user.identities[0]), Some((1_795_305_600 + 3599, ExpiryBasis::LastLogin)));
    }

    #[test]
    fn linked_identities_expire_no_later_than_that() {
        let user = profile(json!({
            "last_login": "2026-11-22T00:00:00.000Z",
            "identities": [
                { "provider": "google-oauth2", "access_token": "t", "expires_in": "3599" },
                { "provider": "github", "user_id": 583231, "access_token": "u" },
            ],
        }));
        assert_eq!(expiry(&user.identities[0]), Some((1_795_305_600 + 3599, ExpiryBasis::UpperBound)));
        assert_eq!(expiry(&user.identities[1]), None);
        assert_eq!(user.identities[1].account_id, "583231");
    }

    #[test]
    fn an_odd_lifetime_is_unknown_and_spoils_nothing() {
        for odd in [json!(-5), json!(null), json!("soon"), json!({}), json!([1]), json!(1.5), json!(u64::MAX)]
        {
            let user = profile(json!({
                "last_login": "2026-11-22T00:00:00.000Z",
                "identities": [{ "provider": "google-oauth2", "access_token": "t", "expires_in": odd }],
            }));
            assert!(user.identities[0].token.is_some());
            assert_eq!(expiry(&user.identities[0]), None, "{odd}");
        }
    }

    #[test]
    fn without_a_last_login_nothing_is_known_of_the_end() {
        let user = profile(json!({ "identities": [{ "access_token": "t", "expires_in": 60 }] }));
        assert_eq!(expiry(&user.identities[0]), None);
    }

    #[test]
    fn an_identity_without_a_token_is_kept_as_such() {
        let user =
            profile(json!({ "identities": [{ "provider": "auth0", "user_id": "1", "isSocial": false }] }));
        assert!(user.identities[0].token.is_none());
    }

    #[test]
    fn only_codes_are_ever_quoted_from_an_error() {
        for (body, code) in [
            (r#"{"error":"access_denied","error_description":"Unauthorized"}"#, "access_denied"),
            (
                r#"{"statusCode":403,"error":"Forbidden","errorCode":"insufficient_scope"}"#,
                "insufficient_scope",
            ),
            (r#"{"error":"Your secret is hunter2"}"#, ""),
            ("<html>", ""),
            ("", ""),
        ] {
            assert_eq!(ErrorBody::parse(body.as_bytes()).code(), code, "{body}");
        }
    }
}
