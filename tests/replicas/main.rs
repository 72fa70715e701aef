//! Three real processes on one real PostgreSQL, and many callers: a token is renewed once and only once.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cluster;
mod person;

mod deaths;
mod departures;
mod expiry;
mod leases;
mod outages;
mod refusals;
mod tenants;
