//! The gRPC service and every layer around it.

mod caller;
mod convert;
mod deadline;
mod gate;
mod idp_token;
mod observe;
mod open_calls;
pub mod pb;
mod redact;
mod repeats;
mod request_body;
mod response_body;
mod status;

pub use gate::{Answer, Gate, MESSAGE_LIMIT};
pub use request_body::TrackedRequestBody;
pub use response_body::ResponseLimits;
pub use status::DOMAIN;
