//! Keeps the arrows of the design: who may use what, told from the source's own words.
//!
//! Reads `src/` line by line. Unit tests at the end of a file, `tests.rs`, and comments do not count.

#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

/// A rule: files `within` must not mention any of `never`, except those in `save`.
struct Rule {
    /// Paths below `src/`: a file, or a folder with its slash. Empty: all.
    within: &'static [&'static str],
    save: &'static [&'static str],
    /// Paths as Rust writes them; `crate::broker` also covers what is below it.
    never: &'static [&'static str],
    why: &'static str,
}

/// The subsystems from the outside in; each may use what stands below its own line, and on it.
const LAYERS: &[&[&str]] = &[
    &["cli", "fuzzing"],
    &["server"],
    &["web"],
    &["service"],
    &["broker"],
    &["tokens"],
    &["context"],
    &["auth0", "authentication", "provider_client"],
    &["config", "policy"],
    &["audit", "cache", "transport", "store", "provider", "telemetry", "memory"],
    &["retry", "deadline", "tls", "shares"],
    &["caller"],
    &["identity"],
    &["token", "secret", "field", "rpc"],
];

const RULES: &[Rule] = &[
    Rule {
        within: &[],
        save: &["service/", "service.rs", "web/", "web.rs", "server.rs", "cli/"],
        never: &["pb"],
        why: "the contract's messages stay in the service and the protocols before it; the server registers them, and commands are clients",
    },
    Rule {
        within: &[],
        save: &["transport.rs", "transport/"],
        never: &["reqwest"],
        why: "one transport sends, with the same limits for all",
    },
    Rule {
        within: &[],
        save: &["store/", "store.rs"],
        never: &["sqlx"],
        why: "one store talks to databases, and seals all that it keeps",
    },
    Rule {
        within: &["provider.rs", "provider/", "policy.rs", "policy/"],
        save: &[],
        never: &[
            "tokio",
            "std::fs",
            "std::net",
            "std::io",
            "hyper",
            "crate::transport",
            "crate::auth0",
            "async fn",
        ],
        why: "adapters describe requests and read answers, and the policy decides; they do no I/O",
    },
    Rule {
        within: &[],
        // A call's outcome is counted by its status.
        save: &[
            "service/",
            "service.rs",
            "web/",
            "web.rs",
            "server.rs",
            "server/",
            "cli/",
            "telemetry/metrics.rs",
        ],
        never: &["tonic", "prost", "prost_types", "tonic_types"],
        why: "gRPC ends at the service",
    },
];

const LONGEST_FILE: usize = 400;

/// Columns of a comment line, as of code (rustfmt.toml).
const WIDEST_COMMENT: usize = 110;

/// A source file, without what does not count.
struct Source {
    /// Below `src/`.
    path: String,
    lines: Vec<String>,
    length: usize,
}

impl Source {
    fn read(root: &Path, file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap();
        let path = file.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
        Self::of(&path, &text)
    }

    fn of(path: &str, text: &str) -> Self {
        let tests = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
        let lines = text[..tests].lines().map(|line| without_comment(line).to_owned());
        Self { path: path.to_owned(), lines: lines.collect(), length: text.lines().count() }
    }

    fn is_in(&self, places: &[&str]) -> bool {
        places
            .iter()
            .any(|place| self.path == *place || (place.ends_with('/') && self.path.starts_with(place)))
    }

    /// Every path that is used, with its line: `use crate::{a::B, c}` gives `crate::a::B` and `crate::c`.
    fn paths(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let mut stack: Vec<String> = Vec::new();
        let mut in_use = false;
        for (number, line) in (1..).zip(&self.lines) {
            let code = line.trim();
            let begins = ["use ", "pub use ", "pub(crate) use ", "pub(super) use "];
            let Some(begin) = begins.iter().find(|begin| code.starts_with(**begin)) else {
                if in_use {
                    in_use = expand(code, number, &mut stack, &mut found);
                }
                found.extend(written_out(code).map(|path| (number, path)));
                continue;
            };
            stack.clear();
            in_use = expand(&code[begin.len()..], number, &mut stack, &mut found);
        }
        found.into_iter().map(|(number, path)| (number, self.absolute(&path))).collect()
    }

    /// `super::x` as `crate::...::x`.
    fn absolute(&self, path: &str) -> String {
        let mut module: Vec<_> = self.path.trim_end_matches(".rs").split('/').collect();
        let mut rest = path;
        if !rest.starts_with("super::") {
            return path.to_owned();
        }
        while let Some(above) = rest.strip_prefix("super::") {
            module.pop();
            rest = above;
        }
        let prefix = ["crate"].into_iter().chain(module).collect::<Vec<_>>().join("::");
        format!("{prefix}::{rest}")
    }

