//! The declarative reader: one line per key, with its default and its range.
//!
//! A mistake is reported and replaced by the default, so that reading continues and finds the next one.

use std::collections::BTreeMap;

use toml::{Spanned, de::DeValue};

use super::{
    known::KnownKey,
    raw::{Origin, Read, Reported},
    section::Section,
    value::{self, Setting},
};

impl Section<'_, '_> {
    /// Reads a key with a default, written as an operator would write it.
    pub(super) fn or<T: Setting>(&mut self, name: &str, default: &str) -> T {
        self.checked(name, default, |_| Ok(()))
    }

    /// Reads a key with a default. Its value must pass `check`, whose error completes the sentence after the
    /// key's name: "must be ...".
    pub(super) fn checked<T: Setting>(
        &mut self,
        name: &str,
        default: &str,
        check: impl FnOnce(&T) -> Result<(), String>,
    ) -> T {
        self.register(name, &format!("`{default}`"), T::EXPECTED);
        let value = self.read(name, check).ok().flatten();
        value.unwrap_or_else(|| value::constant(default))
    }

    /// Reads a key with a default and a range that includes both ends.
    pub(super) fn within<T: Setting + PartialOrd>(
        &mut self,
        name: &str,
        default: &str,
        from: &str,
        to: &str,
    ) -> T {
        self.register(name, &format!("`{default}`"), &format!("{from} to {to}"));
        let value = self.read(name, value::range(from, to)).ok().flatten();
        value.unwrap_or_else(|| value::constant(default))
    }

    /// Reads a key that may be absent; `default` says in words what applies then.
    pub(super) fn optional<T: Setting>(&mut self, name: &str, default: &str) -> Read<T> {
        self.optional_checked(name, default, |_| Ok(()))
    }

    /// Reads a key that may be absent and must pass `check`.
    pub(super) fn optional_checked<T: Setting>(
        &mut self,
        name: &str,
        default: &str,
        check: impl FnOnce(&T) -> Result<(), String>,
    ) -> Read<T> {
        self.register(name, default, T::EXPECTED);
        self.read(name, check)
    }

    /// Reads a required key, written like `example`.
    pub(super) fn required<T: Setting>(&mut self, name: &str, example: &str) -> Option<T> {
        let value = self.optional(name, "required");
        if let Ok(None) = value {
            let path = self.path.child(name);
            self.problem(format!(
                "`{}` is missing: write `{name} = \"{example}\"` in the table `[{}]`, or set `{}`",
                path.written,
                self.path.written,
                path.variable()
            ));
        }
        value.ok().flatten()
    }

    /// Reads a table whose keys the operator chooses; `read` makes a value of each key and its text.
    pub(super) fn entries<T: Setting, V>(
        &mut self,
        name: &str,
        read: impl Fn(&str, T) -> Result<V, String>,
    ) -> BTreeMap<String, V> {
        self.section(name, |section| {
            let names: Vec<_> = section.table.keys().map(|name| name.get_ref().to_string()).collect();
            let entry = |name: String| section.entry(&name, &read).ok().flatten().map(|value| (name, value));
            names.into_iter().filter_map(entry).collect()
        })
        .unwrap_or_default()
    }

    /// Returns whether `name` is an array.
    pub(super) fn is_array(&self, name: &str) -> bool {
        self.table.get(name).is_some_and(|value| value.get_ref().is_array())
    }

    /// Reads an array of values, in its order, and reports every wrong one.
    pub(super) fn list<T: Setting, V>(
        &mut self,
        name: &str,
        make: impl Fn(T) -> V,
    ) -> Result<Vec<V>, Reported> {
        let Some(DeValue::Array(items)) = self.table.remove(name).map(Spanned::into_inner) else {
            return Ok(Vec::new());
        };
        let items: Vec<_> = items.into_iter().map(|item| self.item::<T>(name, item)).collect();
        items.into_iter().map(|item| item.map(&make)).collect()
    }

