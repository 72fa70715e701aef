//! Three real processes on one real PostgreSQL, and many callers: a token is renewed once and only once.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cluster;
mod network;
mod person;
#[path = "../store/server.rs"]
mod server;
#[path = "../it/support/mod.rs"]
mod support;

mod deaths;
mod departures;
mod expiry;
mod outages;
