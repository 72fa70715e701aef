//! The known keys, and guesses at which one was meant.

use super::path::KeyPath;

/// A known key.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "`default` and `values` are what a test compares the documentation with")
)]
pub(super) struct KnownKey {
    /// Its name in the file.
    pub(super) path: KeyPath,
    /// Its environment variable; tables have none.
    pub(super) variable: Option<String>,
    /// What applies if it is not set, for the documentation.
    pub(super) default: String,
    /// Its accepted values, for the documentation.
    pub(super) values: String,
}

/// Guesses the key or table that was meant by `name` in the table `parent` (empty for the top): one of the
/// same name elsewhere, or else a similar one in that table.
pub(super) fn meant(known: &[KnownKey], parent: &str, name: &str) -> Option<String> {
    let mut paths = known.iter().map(|key| &key.path.written);
    if let Some(elsewhere) = paths.find(|path| path.rsplit('.').next() == Some(name)) {
        return Some(elsewhere.clone());
    }
    let siblings = known.iter().filter_map(|key| sibling(&key.path.written, parent));
    let near = nearest(name, siblings)?;
    Some(if parent.is_empty() { near.to_owned() } else { format!("{parent}.{near}") })
}

/// Returns the first segment of `path` below `parent`.
fn sibling<'a>(path: &'a str, parent: &str) -> Option<&'a str> {
    let rest = if parent.is_empty() { path } else { path.strip_prefix(parent)?.strip_prefix('.')? };
    rest.split('.').next()
}

/// Returns the candidate most similar to `name`: at most a third of its letters differ, or it contains
/// `name`.
pub(super) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let limit = (name.len() / 3).clamp(1, 3);
    let ranked = candidates.into_iter().filter_map(|candidate| {
        let other = candidate.to_ascii_lowercase().replace('-', "_");
        let distance = strsim::osa_distance(&name, &other);
        let part = name.len() >= 4 && other.contains(&name);
        (distance <= limit || part).then_some((distance, candidate))
    });
    ranked.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// Returns the variable of which `name` is a misspelling. Stricter than for keys, since unknown variables are
/// normal.
pub(super) fn misspelt<'a>(name: &str, variables: &[&'a str]) -> Option<&'a str> {
    variables.iter().copied().find(|variable| strsim::osa_distance(name, variable) <= 2)
}
