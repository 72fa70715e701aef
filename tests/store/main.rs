//! The token store: one body of tests for all backends, and what only durable ones promise.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod durable;
mod everywhere;
mod postgres;
mod sqlite;
mod world;