    /// The subsystem that the file belongs to.
    fn subsystem(&self) -> &str {
        self.path.split(['/', '.']).next().unwrap_or_default()
    }
}

/// The slashes of a URL begin no comment.
fn without_comment(line: &str) -> &str {
    let mut slashes = line.match_indices("//").filter(|(at, _)| !line[..*at].ends_with(':'));
    slashes.next().map_or(line, |(at, _)| &line[..at])
}

/// One line of a `use`; whether it goes on in the next. `stack` holds the prefixes of the open braces.
fn expand(code: &str, number: usize, stack: &mut Vec<String>, found: &mut Vec<(usize, String)>) -> bool {
    let mut word = String::new();
    for letter in code.chars() {
        match letter {
            '{' => stack.push(std::mem::take(&mut word)),
            ',' | '}' | ';' => {
                if !word.is_empty() {
                    found.push((number, stack.concat() + &std::mem::take(&mut word)));
                }
                match letter {
                    '}' => drop(stack.pop()),
                    ';' => return false,
                    _ => {}
                }
            }
            ' ' if word.is_empty() => {}
            letter => word.push(letter),
        }
    }
    true
}

/// Paths in code: `crate::a::b`, `std::fs::read`.
fn written_out(code: &str) -> impl Iterator<Item = String> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':');
    code.split(move |c| !is_part(c))
        .filter(|word| word.contains("::"))
        .map(|word| word.trim_matches(':').to_owned())
        .collect::<Vec<_>>()
        .into_iter()
}

/// Whether `path` is `forbidden` or below it, however its beginning is written: `pb::X`,
/// `crate::service::pb::X`.
fn hits(path: &str, forbidden: &str) -> bool {
    format!("::{path}::").contains(&format!("::{forbidden}::"))
}

fn breaches(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let paths = source.paths();
    for rule in RULES.iter().filter(|rule| rule.within.is_empty() || source.is_in(rule.within)) {
        if source.is_in(rule.save) {
            continue;
        }
        for (line, path) in &paths {
            if rule.never.iter().any(|forbidden| hits(path, forbidden)) {
                found.push(format!("src/{}:{line}: `{path}`: {}", source.path, rule.why));
            }
        }
        for (line, _) in (1..)
            .zip(&source.lines)
            .filter(|(_, code)| rule.never.contains(&"async fn") && code.contains("async fn"))
        {
            found.push(format!("src/{}:{line}: `async fn`: {}", source.path, rule.why));
        }
    }
    found.extend(upward(source, &paths));
    if source.path.ends_with("mod.rs") {
        found.push(format!(
            "src/{}: a module lies in `name.rs` beside its folder, not in `mod.rs`",
            source.path
        ));
    }
    if source.length > LONGEST_FILE {
        let length = source.length;
        found.push(format!("src/{}: {length} lines are more than {LONGEST_FILE}: split it", source.path));
    }
    found
}

/// Arrows point down. The crate's root and `main.rs` only name what there is.
fn upward(source: &Source, paths: &[(usize, String)]) -> Vec<String> {
    let layer = |name: &str| LAYERS.iter().position(|layer| layer.contains(&name));
    let own = source.subsystem();
    if ["main", "lib"].contains(&own) {
        return Vec::new();
    }
    let Some(height) = layer(own) else {
        return vec![format!("src/{}: `{own}` has no place in LAYERS of tests/arrows.rs", source.path)];
    };
    let used = paths.iter().filter_map(|(line, path)| {
        let name = path.strip_prefix("crate::")?.split("::").next()?;
        let above = layer(name)? < height;
        above.then(|| format!("src/{}:{line}: `{path}`: `{name}` stands above `{own}`", source.path))
    });
    used.collect()
}

/// The Rust files below `folder`, in order.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let mut files = Vec::new();
    for entry in entries {
        if entry.is_dir() && !entry.ends_with("node_modules") && !entry.ends_with("target") {
            files.extend(rust_files(&entry));
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            files.push(entry);
        }
    }
    files
}

/// Whether `line` is a comment that should be wrapped, which rustfmt does not do. Neither a URL on its own
/// nor a row of a table can be.
fn is_overlong_comment(line: &str) -> bool {
    let code = line.trim_start();
    let text = code.trim_start_matches(['/', '!']).trim_start();
    let is_breakable = text.contains(' ') && !text.starts_with('|');
    code.starts_with("//") && is_breakable && line.chars().count() > WIDEST_COMMENT
}

