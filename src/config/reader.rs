//! What is collected while the sections are read: known keys, unknown keys and problems.

use std::collections::BTreeMap;

use super::{
    document::Document,
    environment::Environment,
    known::{self, KnownKey},
    path::KeyPath,
    problem::{ConfigError, Location, Problem},
    secrets,
};

/// One pass over the configuration.
pub(super) struct Reader<'a> {
    pub(super) document: Document<'a>,
    pub(super) environment: &'a Environment,
    pub(super) known: Vec<KnownKey>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    /// Unknown keys in the file.
    pub(super) leftovers: Vec<Leftover>,
    /// Whether the file itself holds a secret.
    pub(super) holds_secret: bool,
    /// The key that each variable was used for.
    used: BTreeMap<String, String>,
}

/// An unknown key in the file.
pub(super) struct Leftover {
    pub(super) table: KeyPath,
    pub(super) name: String,
    pub(super) location: Option<Location>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(document: Document<'a>, environment: &'a Environment) -> Self {
        Self {
            document,
            environment,
            known: Vec::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
            leftovers: Vec::new(),
            holds_secret: false,
            used: BTreeMap::new(),
        }
    }

    /// Notes that `variable` sets `key`, and rejects a second key: connections `a-b` and `a_b` would share
    /// their variables.
    pub(super) fn claim(&mut self, variable: &str, key: &str) {
        let former = self.used.insert(variable.to_owned(), key.to_owned());
        if let Some(former) = former.filter(|former| former != key) {
            let text = format!("`{variable}` could mean `{former}` or `{key}`; set them in the file instead");
            self.problems.push(Problem::new(text));
        }
    }

    /// Returns the warnings.
    ///
    /// # Errors
    /// All problems, those of the sections and the unknown keys and variables, with the warnings.
    pub(super) fn finish(mut self) -> Result<Vec<Problem>, ConfigError> {
        let leftovers: Vec<_> = self.leftovers.iter().map(|leftover| self.judge(leftover)).collect();
        self.problems.extend(leftovers);
        self.warnings.extend(self.misspelt());
        self.warnings.extend(self.exposed());
        self.problems.sort_by_key(|problem| problem.location().map(Location::position));
        if self.problems.is_empty() {
            return Ok(self.warnings);
        }
        Err(ConfigError { problems: self.problems, warnings: self.warnings })
    }

    fn judge(&self, leftover: &Leftover) -> Problem {
        let path = leftover.table.child(&leftover.name);
        let key = &path.written;
        let text = if let Some(meant) = known::meant(&self.known, &leftover.table.written, &leftover.name) {
            format!("unknown key `{key}`; did you mean `{meant}`?")
        } else {
            format!("unknown key `{key}`; remove it")
        };
        Problem::new(text).at(leftover.location.clone())
    }

    /// Warns of nearly correct variables. Unknown ones are no mistake as such: Kubernetes sets
    /// `IDP_TOKEN_SERVICE_PORT` for a service of that name.
    fn misspelt(&self) -> Vec<Problem> {
        let known: Vec<_> = self.known.iter().filter_map(|key| key.variable.as_deref()).collect();
        let unknown = self.environment.names().filter(|name| !known.contains(name));
        let near = unknown.filter_map(|name| Some((name, known::misspelt(name, &known)?)));
        let text = |name, meant| format!("the variable `{name}` is unknown; did you mean `{meant}`?");
        near.map(|(name, meant)| Problem::new(text(name, meant))).collect()
    }

    /// Warns of a configuration file that holds a secret and that others than its owner can access.
    fn exposed(&self) -> Option<Problem> {
        let file = self.document.file.filter(|_| self.holds_secret)?;
        let mode = secrets::open_to_others(file)?;
        let text = format!(
            "the configuration file holds a secret, and its group or others may read it (mode {mode:04o}): `chmod 600` it, or move \
             the secret to a file of its own and name that with the `_file` form of the key"
        );
        Some(Problem::new(text).at(Some(Location::new(file, 0, 0))))
    }
}
