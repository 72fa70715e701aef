//! Times in their stored form: milliseconds since 1970.

use std::time::{Duration, SystemTime};

/// Converts `time` to milliseconds; times before 1970 count as 1970.
pub(super) fn to_millis(time: SystemTime) -> i64 {
    millis(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// Converts stored `millis` to a time; negative values count as 1970.
pub(super) fn from_millis(millis: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + duration(millis)
}

/// Converts a duration to milliseconds, at most a thousand years, so that sums with times do not overflow.
pub(super) fn millis(length: Duration) -> i64 {
    const MOST: i64 = 1000 * 366 * 24 * 3600 * 1000;
    i64::try_from(length.as_millis()).unwrap_or(MOST).min(MOST)
}

/// Converts stored `millis` to a duration; negative values count as zero.
pub(super) fn duration(millis: i64) -> Duration {
    Duration::from_millis(millis.try_into().unwrap_or_default())
}

/// Returns the generation that follows `expected`.
///
/// The first generation is the current time rather than 1: if a row was removed and created again, a
/// generation remembered from its former life must not match.
pub(super) fn next_generation(expected: u64) -> u64 {
    match expected {
        0 => to_millis(SystemTime::now()).unsigned_abs().max(1),
        _ => expected.saturating_add(1),
    }
}
