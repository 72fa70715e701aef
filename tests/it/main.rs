//! The real service on a real socket, against the sandbox.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod admin;
mod audit;
mod auth0;
mod bombs;
mod callers;
mod calls;
mod canary;
mod commands;
mod connect;
mod defaults;
mod floods;
mod gate;
mod graph;
mod hostile;
mod inspect;
mod ladder;
mod lending;
mod lifecycle;
mod logs;
mod matrix;
mod more_providers;
mod policy;
mod proxy;
mod renewal;
mod renewal_faults;
mod retries;
mod revoke;
mod security;
mod slow;
mod store;
mod tls;
mod vault;
mod vault_tokens;
mod web;
mod who;
