//! Errors of the store. They never hold a secret or a URL.

use std::path::Path;

use super::KeyId;

/// Why the store has no answer. None of these errors means that data was lost or destroyed, and any of them
/// may pass while this process lives: a password works again, a key is added to its file, a table is
/// restored. So a caller that holds the only copy of something retries after each. The texts are for the log
/// and the operator; see [`Self::public`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The error persists until the operator changes something; the text says what.
    #[error("{detail}")]
    Misconfigured {
        /// A sentence without a full stop.
        detail: String,
    },
    /// A temporary error: the database is down, too slow, full, or unreachable. Whether a change was made is
    /// unknown.
    #[error("the token store is unavailable: {detail}")]
    Unavailable {
        /// What happened.
        detail: String,
    },
    /// The row exists, under a key that the keyring lacks.
    #[error(
        "the token store has a row under the encryption key {key}, which `store.encryption_keys_file` does not hold: \
         put that key back, below the first line; a new key must reach every replica's file before it is the first of any"
    )]
    UnknownKey {
        /// Identifies the key without revealing it.
        key: KeyId,
    },
    /// A row is not what this service wrote: it is damaged or was tampered with.
    #[error("the token store has a damaged row: {what}")]
    Corrupt {
        /// The kind of row, and what is wrong with it.
        what: &'static str,
    },
    /// A later version of this service wrote the row.
    #[error("a newer version of this service has written the token store: run that version, or a later one")]
    Newer,
}

impl StoreError {
    /// The text for callers, who learn nothing about the database, its users or its hosts.
    pub fn public(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "the token store is unavailable; try again shortly",
            Self::Misconfigured { .. } | Self::UnknownKey { .. } | Self::Corrupt { .. } | Self::Newer => {
                "the token store is unavailable until this service's operator fixes it; the log says how"
            }
        }
    }

    pub(super) fn misconfigured(detail: impl Into<String>) -> Self {
        Self::Misconfigured { detail: detail.into() }
    }

    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self::Unavailable { detail: detail.into() }
    }

    pub(super) fn keys_missing() -> Self {
        Self::misconfigured(
            "a store in a database needs `store.encryption_keys_file`: a file with one key a line, each made by \
             `openssl rand -base64 32`",
        )
    }

    pub(super) fn file(file: &Path, error: &std::io::Error) -> Self {
        Self::misconfigured(format!("cannot use {}: {error}", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_told_nothing_of_the_database() {
        let detail = "canary: password authentication failed for user \"svc\"";
        for error in [StoreError::misconfigured(detail), StoreError::unavailable(detail)] {
            assert!(error.to_string().contains("canary"), "the log has the cause");
            let public = error.public();
            assert!(public.starts_with("the token store is unavailable") && !public.contains("canary"));
        }
    }
}
