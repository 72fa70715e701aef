//! `[audit]`: what is accepted and what is rejected.

use super::*;
use crate::audit::{Destination, Format, Level};

fn saying(audit: &str) -> String {
    format!("{LEAST}[audit]\n{audit}\n")
}

#[test]
fn every_call_is_recorded_on_stdout_unless_something_else_is_said() {
    let audit = config(LEAST, &[]).audit;
    assert_eq!(
        (audit.destination, audit.format, audit.level),
        (Destination::Stdout, Format::Json, Level::All)
    );
    assert!(audit.user_id_key.is_none());
    let audit = config(
        &saying("file = '/var/log/audit.log'\nformat = 'logfmt'"),
        &[("IDP_TOKEN_AUDIT_LEVEL", "refusals")],
    )
    .audit;
    assert_eq!(audit.destination, Destination::File("/var/log/audit.log".into()));
    assert_eq!((audit.format, audit.level), (Format::Logfmt, Level::Refusals));
}

#[test]
fn the_key_of_user_ids_stands_in_the_file_or_in_one_of_its_own_and_is_never_shown() {
    let folder = folder();
    let path = file(&folder, "key", &format!("{}\n", encryption_key(7)), 0o600);
    let own = format!("user_id_key_file = '{}'", path.display());
    for text in [own, format!("user_id_key = '{}'", encryption_key(7))] {
        let config = config(&saying(&text), &[]);
        assert!(config.audit.user_id_key.is_some());
        assert!(!format!("{config:?}").contains(&encryption_key(7)));
    }
}

#[test]
fn a_wrong_audit_log_gets_its_remedy_and_no_value_is_quoted() {
    let folder = folder();
    let short = file(&folder, "short", "canary-2f9d", 0o600);
    let short = format!("user_id_key_file = '{}'", short.display());
    let twice = format!("user_id_key = '{}'\n{short}", encryption_key(1));
    for (text, expected) in [
        ("file = ''", "idp.toml:6: `audit.file` must be the path of a file, or `-` for stdout"),
        ("format = 'canary-2f9d'", "`audit.format` must be `json` or `logfmt`"),
        ("level = 'canary-2f9d'", "`audit.level` must be `all`, `refusals` or `off`"),
        (
            "user_id_key = 'canary-2f9d'",
            "`audit.user_id_key` must be base64 of at least 32 bytes, as `openssl",
        ),
        (&short, "`audit.user_id_key_file` names a file whose content must be base64 of at least 32 bytes"),
        ("user_id_key_file = '/nowhere/canary-2f9d'", "names a file that cannot be read"),
        (&twice, "`audit.user_id_key_file` contradicts `audit.user_id_key`; keep one of them"),
        ("user_id_keys = 'a'", "unknown key `audit.user_id_keys`"),
    ] {
        let problems = problems(&saying(text), &[]);
        assert_eq!(problems.len(), 1, "{text}: {problems:#?}");
        assert!(problems[0].contains(expected), "{text}\nsays   {}\nwanted {expected}", problems[0]);
        assert!(!problems[0].contains(CANARY), "{}", problems[0]);
    }
}
