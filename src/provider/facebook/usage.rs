//! How much of its rate limits an application has used.
//! <https://developers.facebook.com/docs/graph-api/overview/rate-limiting>

use std::{collections::HashMap, time::Duration};

use http::HeaderMap;
use serde::Deserialize;

use crate::{
    provider::answer::{self, Loose},
    retry::LONGEST_WAIT,
};

#[derive(Deserialize)]
struct Usage {
    /// In minutes; absent or zero while requests are allowed.
    #[serde(default)]
    estimated_time_to_regain_access: Loose,
}

/// The longest time that the headers estimate until requests are allowed again; `None` if they report no
/// wait.
pub(super) fn time_to_regain_access(headers: &HeaderMap) -> Option<Duration> {
    let minutes = by_business(headers).into_iter().chain(by_application(headers));
    let longest = minutes.filter_map(|usage| usage.estimated_time_to_regain_access.number()).max()?;
    let seconds = u64::try_from(longest).ok().filter(|minutes| *minutes > 0)?.saturating_mul(60);
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// `{"<business id>":[{"type":"pages","call_count":100,"estimated_time_to_regain_access":19}]}`
fn by_business(headers: &HeaderMap) -> Vec<Usage> {
    let usage = answer::text(headers, "x-business-use-case-usage");
    let usage: Option<HashMap<String, Vec<Usage>>> = usage.and_then(|usage| answer::json(usage.as_bytes()));
    usage.unwrap_or_default().into_values().flatten().collect()
}

/// `{"call_count":100,"total_time":25,"total_cputime":25}`
fn by_application(headers: &HeaderMap) -> Option<Usage> {
    answer::json(answer::text(headers, "x-app-usage")?.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::tests::answer;

    #[test]
    fn the_longest_estimate_counts() {
        let business = "x-business-use-case-usage";
        let rows = [
            (business, r#"{"1":[{"type":"pages","estimated_time_to_regain_access":19}]}"#, Some(19)),
            (
                business,
                r#"{"1":[{"estimated_time_to_regain_access":5}],"2":[{},{"estimated_time_to_regain_access":"7"}]}"#,
                Some(7),
            ),
            (business, r#"{"1":[{"call_count":95,"estimated_time_to_regain_access":0}]}"#, None),
            (business, r#"{"1":[{"estimated_time_to_regain_access":-3}]}"#, None),
            (business, r#"{"1":[{"estimated_time_to_regain_access":99999999999999}]}"#, Some(24 * 60)),
            (business, r#"{"1":{"estimated_time_to_regain_access":1}}"#, None),
            (business, "[]", None),
            (business, "{", None),
            ("x-app-usage", r#"{"call_count":100,"estimated_time_to_regain_access":3}"#, Some(3)),
            ("x-app-usage", r#"{"call_count":100,"total_time":25,"total_cputime":25}"#, None),
        ];
        for (name, value, minutes) in rows {
            let wait = time_to_regain_access(answer(400, &[(name, value)], "").headers());
            assert_eq!(
                wait,
                minutes.map(|minutes: u64| Duration::from_secs(minutes * 60)),
                "{name}: {value}"
            );
        }
    }
}
