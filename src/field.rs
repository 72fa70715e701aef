//! The error for a field of a request that is missing or malformed.

use std::fmt;

/// A missing or malformed field: which one, what is wrong, and what to send instead. Never quotes the value,
/// which may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidField {
    /// The path of the field from the request: `request.headers[2].name`.
    pub field: String,
    /// What is wrong and what would be right, as a sentence without a full stop.
    pub problem: String,
}

impl InvalidField {
    /// Makes the error for `field`.
    pub fn new(field: impl fmt::Display, problem: impl Into<String>) -> Self {
        Self { field: field.to_string(), problem: problem.into() }
    }
}
