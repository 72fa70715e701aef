//! The tables of the configuration and what is said about them.

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
    /// The top of the file.
    pub(super) fn root(reader: &'r mut Reader<'a>, table: DeTable<'a>) -> Self {
        Self { reader, path: KeyPath::default(), table, location: None }
    }

    /// A table that stands at `location`.
    pub(super) fn at(
        reader: &'r mut Reader<'a>,
        path: KeyPath,
        table: DeTable<'a>,
        location: Option<Location>,
    ) -> Self {
        Self { reader, path, table, location }
    }

    /// The table `name`, read by `read`; whatever that does not ask for is an unknown key.
    /// `None` where something else than a table stands there, which was reported.
    pub(super) fn section<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Section<'_, 'a>) -> T,
    ) -> Option<T> {
        self.section_at(name, self.path.child(name), read)
    }

    /// The same for a table whose name the operator chooses.
    pub(super) fn named_section<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Section<'_, 'a>) -> T,
    ) -> Option<T> {
        self.section_at(name, self.path.named_child(name, "NAME"), read)
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

    /// The table `name` and its place; an empty one where there is none.
    fn table_of(&mut self, name: &str, path: &KeyPath) -> Result<(Option<Location>, DeTable<'a>), Reported> {
        let Some(value) = self.table.remove(name) else { return Ok(Default::default()) };
        let location = self.reader.document.location(value.span());
        if let DeValue::Table(table) = value.into_inner() {
            return Ok((location, table));
        }
        let origin = Origin::file(path.written.clone(), location);
        Err(self.wrong(&origin, &format!("must be a table: write `[{}]` and its keys below", path.written)))
    }

    /// Reports what is wrong with this table; `what` goes on after its name.
    pub(super) fn wrong_table(&mut self, what: &str) {
        let problem = Problem::new(format!("`{}` {what}", self.path.written)).at(self.location.clone());
        self.reader.problems.push(problem);
    }

    /// Reports `text`, a whole sentence.
    pub(super) fn problem(&mut self, text: impl Into<String>) {
        self.reader.problems.push(Problem::new(text));
    }

    /// Warns of `text`.
    pub(super) fn warn(&mut self, text: impl Into<String>) {
        self.reader.warnings.push(Problem::new(text));
    }

    /// Reports what is wrong with the value at `origin`; `what` goes on after its name. A variable is not removed, but unset.
    pub(super) fn wrong(&mut self, origin: &Origin, what: &str) -> Reported {
        let what = if origin.variable { what.replace("; remove it", "; unset it") } else { what.to_owned() };
        let problem = Problem::new(format!("`{}` {what}", origin.name)).at(origin.location.clone());
        self.reader.problems.push(problem);
        Reported
    }

    /// Reports that `name` is set where it must not be; `what` goes on after its name.
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

    /// Hands the keys that nobody asked for to the reader.
    pub(super) fn finish(&mut self) {
        for name in std::mem::take(&mut self.table).into_iter().map(|(name, _)| name) {
            let location = self.reader.document.location(name.span());
            let leftover =
                Leftover { table: self.path.clone(), name: name.into_inner().into_owned(), location };
            self.reader.leftovers.push(leftover);
        }
    }
}
