//! Times as they are stored: milliseconds since 1970.

use std::time::{Duration, SystemTime};

/// `time` in milliseconds; what lies before 1970 counts as 1970.
pub(super) fn to_millis(time: SystemTime) -> i64 {
    millis(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// The time that is stored as `millis`; negative ones count as 1970.
pub(super) fn from_millis(millis: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + duration(millis)
}

/// A length of time in milliseconds, at most a thousand years, so that sums with times do not overflow.
pub(super) fn millis(length: Duration) -> i64 {
    const MOST: i64 = 1000 * 366 * 24 * 3600 * 1000;
    i64::try_from(length.as_millis()).unwrap_or(MOST).min(MOST)
}

/// A length of time that is stored as `millis`; negative ones count as zero.
pub(super) fn duration(millis: i64) -> Duration {
    Duration::from_millis(millis.try_into().unwrap_or_default())
}

/// The generation of what takes the place of `expected`.
///
/// What is new does not begin at 1 but at the time: were it removed and made again, whoever still remembers a
/// generation of its former life would otherwise take it for that.
pub(super) fn next_generation(expected: u64) -> u64 {
    match expected {
        0 => to_millis(SystemTime::now()).unsigned_abs().max(1),
        _ => expected.saturating_add(1),
    }
}
