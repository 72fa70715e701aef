//! The configuration as an operator meets it: files and variables in, settings or complaints out.

mod complaints;
mod connect;
mod documentation;
mod hostile;
mod providers;
mod settings;
mod store;

use std::{os::unix::fs::PermissionsExt, path::PathBuf};

use tempfile::TempDir;

use super::*;

/// What is never to be seen in a problem, a warning or a debug text.
const CANARY: &str = "canary-2f9d";

/// The least that a file must say; further top-level keys go in front, keys of `[auth0]` and tables behind.
const LEAST: &str =
    "[auth0]\ndomain = \"acme.eu.auth0.com\"\nclient_id = \"app\"\nclient_secret = \"canary-2f9d\"\n";

/// A file of which nobody but its owner may know.
fn file(folder: &TempDir, name: &str, text: &str, mode: u32) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("the file can be written");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("the mode can be set");
    path
}

/// A line of a file of encryption keys.
fn encryption_key(number: u8) -> String {
    base64::Engine::encode(&base64::prelude::BASE64_STANDARD, [number; 32])
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder for the test")
}

/// Loads `text` as a file, with `variables`; problems as lines, with the file's folder cut off.
fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let folder = folder();
    let path = file(&folder, "idp.toml", text, 0o600);
    let environment = variables.iter().copied().collect();
    let prefix = format!("{}/", folder.path().display());
    let line = |problem: &Problem| problem.to_string().replace(&prefix, "");
    Config::load(Some(&path), &environment).map_err(|error| error.problems.iter().map(line).collect())
}

/// The problems of a configuration that is wrong.
fn problems(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    load(text, variables).err().unwrap_or_else(|| panic!("accepted: {text}"))
}

/// The settings of a configuration that is right.
fn config(text: &str, variables: &[(&str, &str)]) -> Config {
    load(text, variables).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"))
}
