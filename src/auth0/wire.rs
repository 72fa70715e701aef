//! Auth0's JSON and its conversion to our types. As lenient as Auth0 requires: unknown keys, numbers as
//! strings.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::{
    identity::{Identity, IdentityKey, Profile, StoredToken, UserId},
    token::{AccessToken, Expiry, ExpiryBasis, RefreshToken, TokenType},
};

/// The answer of `POST /oauth/token`.
#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    pub(super) access_token: SecretString,
    /// Seconds.
    #[serde(default, deserialize_with = "lenient_seconds")]
    pub(super) expires_in: Option<u64>,
    /// The scopes that were actually granted, separated by spaces.
    #[serde(default)]
    pub(super) scope: String,
    /// Empty if Auth0 does not give it.
    #[serde(default, deserialize_with = "string_or_nothing")]
    pub(super) token_type: String,
}

/// Both shapes of Auth0's errors: `error` is a code at the token endpoint and a title at the Management API,
/// which puts its code in `errorCode`.
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
    /// Parses a body; one that is not Auth0's counts as empty.
    pub(super) fn parse(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// Returns the code if it looks like one; never free text, which does not belong in our messages.
    pub(super) fn code(&self) -> &str {
        let code = if self.error_code.is_empty() { &self.error } else { &self.error_code };
        let is_code = code.len() <= 64 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if is_code { code } else { "" }
    }

    /// Returns whether this is the Management API's own shape rather than some proxy's page.
    pub(super) fn is_management_api(&self) -> bool {
        self.status_code.is_some()
    }

    pub(super) fn speaks_of_a_limit(&self) -> bool {
        self.error_description.to_ascii_lowercase().contains("limit")
    }
}

/// The answer of `GET /api/v2/users/{id}`, limited to the requested fields.
#[derive(Deserialize)]
pub(super) struct UserAnswer {
    #[serde(default)]
    user_id: String,
    /// RFC 3339. Without it only the tokens' expiries are unknown.
    #[serde(default, deserialize_with = "lenient_text")]
    last_login: Option<String>,
    #[serde(default)]
    identities: Option<Vec<IdentityAnswer>>,
}

#[derive(Deserialize)]
struct IdentityAnswer {
    #[serde(default, deserialize_with = "string_or_number")]
    provider: String,
    #[serde(default, deserialize_with = "string_or_number")]
    connection: String,
    /// A number for some providers (GitHub) and a string for others.
    #[serde(default, deserialize_with = "id")]
    user_id: String,
    #[serde(default, rename = "isSocial")]
    is_social: Option<bool>,
    #[serde(default)]
    access_token: Option<SecretString>,
    /// A secret marks tokens of OAuth 1.0a, as of Twitter, which are of no use alone: requests are signed
    /// with the secret.
    #[serde(default, rename = "access_token_secret", deserialize_with = "oauth1_if_there")]
    token_type: TokenType,
    #[serde(default)]
    refresh_token: Option<SecretString>,
    #[serde(default, deserialize_with = "lenient_seconds")]
    expires_in: Option<u64>,
}

impl UserAnswer {
    /// Converts to the profile of `user`; `None` if it is somebody else's. Tokens of the connections in
    /// `vault` are in Token Vault.
    pub(super) fn into_profile(self, user: UserId, vault: &BTreeSet<String>) -> Option<Profile> {
        if self.user_id != user.as_str() {
            return None;
        }
        let identities = self.identities.unwrap_or_default();
        let last_login = self.last_login.and_then(|time| humantime::parse_rfc3339(&time).ok());
        // With linked identities nobody knows which of them `last_login` was about.
        let basis = if identities.len() == 1 { ExpiryBasis::LastLogin } else { ExpiryBasis::UpperBound };
        let known = |answer: IdentityAnswer| {
            let in_vault = vault.contains(&answer.connection);
            Identity { in_vault, ..answer.into_identity(last_login, basis) }
        };
        let identities = identities.into_iter().map(known).collect();
        Some(Profile { user_id: user, identities })
    }
}

impl IdentityAnswer {
    fn into_identity(self, last_login: Option<SystemTime>, basis: ExpiryBasis) -> Identity {
        let key = IdentityKey { connection: self.connection, account_id: self.user_id };
        // Tokens are kept by account: without a name, one would be taken for another user's.
        let is_named = !key.connection.is_empty() && !key.account_id.is_empty();
        let lifetime = self.expires_in.map(Duration::from_secs);
        let expiry = || Some(Expiry::at(last_login?.checked_add(lifetime?)?, basis));
        Identity {
            token: self.access_token.filter(|access| is_named && is_written(access)).map(|access| {
                let refresh = self.refresh_token.filter(is_written).map(RefreshToken::new);
                let token = StoredToken::of_profile(AccessToken::new(access), refresh, expiry());
                Arc::new(StoredToken { token_type: self.token_type, ..token })
            }),
            in_vault: false,
            provider: self.provider,
            key: Arc::new(key),
            is_social: self.is_social.unwrap_or_default(),
        }
    }
}

fn is_written(secret: &SecretString) -> bool {
    !secret.expose_secret().is_empty()
}

