//! The host that a request goes to.

use url::Host;

use crate::provider::HostPattern;

/// Returns the host `asked` in lower case, if one of `patterns` matches it; the first exact pattern if
/// `asked` is empty. Upper case is accepted, as DNS ignores it; everything else must be written as in the
/// patterns.
pub(super) fn choose(asked: &str, patterns: &[HostPattern]) -> Result<String, String> {
    if asked.is_empty() {
        let main = patterns.iter().find(|pattern| pattern.is_exact());
        return main.map(|pattern| pattern.as_str().to_owned()).ok_or_else(|| refusal(patterns));
    }
    let host = asked.to_ascii_lowercase();
    if is_name(&host) && patterns.iter().any(|pattern| pattern.matches(&host)) {
        return Ok(host);
    }
    Err(refusal(patterns))
}

/// Returns whether `host` can be a host name, in lower case.
///
/// Only letters, digits, hyphens and single dots: no port, user, address, escape, trailing dot or other
/// alphabet. Short enough for DNS (RFC 1035, section 2.3.4), and unchanged by the HTTP client's URL parser.
pub fn is_name(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_canonical = matches!(Host::parse(host), Ok(Host::Domain(name)) if name == host);
    host.len() <= 253 && host.split('.').all(is_label) && is_canonical
}

fn refusal(patterns: &[HostPattern]) -> String {
    let hosts: Vec<String> = patterns.iter().map(ToString::to_string).collect();
    format!("must be one of this provider's API hosts, as a bare name: {}", hosts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns() -> Vec<HostPattern> {
        let wide = HostPattern::new("*.googleapis.com").except(&["oauth2.googleapis.com"]);
        vec![wide, HostPattern::new("www.googleapis.com"), HostPattern::new("api.example.com")]
    }

    #[test]
    fn a_listed_host_is_taken_and_no_name_means_the_first_exact_one() {
        let rows = [
            ("", "www.googleapis.com"),
            ("api.example.com", "api.example.com"),
            ("API.Example.COM", "api.example.com"),
            ("gmail.googleapis.com", "gmail.googleapis.com"),
            ("calendar-json.googleapis.com", "calendar-json.googleapis.com"),
        ];
        for (asked, host) in rows {
            assert_eq!(choose(asked, &patterns()).as_deref(), Ok(host), "{asked}");
        }
    }

    #[test]
    fn every_other_host_is_refused() {
        let hosts = [
            "evil.example",
            "googleapis.com",
            ".googleapis.com",
            "a.b.googleapis.com",
            "xn--a.googleapis.com",
            &format!("{}.googleapis.com", "a".repeat(64)),
            "oauth2.googleapis.com",
            "OAUTH2.googleapis.com",
            "gmail.googleapis.com.evil.example",
            "evilgoogleapis.com",
            "gmail.googleapis.com.",
            "gmail.googleapis.com:443",
            "user@gmail.googleapis.com",
            "evil.example/.googleapis.com",
            "evil.example?.googleapis.com",
            "evil.example#.googleapis.com",
            "evil.example\\.googleapis.com",
            "evil%2egoogleapis.com",
            "evil%00.googleapis.com",
            "a b.googleapis.com",
            "a\n.googleapis.com",
            "a_b.googleapis.com",
            "127.0.0.1",
            "[::1]",
            "2130706433",
            "ɢmail.googleapis.com",
            "gmail。googleapis。com",
            "https://gmail.googleapis.com",
            "*.googleapis.com",
            " gmail.googleapis.com",
        ];
        for host in hosts {
            assert!(choose(host, &patterns()).is_err(), "{host}");
        }
    }

    #[test]
    fn a_refusal_lists_the_hosts_and_does_not_quote_the_value() {
        let problem = choose("secret.example", &patterns()).expect_err("the host is not listed");
        assert!(
            problem.contains("*.googleapis.com (except oauth2.googleapis.com), www.googleapis.com"),
            "{problem}"
        );
        assert!(!problem.contains("secret"), "{problem}");
    }

    #[test]
    fn without_an_exact_pattern_a_host_must_be_named() {
        assert!(choose("", &[HostPattern::new("*.example.com")]).is_err());
        assert!(choose("", &[]).is_err());
    }
}
