//! What operators see: logs, metrics and the admin endpoint.

pub mod admin;
pub mod logging;
pub mod metrics;

pub use metrics::{ConnectionRefusal, HttpRejection, Metrics};
