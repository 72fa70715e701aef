//! Lends internal services the access tokens that identity providers issued to a user and that Auth0 keeps.

pub mod cache;
pub mod field;
pub mod identity;
pub mod provider;
pub mod retry;
pub mod sandbox;
pub mod secret;
pub mod telemetry;
pub mod token;
pub mod transport;
