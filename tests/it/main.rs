//! The real service on a real socket, against the sandbox.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

mod calls;
mod ladder;
mod lending;
mod proxy;
mod retries;
