//! Which strategy a table is for, and which keys mean something there.

use crate::{
    config::{known, section::Section, strategy::Strategy},
    provider,
};

/// Keys that do not mean something to every strategy. A key that would change nothing is refused, never ignored.
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

/// A table is called after a strategy, or says which strategy the connection has.
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

/// The tokens of one provider must not reach the hosts of another.
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

/// Whoever writes `rotates` for a provider whose adapter knows it better would rely on what nobody reads.
pub(super) fn refuse_what_means_nothing(section: &mut Section<'_, '_>, strategy: Strategy) {
    let what = format!("means nothing for the strategy `{}`; remove it", strategy.as_str());
    for key in NOT_FOR_ALL.into_iter().filter(|key| !strategy.kind().takes(key)) {
        section.refuse(key, &what);
    }
}
