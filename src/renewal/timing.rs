//! The times that keep a renewal to one. `tests/model` explores whether they fit each other.

use std::time::Duration;

/// A renewal may take this long, from the lease to the provider's answer.
pub const RENEWAL_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a replica that died keeps others from taking over.
pub const LEASE: Duration = Duration::from_secs(15);

/// A lease is renewed this often while the work runs, so that two of its renewals may fail.
pub const RENEW_EVERY: Duration = Duration::from_secs(5);

/// After a lease ran out that was not given back, who takes it over leaves its former owner this time to
/// store what it may have been issued: after an outage of the store both come back, and the owner tries every
/// quarter of a second. Taking over takes less than 20 s all the same.
pub const GRACE: Duration = Duration::from_secs(3);
