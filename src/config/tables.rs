//! Arrays of tables: `[[name]]`, as often as the operator likes. The environment cannot set them.

use toml::de::DeValue;

use super::{
    known::Known,
    raw::{Origin, Read},
    section::Section,
    value::Setting,
};

impl<'a> Section<'_, 'a> {
    /// The tables `[[name]]`, each read by `read`; wrong ones are reported and left out. At most `most`.
    pub(super) fn tables<T>(
        &mut self,
        name: &str,
        most: usize,
        read: impl Fn(&mut Section<'_, 'a>) -> Option<T>,
    ) -> Vec<T> {
        let Some(value) = self.table.remove(name) else { return Vec::new() };
        let path = self.path.child(name);
        let origin = Origin::file(path.written.clone(), self.reader.document.location(value.span()));
        let DeValue::Array(items) = value.into_inner() else {
            self.wrong(
                &origin,
                &format!("must be tables: write `[[{}]]` and the keys of one below", path.written),
            );
            return Vec::new();
        };
        if items.len() > most {
            self.wrong(&origin, &format!("must be at most {most} tables"));
            return Vec::new();
        }
        items.into_iter().filter_map(|item| self.one_of_tables(&origin, item, &read)).collect()
    }

    fn one_of_tables<T>(
        &mut self,
        origin: &Origin,
        item: toml::Spanned<DeValue<'a>>,
        read: impl Fn(&mut Section<'_, 'a>) -> Option<T>,
    ) -> Option<T> {
        let location = self.reader.document.location(item.span());
        let path = self.path.child(&origin.name);
        let DeValue::Table(table) = item.into_inner() else {
            self.wrong(
                origin,
                &format!("must be tables: write `[[{}]]` and the keys of one below", origin.name),
            );
            return None;
        };
        let mut section = Section::at(self.reader, path, table, location);
        let value = read(&mut section);
        section.finish();
        value
    }

    /// Remembers that tables of this name have such a key, whether there are any or not.
    pub(super) fn know_in_tables(&mut self, name: &str, key: &str, values: &str) {
        let path = self.path.child(name).child(key);
        let known = Known { path, variable: None, default: "required".to_owned(), values: values.to_owned() };
        self.reader.known.push(known);
    }

    /// A key that each of the tables must have.
    pub(super) fn required_here<T: Setting>(&mut self, name: &str, example: &str) -> Option<T> {
        let value = self.here::<T>(name);
        if let Ok(None) = value {
            self.wrong_table(&format!(
                "has no `{name}`: write `{name} = \"{example}\"` below `[[{}]]`",
                self.path.written
            ));
        }
        value.ok().flatten()
    }

    fn here<T: Setting>(&mut self, name: &str) -> Read<T> {
        let Some(raw) = self.file_value(name, T::SHAPE, T::EXPECTED)? else { return Ok(None) };
        T::parse(&raw.text).map(Some).map_err(|what| self.wrong(&raw.origin, &what))
    }
}
