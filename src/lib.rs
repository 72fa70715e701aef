//! Lends internal services the access tokens that identity providers issued to a user and that Auth0 keeps,
//! and calls the providers' APIs with them, so that a token need never leave.
//!
//! The modules, from the outside in:
//! - [`cli`] chooses the command; [`server`] assembles the service and runs it; [`config`] is its
//!   configuration.
//! - [`web`] translates gRPC-Web and the Connect protocol to gRPC.
//! - [`service`] speaks gRPC, [`broker`] has the use cases, [`policy`] decides who may do what.
//! - [`authentication`] identifies the [`caller`]; [`context`] is what a call carries: its caller, deadline
//!   and audit record.
//! - [`tokens`] finds, judges, renews, replaces and revokes tokens; each is renewed once for all callers and
//!   replicas.
//! - [`auth0`] and [`provider`] know the dialects of Auth0 and the providers, [`provider_client`] is a
//!   configured provider; only [`transport`] talks to them.
//! - [`store`] keeps what replicas share and what must survive a restart.
//! - [`tls`] loads the certificates of the gRPC port.
//! - [`audit`] records every call.
//! - [`rpc`] names the RPCs; [`identity`], [`token`] and [`secret`] are the basic types; [`cache`],
//!   [`retry`], [`deadline`], [`shares`], [`memory`] and [`telemetry`] keep the service fast, bounded and
//!   observable.
//!
//! Tests run against a tenant and its providers on loopback, in a crate of its own: `idp_token_sandbox`.
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
pub mod memory;
pub mod policy;
pub mod provider;
pub mod provider_client;
pub mod retry;
pub mod rpc;
pub mod secret;
pub mod server;
pub mod service;
pub mod shares;
pub mod store;
pub mod telemetry;
pub mod tls;
pub mod token;
pub mod tokens;
pub mod transport;
pub mod web;
