//! The configuration as an operator meets it: files and variables in, settings or problems out.

mod audit;
mod callers;
mod complaints;
mod connect;
mod documentation;
mod hostile;
mod proofs;
mod providers;
mod settings;
mod store;
mod tls;
mod token_vault;
mod web;

use std::{os::unix::fs::PermissionsExt, path::PathBuf};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use tempfile::TempDir;

use super::*;

/// A value that must never appear in a problem, a warning or a debug text.
const CANARY: &str = "canary-2f9d";

/// The minimal file; further top-level keys go before it, keys of `[auth0]` and tables after it.
const LEAST: &str =
    "[auth0]\ndomain = \"acme.eu.auth0.com\"\nclient_id = \"app\"\nclient_secret = \"canary-2f9d\"\n";

/// Creates a file with the given mode.
fn file(folder: &TempDir, name: &str, text: &str, mode: u32) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("the file can be written");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("the mode can be set");
    path
}

/// A line of a file of encryption keys.
fn encryption_key(number: u8) -> String {
    BASE64_STANDARD.encode([number; 32])
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder for the test")
}

/// Loads `text` as a file, with `variables`; problems are lines without the file's folder.
fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let folder = folder();
    let path = file(&folder, "idp.toml", text, 0o600);
    let environment = variables.iter().copied().collect();
    let prefix = format!("{}/", folder.path().display());
    let line = |problem: &Problem| problem.to_string().replace(&prefix, "");
    Config::load(Some(&path), &environment).map_err(|error| error.problems.iter().map(line).collect())
}

/// Returns the problems of a wrong configuration.
fn problems(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    load(text, variables).err().unwrap_or_else(|| panic!("accepted: {text}"))
}

/// Returns the settings of a valid configuration.
fn config(text: &str, variables: &[(&str, &str)]) -> Config {
    load(text, variables).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"))
}

fn pem(tag: &str, der: &[u8]) -> String {
    format!("-----BEGIN {tag}-----\n{}\n-----END {tag}-----\n", BASE64_STANDARD.encode(der))
}

/// Creates a file with a valid RSA private key, in a folder that goes with the guard.
fn rsa_key_file() -> (TempDir, String) {
    let key = KeyPair::generate(KeySize::Rsa2048).expect("a key for the test");
    let key: Pkcs8V1Der<'_> = key.as_der().expect("the key can be written");
    let folder = folder();
    let path = file(&folder, "key.pem", &pem("PRIVATE KEY", key.as_ref()), 0o600).display().to_string();
    (folder, path)
}
