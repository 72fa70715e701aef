//! The configuration file, read and parsed without ever being quoted.

use std::{ops::Range, path::Path};

use toml::de::DeTable;
use zeroize::Zeroizing;

use super::problem::{Location, Problem};

/// The source of a table, for the lines of its keys.
#[derive(Clone, Copy, Default)]
pub(super) struct Document<'a> {
    /// The file; `None` if everything comes from the environment.
    pub(super) file: Option<&'a Path>,
    text: &'a str,
}

/// Returns the text of `file`, which is wiped when dropped, since it may hold secrets.
pub(super) fn read(file: &Path) -> Result<Zeroizing<String>, Vec<Problem>> {
    std::fs::read_to_string(file).map(Zeroizing::new).map_err(|error| {
        let problem = Problem::new(format!("the configuration file cannot be read: {error}"));
        vec![problem.at(Some(Location::new(file, 0, 0)))]
    })
}

impl<'a> Document<'a> {
    /// Parses `text` into its top table, whose strings borrow from it, so that secrets are not copied. TOML's
    /// own error texts end with the offending line, which may hold a secret: only its messages are used.
    pub(super) fn parse(file: &'a Path, text: &'a str) -> Result<(Self, DeTable<'a>), Vec<Problem>> {
        let document = Self { file: Some(file), text };
        let (table, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            return Ok((document, table.into_inner()));
        }
        let mut problems: Vec<_> = errors.iter().map(|error| document.problem(error)).collect();
        // Further errors on the same line are mostly consequences of the first.
        problems.dedup_by_key(|problem| problem.location().map(|location| location.position().0));
        Err(problems)
    }

    fn problem(&self, error: &toml::de::Error) -> Problem {
        let start = error.span().map_or(self.text.len(), |span| span.start);
        let (line, column) = self.position(start);
        let location = self.file.map(|file| Location::new(file, line, column));
        Problem::new(format!("this is not TOML: {}", error.message())).at(location)
    }

    /// Returns the location of the line on which `span` begins.
    pub(super) fn location(&self, span: Range<usize>) -> Option<Location> {
        self.file.map(|file| Location::new(file, self.position(span.start).0, 0))
    }

    /// Returns the location of a line, counted from 1.
    pub(super) fn line(&self, line: Option<usize>) -> Option<Location> {
        self.file.map(|file| Location::new(file, line.unwrap_or_default(), 0))
    }

    /// Returns the line and column of a byte, counted from 1.
    fn position(&self, byte: usize) -> (usize, usize) {
        let before = self.text.get(..byte).unwrap_or(self.text);
        let line = before.rfind('\n').map_or(before, |end| &before[end + 1..]);
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    }
}
