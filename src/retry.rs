//! x
pub mod attempts;
