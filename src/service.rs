//! The gRPC service and every layer around it.

mod arriving;
mod backlog;
mod caller;
mod convert;
mod deadline;
mod gate;
mod idp_token;
mod leaving;
mod observe;
pub mod pb;
mod redact;
mod repeats;
mod status;

pub use arriving::Arriving;
pub use gate::{Answer, Gate, MESSAGE_LIMIT};
pub use leaving::Departure;
pub use observe::METHODS;
pub use status::DOMAIN;
