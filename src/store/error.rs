//! Why the store cannot do what was asked. Never holds a secret, nor a URL.

use std::path::Path;

use super::KeyId;

/// Why the store has no answer. Nothing was lost or destroyed by any of these, and any of them may pass while
/// this process lives: a password comes back, a key is appended to its file, a table is restored. So whoever
/// holds what is nowhere else tries again after each. The texts are for the log and the operator; see
/// [`Self::public`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It stays until the operator changes something; the text says what.
    #[error("{detail}")]
    Misconfigured {
        /// A sentence without a full stop.
        detail: String,
    },
    /// It may pass: the database is down, too slow, full, or out of reach. Whether a change was made is unknown.
    #[error("the token store cannot be used now: {detail}")]
    Unavailable {
        /// What happened.
        detail: String,
    },
    /// The row is there, under a key that the keyring does not hold.
    #[error(
        "the token store has a row under the encryption key {key}, which `store.encryption_keys_file` does not hold: \
         put that key back, below the first line; a new key must reach every replica's file before it is the first of any"
    )]
    UnknownKey {
        /// Names the key without revealing it.
        key: KeyId,
    },
    /// A row is not what this service wrote there: damaged, or tampered with.
    #[error("the token store has a row that is not what was written there: {what}")]
    Corrupt {
        /// Which kind of row, and what is wrong with it.
        what: &'static str,
    },
    /// A later version of this service wrote it.
    #[error("a newer version of this service has written the token store: run that version, or a later one")]
    Newer,
}

impl StoreError {
    /// What a caller may be told, who learns nothing of the database, its users and its hosts.
    pub fn public(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "the token store cannot be used now; try again shortly",
            Self::Misconfigured { .. } | Self::UnknownKey { .. } | Self::Corrupt { .. } | Self::Newer => {
                "the token store cannot be used until this service's operator has mended it; the log says how"
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
            assert!(public.starts_with("the token store cannot be used") && !public.contains("canary"));
        }
    }
}
