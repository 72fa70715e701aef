//! The text of a key: its environment variable, else what the file says.

use std::borrow::Cow;

use super::{
    problem::Location,
    section::Section,
    value::{self, Shape},
};

/// The text of a key, and where it came from.
pub(super) struct Raw<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) origin: Origin,
}

/// Where a value was written.
#[derive(Clone)]
pub(super) struct Origin {
    /// The key or the variable.
    pub(super) name: String,
    pub(super) location: Option<Location>,
    pub(super) variable: bool,
}

/// A problem with this key was reported: nothing more is to be said about it.
pub(super) struct Reported;

/// A key's value: absent, there, or wrong and reported.
pub(super) type Read<T> = Result<Option<T>, Reported>;

impl Origin {
    /// A variable.
    pub(super) fn variable(name: String) -> Self {
        Self { name, location: None, variable: true }
    }

    /// A key of the file.
    pub(super) fn file(name: String, location: Option<Location>) -> Self {
        Self { name, location, variable: false }
    }
}

impl<'a> Section<'_, 'a> {
    /// The key's variable, else its value in the file.
    pub(super) fn raw(&mut self, name: &str, shape: Shape, expected: &str) -> Read<Raw<'a>> {
        match self.environment_value(name) {
            Ok(None) => self.file_value(name, shape, expected),
            overriding => {
                self.table.remove(name);
                overriding
            }
        }
    }

    /// The key's variable.
    pub(super) fn environment_value(&mut self, name: &str) -> Read<Raw<'a>> {
        let path = self.path.child(name);
        let variable = path.variable();
        let Some(value) = self.reader.environment.get(&variable) else { return Ok(None) };
        self.reader.claim(&variable, &path.written);
        let origin = Origin::variable(variable);
        match value.to_str() {
            Some(text) => Ok(Some(Raw { text: text.into(), origin })),
            None => Err(self.wrong(&origin, "must be UTF-8")),
        }
    }

    /// The key's value in the file.
    pub(super) fn file_value(&mut self, name: &str, shape: Shape, expected: &str) -> Read<Raw<'a>> {
        let Some(value) = self.table.remove(name) else { return Ok(None) };
        let location = self.reader.document.location(value.span());
        let origin = Origin::file(self.path.child(name).written, location);
        let value = value.into_inner();
        let kind = value::kind(&value);
        match value::text_of(value, shape) {
            Some(text) => Ok(Some(Raw { text, origin })),
            None => {
                Err(self.wrong(&origin, &format!("must be {expected}, written as a {shape}, not as {kind}")))
            }
        }
    }
}
