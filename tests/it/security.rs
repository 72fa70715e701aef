//! What SECURITY.md promises is tested by what it names.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const DOCUMENT: &str = include_str!("../../SECURITY.md");

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("node_modules") {
            files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The words in backticks within the last column of the tables.
fn named() -> BTreeSet<&'static str> {
    let rows = DOCUMENT.lines().filter(|line| line.starts_with("| "));
    let last = rows.filter_map(|row| row.trim_end_matches(" |").rsplit_once(" | "));
    last.flat_map(|(_, tests)| tests.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn every_test_and_target_that_security_md_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    files(&root.join("tests"), &mut sources);
    let text: String = sources.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let is_there = |name: &str| {
        text.contains(&format!("fn {name}("))
            || root.join("tests").join(name).is_dir()
            || root.join(format!("tests/{name}.rs")).is_file()
            || root.join(format!("fuzz/fuzz_targets/{name}.rs")).is_file()
    };
    let named = named();
    let missing: Vec<_> = named.iter().filter(|name| !is_there(name)).collect();
    assert!(named.len() > 60 && missing.is_empty(), "{} named, missing: {missing:?}", named.len());
}
