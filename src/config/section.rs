//! The tables of the configuration, and reports about them.

use toml::de::{DeTable, DeValue};

use super::{
    path::KeyPath,
    problem::{Location, Problem},
    raw::{Origin, Reported},
    reader::{Leftover, Reader},
};

/// A table of the file together with its environment variables.
pub(super) struct Section<'r, 'a> {
    pub(super) reader: &'r mut Reader<'a>,
    pub(super) path: KeyPath,
    pub(super) table: DeTable<'a>,
    /// Where the table begins in the file.
    location: Option<Location>,
}

impl<'r, 'a> Section<'r, 'a> {
    /// Makes the section of the top of the file.
    pub(super) fn root(reader: &'r mut Reader<'a>, table: DeTable<'a>) -> Self {
        Self { reader, path: KeyPath::default(), table, location: None }
    }

    /// Reads the table `name` with `read`; keys that `read` does not ask for are unknown. `None` if something
    /// other than a table is there, which is reported.
    pub(super) fn section<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Section<'_, 'a>) -> T,
    ) -> Option<T> {
        self.section_at(name, self.path.child(name), read)
    }

    /// Like [`Self::section`], for a table whose name the operator chooses.
    pub(super) fn named_section<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Section<'_, 'a>) -> T,
    ) -> Option<T> {
        self.section_at(name, self.path.named_child(name, "NAME"), read)
    }

    /// Reads each table of the array `name` with `read`. Reports and skips what is not a table.
    pub(super) fn tables<T>(&mut self, name: &str, read: impl Fn(&mut Section<'_, 'a>) -> T) -> Vec<T> {
        let Some(value) = self.table.remove(name) else { return Vec::new() };
        let location = self.reader.document.location(value.span());
        let path = self.path.child(name);
        let DeValue::Array(items) = value.into_inner() else {
            self.not_tables(&path, location);
            return Vec::new();
        };
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            let location = self.reader.document.location(item.span());
            let DeValue::Table(table) = item.into_inner() else {
                self.not_tables(&path, location);
                continue;
            };
            let mut section = Section { reader: self.reader, path: path.clone(), table, location };
            values.push(read(&mut section));
            section.finish();
        }
        values
    }

    fn not_tables(&mut self, path: &KeyPath, location: Option<Location>) {
        let what = format!("must be tables: write `[[{}]]` and its keys below", path.written);
        self.wrong(&Origin::file(path.written.clone(), location), &what);
    }

    fn section_at<T>(
        &mut self,
        name: &str,
        path: KeyPath,
        read: impl FnOnce(&mut Section<'_, 'a>) -> T,
    ) -> Option<T> {
        let (location, table) = self.table_of(name, &path).ok()?;
        let mut section = Section { reader: self.reader, path, table, location };
        let value = read(&mut section);
        section.finish();
        Some(value)
    }

    /// Returns the table `name` and its place; an empty table if there is none.
    fn table_of(&mut self, name: &str, path: &KeyPath) -> Result<(Option<Location>, DeTable<'a>), Reported> {
        let Some(value) = self.table.remove(name) else { return Ok(Default::default()) };
        let location = self.reader.document.location(value.span());
        if let DeValue::Table(table) = value.into_inner() {
            return Ok((location, table));
        }
        let origin = Origin::file(path.written.clone(), location);
        Err(self.wrong(&origin, &format!("must be a table: write `[{}]` and its keys below", path.written)))
    }

    /// Reports a problem of this table; `what` completes the sentence after its name.
    pub(super) fn wrong_table(&mut self, what: &str) {
        let problem = Problem::new(format!("`{}` {what}", self.path.written)).at(self.location.clone());
        self.reader.problems.push(problem);
    }

    /// Returns the line on which the table begins, counted from 1; `None` if it is not in a file.
    pub(super) fn line(&self) -> Option<usize> {
        self.location.as_ref().map(|location| location.position().0)
    }

    /// Returns whether `key` is set anywhere, in the table `table` below this one or, if that is empty, in
    /// this one.
    pub(super) fn is_set(&self, table: &str, key: &str) -> bool {
        let (path, table) = match table {
            "" => (self.path.child(key), Some(&self.table)),
            _ => {
                let below = self.table.get(table).and_then(|value| value.get_ref().as_table());
                (self.path.child(table).child(key), below)
            }
        };
        let is_in_file = table.is_some_and(|table| table.contains_key(key));
        is_in_file || self.reader.environment.get(&path.variable()).is_some()
    }

    /// Returns whether `name` is an empty array.
    pub(super) fn is_empty_array(&self, name: &str) -> bool {
        let array = self.table.get(name).and_then(|value| value.get_ref().as_array());
        array.is_some_and(|items| items.is_empty())
    }

    /// Reports `text`, a whole sentence, about a line of the file.
    pub(super) fn problem_at_line(&mut self, line: Option<usize>, text: impl Into<String>) {
        let problem = Problem::new(text).at(self.reader.document.line(line));
        self.reader.problems.push(problem);
    }

    /// Warns of `text`, a whole sentence, about a line of the file.
    pub(super) fn warn_at_line(&mut self, line: Option<usize>, text: impl Into<String>) {
        let problem = Problem::new(text).at(self.reader.document.line(line));
        self.reader.warnings.push(problem);
    }

    /// Reports `text`, a whole sentence.
    pub(super) fn problem(&mut self, text: impl Into<String>) {
        self.reader.problems.push(Problem::new(text));
    }

    /// Warns of `text`, a whole sentence.
    pub(super) fn warn(&mut self, text: impl Into<String>) {
        self.reader.warnings.push(Problem::new(text));
    }

    /// Reports a problem of the value at `origin`; `what` completes the sentence after its name. For
    /// variables, "remove" becomes "unset".
    pub(super) fn wrong(&mut self, origin: &Origin, what: &str) -> Reported {
        let what = if origin.variable { what.replace("; remove it", "; unset it") } else { what.to_owned() };
        let problem = Problem::new(format!("`{}` {what}", origin.name)).at(origin.location.clone());
        self.reader.problems.push(problem);
        Reported
    }

    /// Reports that `name` is set where it must not be; `what` completes the sentence after its name.
    pub(super) fn refuse(&mut self, name: &str, what: &str) {
        let origin = match self.environment_value(name) {
            Ok(Some(raw)) => raw.origin,
            _ => {
                let Some(value) = self.table.remove(name) else { return };
                Origin::file(self.path.child(name).written, self.reader.document.location(value.span()))
            }
        };
        self.wrong(&origin, what);
    }

    /// Hands unknown keys to the reader.
    pub(super) fn finish(&mut self) {
        for name in std::mem::take(&mut self.table).into_iter().map(|(name, _)| name) {
            let location = self.reader.document.location(name.span());
            let leftover =
                Leftover { table: self.path.clone(), name: name.into_inner().into_owned(), location };
            self.reader.leftovers.push(leftover);
        }
    }
}
