//! The gRPC service: what arrives, what leaves, and every layer between.

mod caller;
mod convert;
mod deadline;
mod gate;
mod idp_token;
mod observe;
pub mod pb;
mod redact;
mod status;

pub use gate::{Answer, Gate, MESSAGE_LIMIT};
pub use observe::METHODS;
pub use status::DOMAIN;
