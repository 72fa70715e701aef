//! The strategy of a provider's table, and the keys that apply to it.

use crate::{
    config::{known, section::Section, strategy::Strategy},
    provider,
};

/// Keys that do not apply to every strategy. A key without effect is rejected, never ignored.
const NOT_FOR_ALL: [&str; 13] = [
    "client_id",
    "client_secret",
    "client_secret_file",
    "private_key_file",
    "token_auth_method",
    "token_url",
    "inspect_url",
    "revoke_url",
    "scopes",
    "identity_api",
    "resource",
    "rotates",
    "lifetime",
];

/// Returns the strategy that the table is named after, or names for its connection.
pub(super) fn strategy(section: &mut Section<'_, '_>, name: &str) -> Option<Strategy> {
    let own = Strategy::named(name);
    let agrees = |written: &Strategy| {
        let contradicts = own.is_some_and(|own| own != *written);
        if contradicts {
            Err("contradicts the name of its table, which is a strategy too; remove it".to_owned())
        } else {
            Ok(())
        }
    };
    let written = section.optional_checked("strategy", "the table's name", agrees).ok()?;
    let strategy = written.or(own);
    if strategy.is_none() {
        section.wrong_table(&unknown(name));
    }
    if own.is_some_and(|own| own.kind().is_shared()) {
        section.wrong_table(&shared(name));
        return None;
    }
    strategy
}

/// The error for a table named after a shared strategy: tokens of one provider must not reach another's
/// hosts.
fn shared(name: &str) -> String {
    format!(
        "is a strategy that unrelated providers share: call the table after the connection, as \
         `[providers.CONNECTION]`, and write `strategy = \"{name}\"` there"
    )
}

fn unknown(name: &str) -> String {
    let near = known::nearest(name, provider::strategies());
    let meant = near.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default();
    let expected = provider::strategies_in_words();
    format!("is none of {expected}{meant}; for a connection of another name, add its `strategy`")
}

/// Rejects keys without effect: an operator who sets `rotates` for a provider whose adapter knows better
/// would rely on it.
pub(super) fn refuse_keys_without_effect(section: &mut Section<'_, '_>, strategy: Strategy) {
    let what = format!("has no effect for the strategy `{}`; remove it", strategy.as_str());
    for key in NOT_FOR_ALL.into_iter().filter(|key| !strategy.kind().takes(key)) {
        section.refuse(key, &what);
    }
}