    /// Reads a list that may be absent: an array in the file, words separated by spaces in the variable.
    pub(super) fn several<T: Setting, V>(
        &mut self,
        name: &str,
        default: &str,
        make: impl Fn(T) -> V,
    ) -> Result<Vec<V>, Reported> {
        self.register(name, default, &format!("an array of {}", T::EXPECTED));
        let Some(raw) = self.environment_value(name)? else {
            self.check_array::<T>(name)?;
            return self.list(name, make);
        };
        self.table.remove(name);
        let values: Result<Vec<T>, _> = raw.text.split_whitespace().map(T::parse).collect();
        let values = values.map_err(|what| self.wrong(&raw.origin, &what))?;
        Ok(values.into_iter().map(make).collect())
    }

    fn check_array<T: Setting>(&mut self, name: &str) -> Result<(), Reported> {
        if self.is_array(name) {
            return Ok(());
        }
        let Some(value) = self.table.remove(name) else { return Ok(()) };
        let origin = Origin::file(self.path.child(name).written, self.reader.document.location(value.span()));
        let kind = value::kind(value.get_ref());
        Err(self.wrong(&origin, &format!("must be an array of {}, not {kind}", T::EXPECTED)))
    }

    fn item<T: Setting>(&mut self, name: &str, value: Spanned<DeValue<'_>>) -> Result<T, Reported> {
        let location = self.reader.document.location(value.span());
        let origin = Origin::file(self.path.child(name).written, location);
        let value = value.into_inner();
        let kind = value::kind(&value);
        let problem = || format!("must hold {}, each written as a {}, not as {kind}", T::EXPECTED, T::SHAPE);
        let text = value::text_of(value, T::SHAPE).ok_or_else(problem);
        let item = text.and_then(|text| T::parse(&text));
        item.map_err(|what| self.wrong(&origin, &what))
    }

    fn entry<T: Setting, V>(&mut self, name: &str, read: impl Fn(&str, T) -> Result<V, String>) -> Read<V> {
        let Some(raw) = self.file_value(name, T::SHAPE, T::EXPECTED)? else { return Ok(None) };
        let value = T::parse(&raw.text).and_then(|value| read(name, value));
        value.map(Some).map_err(|what| self.wrong(&raw.origin, &what))
    }

    /// Reads a key that may be absent and has no variable.
    pub(super) fn own_value<T: Setting>(&mut self, name: &str) -> Read<T> {
        self.entry(name, |_, value: T| Ok(value))
    }

    /// Reads an array that may be absent and has no variable.
    pub(super) fn own_list<T: Setting>(&mut self, name: &str) -> Read<Vec<T>> {
        if !self.table.contains_key(name) {
            return Ok(None);
        }
        self.check_array::<T>(name)?;
        self.list(name, |value| value).map(Some)
    }

    /// Registers a key that has no variable.
    pub(super) fn register_without_variable(&mut self, name: &str, default: &str, values: &str) {
        let path = self.path.child(name);
        let known = KnownKey { path, variable: None, default: default.to_owned(), values: values.to_owned() };
        self.reader.known.push(known);
    }

    /// Registers the keys of an array of tables: name, default and values of each.
    pub(super) fn register_tables(&mut self, name: &str, keys: &[(&str, &str, &str)]) {
        for (key, default, values) in keys {
            let path = self.path.child(name).child(key);
            let (default, values) = ((*default).to_owned(), (*values).to_owned());
            self.reader.known.push(KnownKey { path, variable: None, default, values });
        }
    }

    /// Registers a key that has a variable.
    pub(super) fn register(&mut self, name: &str, default: &str, values: &str) {
        let path = self.path.child(name);
        let variable = Some(path.variable());
        self.reader.known.push(KnownKey {
            path,
            variable,
            default: default.to_owned(),
            values: values.to_owned(),
        });
    }

    /// Registers a table whose keys the operator chooses.
    pub(super) fn register_table(&mut self, name: &str, values: &str) {
        self.register_without_variable(name, "none", values);
    }

    fn read<T: Setting>(&mut self, name: &str, check: impl FnOnce(&T) -> Result<(), String>) -> Read<T> {
        let Some(raw) = self.raw(name, T::SHAPE, T::EXPECTED)? else { return Ok(None) };
        let value = T::parse(&raw.text).and_then(|value| check(&value).map(|()| value));
        value.map(Some).map_err(|what| self.wrong(&raw.origin, &what))
    }
}
