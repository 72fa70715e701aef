//! A configuration is taken or refused with reasons that give no value away, and each mistake is told however
//! many others there are.
//!
//! The lines up to an empty one are environment variables, `NAME=value`; the rest is the file.

#![no_main]

use std::{collections::BTreeSet, path::PathBuf, sync::LazyLock};

use idp_token_service::config::{Config, ConfigError, Environment, Problem};
use idp_token_service_fuzz::{CANARY, Lines};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use toml::{Table, Value};

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    folder.expect("a folder for configurations")
});

fuzz_target!(|data: &[u8]| {
    let Some(mut lines) = Lines::of(data) else { return };
    let variables = lines.block();
    let text = lines.rest();
    // The file may name files to read, and these never end.
    if text.contains("/dev") || variables.iter().any(|variable| variable.contains("/dev")) {
        return;
    }
    let environment: Environment = variables.iter().filter_map(|line| line.split_once('=')).collect();
    let table = text.parse::<Table>();
    let outcome = load(text, &environment);
    gives_nothing_away(&outcome, &variables, table.as_ref().ok());
    if let Ok(config) = &outcome {
        assert!(table.is_ok(), "what is not TOML was taken");
        let _ = (config.policy(), config.identifies_callers(), config.auth0.jwks_url());
    }
    if table.is_ok_and(|table| !table.contains_key(UNKNOWN)) {
        tells_of_one_more(outcome, text, &environment);
    }
});

fn load(text: &str, environment: &Environment) -> Result<Config, ConfigError> {
    let file = FOLDER.path().join("idp.toml");
    std::fs::write(&file, text).expect("the file can be written");
    Config::load(Some(&file), environment)
}

/// Keys and names may be quoted, values never; secrets not even where all is well.
fn gives_nothing_away(outcome: &Result<Config, ConfigError>, variables: &[String], table: Option<&Table>) {
    let is_named =
        variables.iter().any(|line| line.split('=').next().is_some_and(|name| name.contains(CANARY)));
    // Of what is not TOML nobody can tell what is a key; its problems quote neither.
    if is_named || table.is_some_and(|table| names(table).any(|name| name.contains(CANARY))) {
        return;
    }
    match outcome {
        Ok(config) => {
            for warning in &config.warnings {
                assert!(!warning.to_string().contains(CANARY), "{warning}");
            }
            if variables.iter().all(|line| !line.contains(CANARY)) && table.is_some_and(hides_in_secrets) {
                assert!(!format!("{config:?}").contains(CANARY), "{config:?}");
            }
        }
        Err(error) => {
            assert!(!error.problems.is_empty(), "refused without a reason");
            assert!(!format!("{error} {error:?}").contains(CANARY), "{error:?}");
        }
    }
}

/// All keys, at any depth.
fn names(table: &Table) -> Box<dyn Iterator<Item = &str> + '_> {
    Box::new(table.iter().flat_map(|(name, value)| std::iter::once(&**name).chain(names_in(value))))
}

fn names_in(value: &Value) -> Box<dyn Iterator<Item = &str> + '_> {
    match value {
        Value::Table(table) => names(table),
        Value::Array(all) => Box::new(all.iter().flat_map(names_in)),
        _ => Box::new(std::iter::empty()),
    }
}

/// Whether the canary stands in secrets only.
fn hides_in_secrets(table: &Table) -> bool {
    table.iter().all(|(name, value)| match value {
        Value::Table(table) => hides_in_secrets(table),
        _ => name == "client_secret" || !value.to_string().contains(CANARY),
    })
}

const UNKNOWN: &str = "quite_unknown";

/// A table more that nobody knows is one problem more, and hides none of the others.
fn tells_of_one_more(outcome: Result<Config, ConfigError>, text: &str, environment: &Environment) {
    let before = outcome.err().map(|error| error.problems).unwrap_or_default();
    let error = load(&format!("{text}\n[{UNKNOWN}]\n"), environment).expect_err("nobody knows this table");
    let after: BTreeSet<_> = error.problems.iter().map(Problem::text).collect();
    assert!(after.iter().any(|problem| problem.contains(UNKNOWN)), "{after:?}");
    for problem in &before {
        assert!(after.contains(problem.text()), "{problem} is no longer told: {after:?}");
    }
    assert_eq!(error.problems.len(), before.len() + 1, "{after:?}");
}
