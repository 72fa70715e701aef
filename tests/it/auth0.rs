//! What Auth0 may answer, and what callers make of it.

mod answers;
mod limits;
mod profiles;
mod sharing;
mod token;
