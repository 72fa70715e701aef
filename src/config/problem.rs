//! Problems of a configuration, in words for the person who wrote it.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// One mistake or warning: what it is and what to write instead. Never quotes a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    location: Option<Location>,
    text: String,
}

/// Why there is no configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// What is wrong: at least one problem.
    pub problems: Vec<Problem>,
    /// What is valid, but may be the cause.
    pub warnings: Vec<Problem>,
}

/// Wraps the problems of a file that cannot be read or parsed, so that nothing else is known.
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
    /// Makes a problem of `text`, a sentence without a full stop that names the key or the variable.
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { location: None, text: text.into() }
    }

    /// Sets the problem's location.
    pub(super) fn at(self, location: Option<Location>) -> Self {
        Self { location, ..self }
    }

    /// Returns the place in the file; `None` for the environment, and for what is written nowhere.
    pub fn location(&self) -> Option<&Location> {
        self.location.as_ref()
    }

    /// Returns what is wrong and what to write, without the place.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Location {
    /// `line` and `column` are counted from 1; zero means unknown.
    pub(super) fn new(file: &Path, line: usize, column: usize) -> Self {
        Self { file: file.to_owned(), line, column }
    }

    /// Returns line and column, counted from 1; zero if the whole file or line is meant.
    pub fn position(&self) -> (usize, usize) {
        (self.line, self.column)
    }
}

/// Formats as compilers do, `idp-token-service.toml:4: ...`, so that editors find the place.
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
