//! Interprets Auth0's answers to an exchange.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Response, StatusCode};
use secrecy::ExposeSecret;

use super::VaultError;
use crate::{
    auth0::{
        Auth0Error,
        wire::{ErrorBody, TokenAnswer},
    },
    identity::StoredToken,
    token::{AccessToken, Expiry, ExpiryBasis, TokenSource, TokenType},
};

/// Returns the token, or what is wrong; `by_end_user` tells on whose authority it was requested at `sent`.
pub(super) fn judge(
    answer: &Response<Bytes>,
    connection: &str,
    by_end_user: bool,
    sent: SystemTime,
) -> Result<StoredToken, VaultError> {
    if answer.status() == StatusCode::OK {
        return Ok(accept(answer.body(), sent)?);
    }
    let body = ErrorBody::parse(answer.body());
    if let Some(error) = Auth0Error::of_common(answer, &body) {
        return Err(error.into());
    }
    let (status, code) = (answer.status().as_u16(), body.code());
    // Auth0 documents only 401 for an account that is not in the vault; the codes are those that SDKs and
    // users report: `federated_connection_refresh_token_not_found`, and below it `tokenset_not_found`.
    let is_absent = code.ends_with("_not_found");
    // RFC 8693 (section 2.2.2) uses `invalid_request` for a subject token that is invalid for any reason.
    let is_about_subject = matches!(code, "invalid_request" | "invalid_grant" | "invalid_token");
    match status {
        400..=499 if is_absent => Err(VaultError::NotConnected),
        400..=499 if code.starts_with("mfa_") => Err(VaultError::MfaPolicy),
        400..=499 if is_about_subject && by_end_user => Err(VaultError::SubjectRefused),
        400..=499 => Err(Auth0Error::misconfigured(remedy(status, code, connection)).into()),
        _ => Err(Auth0Error::unavailable(format!("it answered {status} to a Token Vault exchange")).into()),
    }
}

/// Says what an operator should check. Auth0 documents no codes for these errors, so each sentence names all
/// likely causes.
fn remedy(status: u16, code: &str, connection: &str) -> String {
    let what = format!("{status} {code}").trim_end().to_owned();
    match (status, code) {
        (_, "") => format!(
            "{what} to a Token Vault exchange, without the error that Auth0 sends; check `auth0.domain` and \
             `auth0.base_url`"
        ),
        (401, _) | (_, "invalid_client") => format!(
            "{what} to a Token Vault exchange: check `auth0.client_id` and the client secret or private key, and \
             that the application's authentication method matches"
        ),
        (_, "unauthorized_client") => format!(
            "{what} to a Token Vault exchange: switch on the grant type Token Vault for the application \
             (Applications > Advanced Settings > Grant Types), and its Privileged Worker"
        ),
        (403, _) => format!(
            "{what} to a Token Vault exchange for the connection `{connection}`: in the application's Privileged \
             Worker, the Permissions must list it and the IP Allowlist the address of this service; and it must be \
             switched on for the application, under Authentication > Applications"
        ),
        _ => format!(
            "{what} to a Token Vault exchange for the connection `{connection}`: the public half of \
             `auth0.token_vault.private_key_file` must be the credential of the application's Privileged Worker, this \
             machine's clock must be right, and the connection must have Connected Accounts for Token Vault"
        ),
    }
}

