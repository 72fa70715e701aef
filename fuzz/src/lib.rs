//! What the targets share: how an input is cut into fields, and what must never be seen.
//!
//! An input is text, a field on each line, so that seeds can be written and read by people. What a field
//! cannot hold itself is written with a sign that stands for it: see [`Lines`].

use std::fmt::Debug;

pub mod adapters;
pub mod world;

use http::{HeaderMap, HeaderName, HeaderValue};

/// A secret, wherever a seed or the dictionary puts it.
pub const CANARY: &str = "canary-2f9d";

/// The fields of an input, one by one.
pub struct Lines<'a>(&'a str);

impl<'a> Lines<'a> {
    /// `None` where `data` is not UTF-8: what is fuzzed takes text.
    pub fn of(data: &'a [u8]) -> Option<Self> {
        str::from_utf8(data).ok().map(Self)
    }

    /// The next line, in which `␤` stands for a line feed and `␀` for a zero byte; empty behind the last.
    pub fn field(&mut self) -> String {
        let (line, rest) = self.0.split_once('\n').unwrap_or((self.0, ""));
        self.0 = rest;
        written_out(line)
    }

    /// The lines up to an empty one, or to the end.
    pub fn block(&mut self) -> Vec<String> {
        std::iter::from_fn(|| Some(self.field()).filter(|line| !line.is_empty())).collect()
    }

    /// What is left, as it is.
    pub fn rest(self) -> &'a str {
        self.0
    }
}

fn written_out(line: &str) -> String {
    line.replace('␤', "\n").replace('␀', "\0")
}

/// The headers among `lines`, each written `name: value`. What HTTP itself cannot carry is left out.
pub fn headers(lines: &[String]) -> HeaderMap {
    let header = |line: &String| {
        let (name, value) = line.split_once(':')?;
        let name: HeaderName = name.parse().ok()?;
        Some((name, HeaderValue::from_bytes(value.trim_ascii().as_bytes()).ok()?))
    };
    lines.iter().filter_map(header).collect()
}

/// `text` decoded until nothing is left to decode, each time as a whole, as a chain of servers would.
pub fn decoded(text: &str) -> Vec<Vec<u8>> {
    let mut all = vec![text.as_bytes().to_vec()];
    loop {
        let last = &all[all.len() - 1];
        let next: Vec<u8> = percent_encoding::percent_decode(last).collect();
        if next == *last {
            return all;
        }
        all.push(next);
    }
}

/// Fails where `what`, as a log would show it, holds `secret`.
#[track_caller]
pub fn assert_hidden(what: &dyn Debug, secret: &str) {
    let text = format!("{what:?}");
    assert!(!text.contains(secret), "a secret is shown: {text}");
}
