//! What findings say: what is wrong, and what to change where. One or two sentences, nothing secret, nothing
//! that a provider wrote.

use std::time::Duration;

use crate::{provider::Advice, store::Failure};

pub(super) const REVOKED: &str = "The token was revoked through this service, which uses neither it nor its refresh token \
    again. The user gets another one by logging in with this connection.";

/// <https://auth0.com/docs/authenticate/identity-providers/adding-scopes-for-an-external-idp>
pub(super) const LOGIN_ONLY: &str = "Only the scopes of a login were granted, with which the provider's APIs answer 403. Ask \
    for more with `connection_scope`, as CreateConnectLink does with its `scopes`, or in the connection's permissions \
    in Auth0.";

/// Why the provider ended a grant; `code` is its word for it.
pub(super) fn grant_dead(advice: &Advice, code: &str) -> String {
    let causes = advice.grant_ended(code);
    format!("At the last renewal the provider said that the user's grant has ended ({code}). {causes}")
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
pub(super) fn not_configured(advice: &Advice, keys: &[String]) -> String {
    let quoted: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
    let (keys, why) = (quoted.join(" and "), advice.with_application);
    format!("Set {keys} in this service's configuration. {why}")
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
