//! Where `scripts/test-tools` puts the clients.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tokio::process::Command;

use crate::child::command;

/// The checkout.
pub(crate) const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// The contract's source.
pub(crate) const PROTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");

const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/python");
const NODE_MODULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/node_modules");

/// The file of a client of ours.
pub(crate) fn client(file: &str) -> PathBuf {
    Path::new(ROOT).join("tests/clients").join(file)
}

/// A program that pip installed: `python`, `grpcurl`, `buf`.
pub(crate) fn python_tool(name: &str) -> Command {
    expect_installed(PYTHON, include_str!("../clients/requirements.txt"));
    let mut tool = command(Path::new(PYTHON).join("bin").join(name));
    // Nothing of what they remember leaves the checkout.
    tool.env("BUF_CACHE_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/buf"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    tool
}

/// Node.js, for a program beside `node_modules`.
pub(crate) fn node() -> Command {
    expect_installed(NODE_MODULES, include_str!("../clients/package-lock.json"));
    command("node")
}

fn expect_installed(folder: &str, versions: &str) {
    let stamp = fs::read_to_string(Path::new(folder).join("stamp")).unwrap_or_default();
    assert!(
        stamp.ends_with(versions),
        "{folder} is missing or out of date. Run scripts/test, which installs it"
    );
}
