//! Lends internal services the access tokens that identity providers issued to a user and that Auth0 keeps.

pub mod field;
pub mod provider;
pub mod retry;
pub mod sandbox;
pub mod secret;
pub mod token;
