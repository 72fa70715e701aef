//! Lends internal services the access tokens that identity providers issued to a user and that Auth0 keeps, and calls
//! the providers' APIs with them, so that a token need never leave.
//!
//! The map, from the outside in:
//! - [`cli`] chooses what to run; [`server`] puts everything together and runs it; [`config`] is what it is told.
//! - [`web`] makes gRPC of gRPC-Web and of the Connect protocol.
//! - [`service`] speaks gRPC, [`broker`] has the use cases, [`policy`] says who may have which.
//! - [`authentication`] finds out who calls, a [`caller`]; [`context`] is what a call is worked on with: its caller, its
//!   deadline and the record that it is on.
//! - [`tokens`] finds, judges, renews, replaces and ends tokens, each renewed once however many callers and replicas want
//!   it.
//! - [`auth0`] and [`provider`] know the outside world's dialects, [`provider_client`] is a provider as it is configured;
//!   [`transport`] alone talks to them.
//! - [`store`] keeps what replicas share and what must outlive a process.
//! - [`tls`] makes of files what the gRPC port proves itself with.
//! - [`audit`] keeps a record of every call.
//! - [`rpc`] names the contract's RPCs; [`identity`], [`token`] and [`secret`] are what it is all about; [`cache`], [`retry`], [`deadline`] and
//!   [`telemetry`] keep it quick, bounded and visible.
//!
//! What it is tested against, a tenant and its providers on loopback, is a crate of its own: `idp_token_sandbox`.
#![warn(clippy::disallowed_methods)]

pub mod audit;
pub mod auth0;
pub mod authentication;
pub mod broker;
pub mod cache;
pub mod caller;
pub mod cli;
pub mod config;
pub mod context;
pub mod deadline;
pub mod field;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod identity;
pub mod policy;
pub mod provider;
pub mod provider_client;
pub mod retry;
pub mod rpc;
pub mod secret;
pub mod server;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod tls;
pub mod token;
pub mod tokens;
pub mod transport;
pub mod web;
