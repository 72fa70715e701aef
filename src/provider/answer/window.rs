//! Rate limits as reported in headers.

use std::time::{Duration, SystemTime};

use http::HeaderMap;

use super::{epoch, number, wait_until};
use crate::{provider::RateLimit, retry::LONGEST_WAIT};

/// In seconds: a larger reset is a time since 1970, a smaller one a time from now. Providers send both.
const EPOCH_FROM: i64 = 1_000_000_000;

/// Reads `ratelimit-*` headers, whose reset is in seconds from now, or the older `x-ratelimit-*`.
/// <https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/03/>
pub(in crate::provider) fn rate_limit(headers: &HeaderMap, now: SystemTime) -> Option<RateLimit> {
    ["ratelimit", "x-ratelimit"].into_iter().find_map(|family| {
        Some(RateLimit {
            limit: number(headers, &format!("{family}-limit"))?,
            remaining: number(headers, &format!("{family}-remaining"))?,
            reset: reset(headers, &format!("{family}-reset"), now),
        })
    })
}

/// How long an exhausted limit lasts; `None` if none is exhausted.
pub(in crate::provider) fn exhausted(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let limit = rate_limit(headers, now).filter(|limit| limit.remaining <= 0)?;
    limit.reset.map(|reset| wait_until(reset, now))
}

fn reset(headers: &HeaderMap, name: &str, now: SystemTime) -> Option<SystemTime> {
    let value = number(headers, name)?;
    if value >= EPOCH_FROM {
        return epoch(headers, name);
    }
    now.checked_add(Duration::from_secs(u64::try_from(value).ok()?).min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::tests::{NOW, answer};

    #[test]
    fn a_window_is_read_from_either_family_and_either_kind_of_reset() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
        let read = |family: &str, reset: &str, remaining: &str| {
            let names = ["limit", "remaining", "reset"].map(|name| format!("{family}-{name}"));
            let headers = [(&*names[0], "60"), (&*names[1], remaining), (&*names[2], reset)];
            let headers = answer(200, &headers, "").headers().clone();
            (rate_limit(&headers, now), exhausted(&headers, now))
        };
        let later = (NOW + 30).to_string();
        for (family, reset) in [("ratelimit", "30"), ("x-ratelimit", "30"), ("x-ratelimit", &later)] {
            let limit = RateLimit { limit: 60, remaining: 0, reset: Some(now + Duration::from_secs(30)) };
            assert_eq!(
                read(family, reset, "0"),
                (Some(limit), Some(Duration::from_secs(30))),
                "{family} {reset}"
            );
        }
        assert_eq!(read("ratelimit", "30", "1").1, None);
        assert_eq!(read("ratelimit", "-1", "0").1, None);
        assert_eq!(read("ratelimit", "30", "many"), (None, None));
    }
}