fn accept(body: &[u8], sent: SystemTime) -> Result<StoredToken, Auth0Error> {
    let nonsense =
        || Auth0Error::unavailable("it answered a Token Vault exchange with 200 and no access token");
    let answer: TokenAnswer = serde_json::from_slice(body).map_err(|_| nonsense())?;
    if answer.access_token.expose_secret().is_empty() {
        return Err(nonsense());
    }
    // Counted from the request, so never later than the true expiry.
    let end = answer.expires_in.and_then(|seconds| sent.checked_add(Duration::from_secs(seconds)));
    Ok(StoredToken {
        access: AccessToken::new(answer.access_token),
        token_type: TokenType::named(&answer.token_type),
        refresh: None,
        expiry: end.map(|end| Expiry::at(end, ExpiryBasis::Provider)),
        scopes: answer.scope.split_whitespace().map(str::to_owned).collect(),
        source: TokenSource::TokenVault,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: u16, body: &str, by_end_user: bool) -> Result<StoredToken, VaultError> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let answer = Response::builder().status(status).body(body).expect("a valid answer");
        judge(&answer, "google-oauth2", by_end_user, SystemTime::now())
    }

    fn word(status: u16, code: &str, by_end_user: bool) -> &'static str {
        let body = format!(r#"{{"error":"{code}","error_description":"canary-2f9d"}}"#);
        let error = outcome(status, &body, by_end_user).expect_err("it is an error");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        error.outcome()
    }

    #[test]
    fn each_refusal_is_told_apart() {
        for (status, code, worker, end_user) in [
            (401, "federated_connection_refresh_token_not_found", "not_connected", "not_connected"),
            (404, "tokenset_not_found", "not_connected", "not_connected"),
            (401, "access_denied", "refused", "refused"),
            (401, "invalid_client", "refused", "refused"),
            (403, "unauthorized_client", "refused", "refused"),
            (403, "access_denied", "refused", "refused"),
            (400, "invalid_request", "refused", "subject_refused"),
            (401, "invalid_grant", "refused", "subject_refused"),
            (403, "mfa_required", "mfa_policy", "mfa_policy"),
            (429, "too_many_requests", "rate_limited", "rate_limited"),
            (500, "server_error", "unavailable", "unavailable"),
            (302, "", "unavailable", "unavailable"),
            (404, "", "refused", "refused"),
        ] {
            assert_eq!(
                (word(status, code, false), word(status, code, true)),
                (worker, end_user),
                "{status} {code}"
            );
        }
    }

    #[test]
    fn an_operator_is_told_what_to_change() {
        for (status, code, part) in [
            (401, "access_denied", "check `auth0.client_id` and the client secret"),
            (403, "unauthorized_client", "switch on the grant type Token Vault"),
            (403, "access_denied", "the Permissions must list it and the IP Allowlist"),
            (400, "invalid_request", "the public half of `auth0.token_vault.private_key_file`"),
            (400, "", "without the error that Auth0 sends"),
        ] {
            let text = remedy(status, code, "google-oauth2");
            assert!(text.starts_with(&status.to_string()) && text.contains(part), "{text}");
        }
    }

    #[tokio::test]
    async fn a_token_comes_with_its_end_and_its_scopes() {
        let body = r#"{"access_token":"canary","expires_in":"1377","scope":"a b","token_type":"Bearer"}"#;
        let token = outcome(200, body, false).expect("a token");
        let expiry = token.expiry.expect("it ends");
        assert_eq!((token.access.expose(), expiry.basis), ("canary", ExpiryBasis::Provider));
        let left = expiry.remaining();
        assert!((Duration::from_secs(1300)..=Duration::from_secs(1377)).contains(&left), "{left:?}");
        assert_eq!(token.scopes, ["a", "b"]);
        assert!(!format!("{token:?}").contains("canary"));
    }

    #[test]
    fn an_odd_life_is_unknown_and_a_missing_token_is_nonsense() {
        for odd in ["null", "-5", r#""soon""#, "18446744073709551615"] {
            let token = outcome(200, &format!(r#"{{"access_token":"t","expires_in":{odd}}}"#), false);
            assert!(token.expect("a token").expiry.is_none(), "{odd}");
        }
        for nonsense in ["", "<html>", "{}", r#"{"access_token":""}"#, r#"{"access_token":null}"#] {
            let error = outcome(200, nonsense, false).expect_err("no token");
            assert_eq!(error.outcome(), "unavailable", "{nonsense}");
        }
    }
}
