//! The hosts that a token may be sent to.

use std::fmt;

/// A host, or all hosts directly below one: `api.github.com`, `*.googleapis.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    pattern: String,
    except: &'static [&'static str],
}

impl HostPattern {
    /// Creates a pattern in lower case; `*` may only stand for the whole first label.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self { pattern: pattern.into(), except: &[] }
    }

    /// The same pattern, without the hosts of `except`.
    #[must_use]
    pub fn except(self, except: &'static [&'static str]) -> Self {
        Self { except, ..self }
    }

    /// Returns whether the pattern matches `host`, in lower case and without a port.
    pub fn matches(&self, host: &str) -> bool {
        if self.except.contains(&host) {
            return false;
        }
        match self.pattern.strip_prefix('*') {
            None => self.pattern == host,
            Some(suffix) => {
                host.strip_suffix(suffix).is_some_and(|label| !label.is_empty() && !label.contains('.'))
            }
        }
    }

    /// Returns whether the pattern matches exactly one host.
    pub fn is_exact(&self) -> bool {
        !self.pattern.starts_with('*')
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.pattern
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pattern)?;
        if self.except.is_empty() {
            return Ok(());
        }
        write!(f, " (except {})", self.except.join(", "))
    }
}
