//! A field of a request that is missing or malformed.

use std::fmt;

/// Which field, what is wrong with it, and what to send instead. Never quotes the value: it may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidField {
    /// The field as a path from the request: `request.headers[2].name`.
    pub field: String,
    /// What is wrong and what would be right, as a sentence without a full stop.
    pub problem: String,
}

impl InvalidField {
    /// Says what is wrong with `field`.
    pub fn new(field: impl fmt::Display, problem: impl Into<String>) -> Self {
        Self { field: field.to_string(), problem: problem.into() }
    }
}