/// A JSON value that should be a number or a string holding one. Anything else must not make the rest of the
/// answer unreadable.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lenient {
    Integer(u64),
    Text(String),
    Other(serde::de::IgnoredAny),
}

/// Reads seconds given as a number or a string; negative, absent and odd values are unknown.
fn lenient_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(match Lenient::deserialize(deserializer)? {
        Lenient::Integer(seconds) => Some(seconds),
        Lenient::Text(text) => text.trim().parse().ok(),
        Lenient::Other(_) => None,
    })
}

fn string_or_nothing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(lenient_text(deserializer)?.unwrap_or_default())
}

fn lenient_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Lenient::deserialize(deserializer)? {
        Lenient::Text(text) => Some(text),
        Lenient::Integer(_) | Lenient::Other(_) => None,
    })
}

/// Returns OAuth 1.0a's type if a secret is present. The secret itself is not used.
fn oauth1_if_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TokenType, D::Error> {
    let is_there = matches!(Lenient::deserialize(deserializer)?, Lenient::Text(text) if !text.is_empty());
    Ok(if is_there { TokenType::oauth1() } else { TokenType::Bearer })
}

fn string_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match Lenient::deserialize(deserializer)? {
        Lenient::Integer(number) => number.to_string(),
        Lenient::Text(text) => text,
        Lenient::Other(_) => String::new(),
    })
}

/// Reads a text, or a number as it is written: as numbers, two ids longer than 64 bits could become equal.
fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    Ok(match raw.get().as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw.get()).unwrap_or_default(),
        Some(b'-' | b'0'..=b'9') => raw.get().to_owned(),
        _ => String::new(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn profile(mut answer: serde_json::Value) -> Profile {
        answer["user_id"] = json!("user");
        for identity in answer["identities"].as_array_mut().into_iter().flatten() {
            for name in ["connection", "user_id"] {
                identity.as_object_mut().expect("an object").entry(name).or_insert_with(|| json!(name));
            }
        }
        let user = UserId::parse("user".to_owned(), "user_id").expect("a valid id");
        let answer = serde_json::from_value::<UserAnswer>(answer).expect("a readable answer");
        answer.into_profile(user, &BTreeSet::new()).expect("it is this user's")
    }

    #[test]
    fn nobody_gets_the_profile_of_another_user() {
        let user = UserId::parse("user".to_owned(), "user_id").expect("a valid id");
        for other in [json!({ "user_id": "resu", "identities": [] }), json!({ "identities": [] })] {
            let answer = serde_json::from_value::<UserAnswer>(other).expect("a readable answer");
            assert!(answer.into_profile(user.clone(), &BTreeSet::new()).is_none());
        }
    }

    #[test]
    fn nulls_and_empty_tokens_spoil_nothing() {
        let user = profile(json!({ "last_login": null, "identities": [
            { "provider": null, "connection": null, "user_id": null, "isSocial": null, "access_token": "" },
            { "provider": "github", "access_token": "t", "refresh_token": "" },
        ]}));
        assert!(user.identities[0].token.is_none());
        assert!(user.identities[1].token.as_ref().is_some_and(|token| token.refresh.is_none()));
        assert!(profile(json!({ "identities": null })).identities.is_empty());
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
        assert_eq!(user.identities[1].account_id(), "583231");
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
    fn accounts_are_told_apart_however_odd_their_ids_and_one_without_a_name_has_no_token() {
        let of = |id: &str| {
            let answer = format!(
                r#"{{"user_id":"user","identities":[{{"connection":"c","user_id":{id},"access_token":"t"}}]}}"#
            );
            let answer = serde_json::from_str::<UserAnswer>(&answer).expect("a readable answer");
            let user = UserId::parse("user".to_owned(), "user_id").expect("a valid id");
            let profile = answer.into_profile(user, &BTreeSet::new()).expect("it is this user's");
            let identity = profile.identities.first().expect("one identity").clone();
            (identity.account_id().to_owned(), identity.token.is_some())
        };
        for id in ["-5", "583231", "583231.0", "18446744073709551616", "18446744073709551617", "1e3"] {
            assert_eq!(of(id), (id.to_owned(), true));
        }
        assert_eq!(of(r#""a\u0062""#), ("ab".to_owned(), true));
        for id in ["null", r#""""#, "true", "{}", "[1]"] {
            assert_eq!(of(id), (String::new(), false), "{id}");
        }
        let nowhere = profile(json!({ "identities": [{ "connection": "", "access_token": "t" }] }));
        assert!(nowhere.identities[0].token.is_none());
    }

    #[test]
    fn a_token_that_comes_with_a_secret_is_one_of_oauth_1_0a() {
        for (secret, token_type) in [
            (json!("s"), TokenType::oauth1()),
            (json!(""), TokenType::Bearer),
            (json!(null), TokenType::Bearer),
            (json!({ "a": [1] }), TokenType::Bearer),
        ] {
            let identity = json!({ "access_token": "5-a", "access_token_secret": secret });
            let user = profile(json!({ "identities": [identity] }));
            let token = user.identities[0].token.as_ref().expect("it is listed");
            assert_eq!(token.token_type, token_type, "{secret}");
        }
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
