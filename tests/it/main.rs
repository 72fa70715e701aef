//! The real service on a real socket, against the sandbox.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

mod admin;
mod auth0;
mod calls;
mod canary;
mod commands;
mod connect;
mod floods;
mod gate;
mod ladder;
mod lending;
mod lifecycle;
mod more_providers;
mod proxy;
mod retries;
mod store;
mod tls;
mod vault;