#[test]
fn the_arrows_point_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let all: Vec<_> = rust_files(&root).iter().map(|file| Source::read(&root, file)).collect();
    assert!(all.len() > 50, "the sources were not found");
    let is_test = |source: &Source| source.path.ends_with("/tests.rs") || source.path.contains("/tests/");
    let mut text = String::new();
    for breach in all.iter().filter(|source| !is_test(source)).flat_map(breaches) {
        writeln!(text, "{breach}").unwrap();
    }
    assert!(text.is_empty(), "\n{text}");
}

#[test]
fn comments_are_wrapped() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["src", "crates", "tests", "benches", "fuzz"];
    let mut text = String::new();
    for file in folders.into_iter().flat_map(|folder| rust_files(&root.join(folder))) {
        let source = std::fs::read_to_string(&file).unwrap();
        let path = file.strip_prefix(root).unwrap().display();
        for (line, _) in (1..).zip(source.lines()).filter(|(_, line)| is_overlong_comment(line)) {
            writeln!(text, "{path}:{line}: a comment of more than {WIDEST_COMMENT} columns").unwrap();
        }
    }
    assert!(text.is_empty(), "\n{text}");
}

#[test]
fn an_overlong_comment_is_noticed() {
    let wide = |text: &str| format!("    {text}{}", "ü".repeat(WIDEST_COMMENT - 4 - text.chars().count()));
    for begin in ["/// a ", "// a ", "//! a "] {
        assert!(is_overlong_comment(&(wide(begin) + "x")), "{begin}");
        assert!(!is_overlong_comment(&wide(begin)), "{begin}");
    }
    for other in ["// https://", "//! | a | ", "let url = \"https://a ", "let x = 1; // a "] {
        assert!(!is_overlong_comment(&(wide(other) + "x")), "{other}");
    }
}

#[test]
fn a_breach_of_each_rule_is_noticed() {
    for (path, code) in [
        ("broker/lend.rs", "use crate::service::pb::Identity;"),
        ("broker/lend.rs", "use crate::{\n    auth0::Auth0,\n    service::{Gate, pb},\n};"),
        ("auth0/users.rs", "fn f() { reqwest::get(\"x\"); }"),
        ("auth0/users.rs", "use reqwest::Client;"),
        ("auth0/users.rs", "fn f() { g(\"https://x\", reqwest::Method::GET); }"),
        ("config/store.rs", "use sqlx::postgres::PgConnectOptions;"),
        ("store/memory.rs", "use crate::auth0::Auth0;"),
        ("retry/attempts.rs", "use super::super::cache::Cache;"),
        ("provider/google.rs", "use tokio::net::TcpStream;"),
        ("provider/google.rs", "use std::{fmt, fs};"),
        ("provider/google.rs", "    pub async fn f() {}"),
        ("cache.rs", "fn f() -> crate::broker::Broker { todo() }"),
        ("retry/attempts.rs", "use crate::cache::Cache;"),
        ("token.rs", "use crate::{identity::UserId};"),
        ("transport.rs", "use crate::server::Server;"),
        ("broker.rs", "use tonic::Status;"),
        ("audit/line.rs", "use prost::Message;"),
        ("auth0/mod.rs", ""),
        ("brandnew.rs", ""),
    ] {
        assert_ne!(breaches(&Source::of(path, code)), Vec::<String>::new(), "{path}: {code}");
    }
    let long = "\n".repeat(LONGEST_FILE + 1);
    assert_eq!(breaches(&Source::of("server.rs", &long)).len(), 1);
}

#[test]
fn what_is_right_stays_unnoticed() {
    for (path, code) in [
        ("service/convert.rs", "use super::pb;\nuse crate::broker::Broker;"),
        ("broker/lend.rs", "// service::pb is not for us\nuse crate::auth0::Auth0;"),
        ("transport.rs", "use reqwest::Client;"),
        ("telemetry/metrics.rs", "fn f(code: tonic::Code) {}"),
        ("store/database/leases.rs", "use super::shared::Row;\nuse crate::store::Lease;"),
        ("cache.rs", "fn f() {}\n#[cfg(test)]\nmod tests {\n    use crate::server::Server;\n}"),
    ] {
        assert_eq!(breaches(&Source::of(path, code)), Vec::<String>::new(), "{path}: {code}");
    }
}
