//! When to send a request again.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header::RETRY_AFTER};

pub mod attempts;

/// The longest wait that is believed. No provider throttles for more than a day.
pub const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns how long `Retry-After` asks to wait, in either of its forms (RFC 9110, section 10.2.3): seconds or
/// a date. A date in the past is zero, more than [`LONGEST_WAIT`] is lowered to it, and anything else is
/// `None`.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = seconds(value).or_else(|| until(value, now))?;
    Some(wait.min(LONGEST_WAIT))
}

fn seconds(value: &str) -> Option<Duration> {
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Digits that do not fit are too large a number, not garbage.
    Some(value.parse().map_or(LONGEST_WAIT, Duration::from_secs))
}

fn until(value: &str, now: SystemTime) -> Option<Duration> {
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    /// 1994-11-06 08:49:37 UTC, the moment of RFC 9110's examples.
    const NOW: Duration = Duration::from_secs(784_111_777);

    fn read(value: &[u8]) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_bytes(value).ok()?);
        retry_after(&headers, SystemTime::UNIX_EPOCH + NOW)
    }

    #[test]
    fn both_forms_are_read_and_nothing_else() {
        let rows: [(&str, Option<u64>); 16] = [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 3 ", Some(3)),
            ("86401", Some(86_400)),
            ("99999999999999999999999", Some(86_400)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60)),
            ("Sun Nov  6 08:50:37 1994", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(86_400)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("3 seconds", None),
            ("soon", None),
        ];
        for (value, wait) in rows {
            assert_eq!(read(value.as_bytes()), wait.map(Duration::from_secs), "{value:?}");
        }
    }

    #[test]
    fn no_header_asks_for_nothing() {
        assert_eq!(retry_after(&HeaderMap::new(), SystemTime::now()), None);
    }

    proptest! {
        #[test]
        fn no_value_panics_or_asks_for_more_than_the_longest_wait(value in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(read(&value).is_none_or(|wait| wait <= LONGEST_WAIT));
        }

        #[test]
        fn any_number_of_seconds_is_read(number in any::<u64>()) {
            prop_assert_eq!(read(number.to_string().as_bytes()), Some(Duration::from_secs(number).min(LONGEST_WAIT)));
        }
    }
}
