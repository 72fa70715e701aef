//! The text of a key: its environment variable, or else its value in the file.

use std::borrow::Cow;

use super::{
    problem::Location,
    section::Section,
    value::{self, Shape},
};

/// The text of a key, and its origin.
pub(super) struct Raw<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) origin: Origin,
}

/// The place where a value was written.
#[derive(Clone)]
pub(super) struct Origin {
    /// The key or the variable.
    pub(super) name: String,
    pub(super) location: Option<Location>,
    pub(super) variable: bool,
}

/// The error for a problem that has been reported; there is nothing more to say about the key.
pub(super) struct Reported;

/// The result of reading a key: absent, present, or reported as wrong.
pub(super) type Read<T> = Result<Option<T>, Reported>;

impl Origin {
    /// Makes the origin of a variable.
    pub(super) fn variable(name: String) -> Self {
        Self { name, location: None, variable: true }
    }

    /// Makes the origin of a key in the file.
    pub(super) fn file(name: String, location: Option<Location>) -> Self {
        Self { name, location, variable: false }
    }
}

impl<'a> Section<'_, 'a> {
    /// Returns the key's variable, or else its value in the file.
    pub(super) fn raw(&mut self, name: &str, shape: Shape, expected: &str) -> Read<Raw<'a>> {
        match self.environment_value(name) {
            Ok(None) => self.file_value(name, shape, expected),
            overriding => {
                self.table.remove(name);
                overriding
            }
        }
    }

    /// Returns the key's variable.
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

    /// Returns the key's value in the file.
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
