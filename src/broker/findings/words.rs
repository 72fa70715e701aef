//! What findings say: what is wrong, and what to change where. One or two sentences, nothing secret, nothing that a
//! provider wrote.

use std::time::Duration;

use crate::store::Failure;

pub(super) const REVOKED: &str = "The token was revoked through this service, which uses neither it nor its refresh token \
    again. The user gets another one by logging in with this connection.";

/// <https://auth0.com/docs/authenticate/identity-providers/adding-scopes-for-an-external-idp>
pub(super) const LOGIN_ONLY: &str = "Only the scopes of a login were granted, with which the provider's APIs answer 403. Ask \
    for more with `connection_scope`, as CreateConnectLink does with its `scopes`, or in the connection's permissions \
    in Auth0.";

/// Why a token that ends cannot be renewed by whatever is configured here.
pub(super) fn no_refresh_token(strategy: &str) -> String {
    match strategy {
        // https://developers.google.com/identity/protocols/oauth2/web-server#offline
        "google-oauth2" | "google-apps" => {
            "Google issued no refresh token, so that access ends with the token, an hour after the login. Google sends \
             one on its consent screen only: send `access_type=offline` and `prompt=consent` to /authorize, as \
             CreateConnectLink does with `offline_access`."
        }
        "waad" | "windowslive" => {
            "Microsoft issued no refresh token, so that access ends with the token, about an hour after the login. Add \
             `offline_access` to the `scope` in the connection's `upstream_params` in Auth0 (PATCH \
             /api/v2/connections/{id} with the whole `options`), and have the user log in again."
        }
        "github" => {
            "GitHub's token ends after 8 hours and came without a refresh token. Have the login ask for the scope \
             `offline_access`, or switch the expiration of user tokens off in the app's settings at GitHub."
        }
        "bitbucket" => {
            "No refresh token is held, though Bitbucket issues one at every login, so that access ends with the token. \
             Have the user log in again."
        }
        _ => {
            "The provider issued no refresh token, so that access ends with the token. Add what the provider documents \
             for one, mostly the scope `offline_access`, to the connection's scopes in Auth0, and have the user log in \
             again."
        }
    }
    .to_owned()
}

/// Why the provider ended a grant; `code` is its word for it.
pub(super) fn grant_dead(strategy: &str, code: &str) -> String {
    let causes = match strategy {
        // https://developers.google.com/identity/protocols/oauth2#expiration
        "google-oauth2" | "google-apps" if code == "invalid_rapt" => {
            "The session control of the user's organisation wants a new login: an administrator can exempt the app."
        }
        "google-oauth2" | "google-apps" => {
            "Google does so 7 days after the consent while the app's publishing status is Testing (publish it in the \
             Google Cloud console), after six months without use, when a user with Gmail scopes changes the password, \
             and with the oldest of more than 100 refresh tokens of an account."
        }
        // https://docs.github.com/authentication/keeping-your-account-and-data-secure/token-expiration-and-revocation
        "github" => {
            "GitHub does so after six months without use, when a refresh token is used twice (by another program, or by \
             a service whose `store.url` was emptied), and when the user or an organisation removes the app."
        }
        "bitbucket" => {
            "Bitbucket does so after three months without use, and each refresh token is good for one use: no other \
             program may renew with it."
        }
        // https://learn.microsoft.com/entra/identity-platform/refresh-tokens
        "waad" | "windowslive" => {
            "Microsoft does so after 90 days without use, when an administrator resets the password or revokes the \
             sessions, and where a policy wants more than the login gave, such as a second factor."
        }
        "facebook" => FACEBOOK,
        _ => "Only a login of the user brings another one.",
    };
    format!("At the last renewal the provider said that the user's grant has ended ({code}). {causes}")
}

const FACEBOOK: &str = "Facebook's tokens live for some 60 days, die when the user changes the password or removes the \
    app, and can be exchanged for new ones only while they live.";

/// Why the provider does not accept a token that nothing renews.
pub(super) fn dead(strategy: &str) -> String {
    match strategy {
        // https://docs.github.com/authentication/keeping-your-account-and-data-secure/token-expiration-and-revocation
        "github" => {
            "GitHub no longer accepts the token. The eleventh login of a user with the same app and scopes evicts the \
             first; a year without use ends a token, as do the user or an organisation that removes the app, and an \
             organisation's SAML single sign-on may want a new login."
        }
        .to_owned(),
        "facebook" => format!("Facebook no longer accepts the token. {FACEBOOK}"),
        _ => "The provider no longer accepts the token, and it cannot be renewed. The user gets another one by logging \
              in with this connection."
            .to_owned(),
    }
}

/// `key` names the application, in full.
pub(super) fn not_known(key: &str) -> String {
    format!(
        "The provider does not know the token as one of this application's: it is dead, or it was issued to another \
         application. See that `{key}` of this service's configuration is the application that the connection uses in \
         Auth0. Until the provider has called a token of this application active, nobody is denied a token for this."
    )
}

pub(super) const NOT_DURABLE: &str = "The provider's refresh tokens die at use, so that a token is renewed only where the \
    new ones survive a restart. Set `store.url` of this service to a database.";

/// `keys` in full, as the configuration has them.
pub(super) fn not_configured(strategy: &str, keys: &[String]) -> String {
    let quoted: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
    let keys = quoted.join(" and ");
    if strategy == "facebook" {
        return format!("{FACEBOOK} Set {keys} in this service's configuration, and it does so in time.");
    }
    format!(
        "The token cannot be renewed when it ends, though a refresh token is held. Set {keys} in this service's \
         configuration to those of the application that the connection uses in Auth0."
    )
}

/// What to do about renewals that fail, and when the next one may be tried.
pub(super) fn failing(failure: &Failure, rest: Duration) -> String {
    let advice = match failure.reason.as_str() {
        "unreachable" | "timeout" | "connection_broken" => {
            "See that the provider's token endpoint, or this provider's `token_url`, can be reached from here."
        }
        "rate_limited" => "The provider asks to wait; raise the application's quota there if this goes on.",
        "unavailable" | "unreadable_answer" => {
            "The provider's token endpoint is at fault; see its status page, and this provider's `token_url`."
        }
        "unsendable" => "The application cannot prove itself: check this provider's `private_key_file`.",
        _ => {
            "The provider refuses the application: check this provider's `client_id`, `client_secret` or \
             `private_key_file`, `token_auth_method`, `token_url` and `scopes`."
        }
    };
    let (count, reason, rest) = (failure.count, &failure.reason, rest.as_secs());
    format!(
        "The last {count} renewals failed ({reason}), and the next is tried in {rest} s at the earliest. {advice}"
    )
}

/// `is_guess` if it may end earlier.
pub(super) fn ends_soon(left: Duration, is_guess: bool) -> String {
    let minutes = left.as_secs() / 60;
    let earlier =
        "perhaps earlier, since Auth0 does not record when it was issued and the user has several identities";
    let guess = if is_guess { format!(", {earlier},") } else { String::new() };
    format!(
        "The token ends in {minutes} min{guess} and cannot be renewed. Have the user log in with this connection."
    )
}
