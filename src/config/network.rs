//! Hosts and URLs.

use std::net::IpAddr;

use http::Uri;
use url::{Host, Url};

use super::value::{Setting, must_be};

/// The base of URLs: a scheme, a host and optionally a port.
pub(super) struct Base(pub(super) Url);

impl Setting for Base {
    const EXPECTED: &'static str =
        "a URL such as `https://acme.eu.auth0.com`, without path, query and credentials";

    fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).ok().filter(is_bare).ok_or_else(must_be::<Self>)?;
        check_scheme::<Self>(&url)?;
        Ok(Self(url))
    }
}

/// Rejects plain text beyond this machine.
fn check_scheme<T: Setting>(url: &Url) -> Result<(), String> {
    if has_safe_scheme(url) {
        return Ok(());
    }
    Err(if url.scheme() == "http" { NO_PLAIN_HTTP.to_owned() } else { must_be::<T>() })
}

/// The error for `http://` beyond loopback.
pub(super) const NO_PLAIN_HTTP: &str =
    "must begin with `https://`; `http://` is for loopback only, such as `http://127.0.0.1:9000`";

/// Returns whether nobody can eavesdrop: HTTPS, or HTTP that stays on this machine.
pub(super) fn has_safe_scheme(url: &Url) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => url.host().is_some_and(|host| is_local(&host)),
        _ => false,
    }
}

fn is_bare(url: &Url) -> bool {
    is_endpoint(url) && url.path() == "/" && url.query().is_none()
}

fn is_local(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => is_loopback(IpAddr::V6(*address)),
    }
}

/// A URL to which requests with credentials are posted.
pub(super) struct Endpoint(pub(super) Uri);

impl Setting for Endpoint {
    const EXPECTED: &'static str = "a URL such as `https://login.acme.example/oauth/token`";

    fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text)
            .ok()
            .filter(is_endpoint)
            .ok_or_else(|| format!("must be {}, without credentials and fragment", Self::EXPECTED))?;
        check_scheme::<Self>(&url)?;
        url.as_str().parse().map(Self).map_err(|_| must_be::<Self>())
    }
}

fn is_endpoint(url: &Url) -> bool {
    let credentials = !url.username().is_empty() || url.password().is_some();
    url.has_host() && !credentials && url.fragment().is_none()
}

/// Returns whether only this machine reaches `address`; IPv4-mapped IPv6 addresses count as IPv4.
pub(super) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Returns whether `text` is a lower-case host name of at least two labels, and not an address:
/// `api.github.com`.
pub(super) fn is_host_name(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let label = |label: &str| label.chars().all(letter) && !label.starts_with('-') && !label.ends_with('-');
    let canonical = matches!(Host::parse(text), Ok(Host::Domain(name)) if name == text);
    canonical
        && text.contains('.')
        && text.len() <= 253
        && text.split('.').all(|part| is_short(part) && label(part))
}

fn is_short(label: &str) -> bool {
    (1..=63).contains(&label.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_url_is_no_host_name() {
        let wrong = [
            "a.1",
            "1.2.3.4",
            "1.2.3",
            "0x7f.1",
            "xn--a.com",
            "a..com",
            ".a.com",
            "a.com.",
            "a_b.com",
            "ä.com",
        ];
        for text in wrong {
            assert!(!is_host_name(text), "{text}");
        }
        for text in ["acme.eu.auth0.com", "a-1.b2.example", "1a.xn--bcher-kva.example"] {
            assert!(is_host_name(text) && Base::parse(&format!("https://{text}")).is_ok(), "{text}");
        }
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        for (url, right) in [
            ("http://127.0.0.1:9000", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:9000/", true),
            ("http://[::ffff:127.0.0.1]", true),
            ("http://localhost:9000", true),
            ("http://localhost.acme.example", false),
            ("http://127.0.0.1.acme.example", false),
            ("http://0.0.0.0", false),
            ("http://[::]", false),
            ("http://169.254.169.254", false),
        ] {
            assert_eq!(Base::parse(url).is_ok(), right, "{url}");
        }
    }
}
