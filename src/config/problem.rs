//! What is wrong with a configuration, in words for the person who wrote it.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// One mistake, or one thing to know: what it is and what to write instead. Never quotes a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    location: Option<Location>,
    text: String,
}

/// Why there is no configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// What is wrong: at least one thing.
    pub problems: Vec<Problem>,
    /// What is not wrong, but may be the reason.
    pub warnings: Vec<Problem>,
}

/// A file that cannot be read at all: nothing else is known.
impl From<Vec<Problem>> for ConfigError {
    fn from(problems: Vec<Problem>) -> Self {
        Self { problems, warnings: Vec::new() }
    }
}

/// A place in the configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    file: PathBuf,
    /// Counted from 1; zero means the file as a whole.
    line: usize,
    /// Counted from 1 in characters; zero means the whole line.
    column: usize,
}

impl Problem {
    /// `text` is a sentence without a full stop that names the key or the variable.
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { location: None, text: text.into() }
    }

    /// The same problem, found at `location`.
    pub(super) fn at(self, location: Option<Location>) -> Self {
        Self { location, ..self }
    }

    /// Where in the file; `None` for the environment, and for what is written nowhere.
    pub fn location(&self) -> Option<&Location> {
        self.location.as_ref()
    }

    /// What is wrong and what to write, without the place.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Location {
    /// `line` and `column` are counted from 1; zero means unknown.
    pub(super) fn new(file: &Path, line: usize, column: usize) -> Self {
        Self { file: file.to_owned(), line, column }
    }

    /// Line and column, counted from 1; zero where the whole file or line is meant.
    pub fn position(&self) -> (usize, usize) {
        (self.line, self.column)
    }
}

/// `idp-token-service.toml:4: ...`, as compilers write it, so that editors find the place.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some(location) => write!(f, "{location}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl std::error::Error for Problem {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.problems.iter().map(Problem::to_string).collect();
        f.write_str(&lines.join("; "))
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        [self.line, self.column]
            .iter()
            .filter(|number| **number > 0)
            .try_for_each(|number| write!(f, ":{number}"))
    }
}
