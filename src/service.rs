//! The gRPC service: what arrives, what leaves, and every layer between.

mod convert;
mod deadline;
mod gate;
mod idp_token;
mod observe;
pub mod pb;
mod redact;
mod status;

pub use gate::Gate;
pub use idp_token::IdpToken;
pub use observe::METHODS;
pub use status::DOMAIN;
