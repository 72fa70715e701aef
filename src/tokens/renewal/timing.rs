//! The times that keep a renewal to one. `tests/model` explores whether they fit each other.

use std::time::Duration;

/// How long a renewal may take, from the lease to the provider's answer.
pub const RENEWAL_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a replica that died keeps others from taking over.
pub const LEASE: Duration = Duration::from_secs(15);

/// How often a lease is renewed while the work runs.
pub const RENEW_EVERY: Duration = Duration::from_secs(5);

/// How long after a failed renewal of the lease the next one is tried: two short silences of the store must
/// not add up.
pub const RENEW_AGAIN: Duration = Duration::from_secs(1);

/// How long after the end of the lease an answer is still waited for: one that came while the process slept
/// lies in the socket, and has to be read. Well below [`GRACE`], so that it is stored before an heir sends.
pub const LINGER: Duration = Duration::from_secs(1);

/// How long whoever takes over a lease that ran out leaves its former owner to store what that may have been
/// issued: after an outage of the store both come back, and the owner tries every quarter of a second. Taking
/// over takes less than 20 s all the same.
pub const GRACE: Duration = Duration::from_secs(3);
