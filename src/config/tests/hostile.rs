//! Whatever the file holds, the result is settings or problems that reveal nothing.

use proptest::prelude::*;

use super::{CANARY, load};

/// Any value, with the canary in every string.
fn value() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just(format!("'{CANARY}'")),
        Just(format!("\"https://{CANARY}@host.example/{CANARY}\"")),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<bool>().prop_map(|word| word.to_string()),
        Just("1979-05-27T07:32:00Z".to_owned()),
        Just("nan".to_owned()),
        "[0-9]{1,22}(ns|s|m|h|d|y|)".prop_map(|text| format!("'{text}'")),
    ];
    scalar.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|values| format!("[{}]", values.join(", "))),
            prop::collection::btree_map(key(), inner, 0..4).prop_map(|table| {
                let pairs: Vec<_> = table.iter().map(|(key, value)| format!("{key} = {value}")).collect();
                format!("{{ {} }}", pairs.join(", "))
            }),
        ]
    })
}

const NAMES: &[&str] = &[
    "listen",
    "insecure",
    "default_deadline",
    "drain",
    "log_level",
    "auth0",
    "providers",
    "github",
    "facebook",
    "domain",
    "base_url",
    "audience",
    "client_id",
    "client_secret",
    "client_secret_file",
    "private_key_file",
    "requests_per_second",
    "profile_ttl",
    "hosts",
    "api_version",
    "strategy",
    "callers",
    "end_users",
    "allow",
    "requests",
    "tls",
    "certificate_file",
    "client_ca_file",
    "upstream",
    "ca_file",
    "connect",
    "trusted_peers",
    "jwt_issuers",
    "end_users",
    "redirect_uris",
    "\"\"",
];

fn key() -> impl Strategy<Value = String> {
    prop_oneof![4 => prop::sample::select(NAMES).prop_map(str::to_owned), 1 => "[a-z_-]{1,9}"]
}

fn document() -> impl Strategy<Value = String> {
    let path = prop::collection::vec(key(), 1..4).prop_map(|keys| keys.join("."));
    prop::collection::vec((path, value()), 0..8)
        .prop_map(|lines| lines.iter().map(|(path, value)| format!("{path} = {value}\n")).collect())
}

/// Returns everything that is said about a file, without its place.
fn said(text: &str) -> String {
    match load(text, &[]) {
        Ok(config) => format!("{config:?}"),
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason: {text}");
            problems.join("\n")
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        said(&text);
    }

    #[test]
    fn lines_of_the_alphabet_of_toml_are_answered(text in "([a-z0-9_.='\"\\[\\]{},# \\\\-]{0,30}\n){0,9}") {
        said(&text);
    }

    #[test]
    fn no_document_gives_a_value_away(text in document()) {
        prop_assert!(!said(&text).contains(CANARY), "{}", said(&text));
    }

    #[test]
    fn no_broken_line_gives_a_value_away(text in document(), cut in any::<prop::sample::Index>(), junk in "[\"'=\\[{\\\\\u{7}]") {
        let text = format!("{text}[auth0]\nclient_secret = \"{CANARY}\"\n");
        let ends: Vec<_> = text.char_indices().map(|(index, _)| index).collect();
        let (before, after) = text.split_at(ends[cut.index(ends.len())]);
        // A cut through the canary destroys it.
        let broken = format!("{before}{junk}{after}");
        prop_assert!(!said(&broken).contains(CANARY));
    }
}
