//! The requests that a rule allows: method, host and path.

use std::fmt;

use super::Pattern;
use crate::provider::{
    HostPattern,
    request::{self, ApiRequest},
};

/// The parts of a request that the policy judges: as they are sent, without the query.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// In upper case.
    pub method: &'a str,
    /// In lower case, without a port.
    pub host: &'a str,
    /// Encoded as it is sent, including the adapter's prefix.
    pub path: &'a str,
}

impl<'a> Target<'a> {
    /// The judged parts of `request`, for which the adapter sends `path`.
    pub fn of(request: &'a ApiRequest, path: &'a str) -> Self {
        Self { method: request.method.as_str(), host: &request.host, path }
    }
}

/// An entry of a rule's `requests`: `GET www.googleapis.com/calendar/v3/**`, `* *.googleapis.com/**`, `GET
/// **`, `**`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPattern {
    text: String,
    /// `None` for every method.
    method: Option<String>,
    /// `None` for every host and path.
    place: Option<Place>,
}

/// The destination of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    host: HostPattern,
    path: Pattern,
}

impl RequestPattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// When its form is wrong, or no request can match it. The text follows the key's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "**" {
            return Ok(Self { text: text.to_owned(), method: None, place: None });
        }
        let (method, place) = text.split_once(' ').ok_or(SHAPE)?;
        if place.is_empty() || place.contains(char::is_whitespace) {
            return Err(SHAPE.to_owned());
        }
        let place = if place == "**" { None } else { Some(Place::parse(place)?) };
        Ok(Self { text: text.to_owned(), method: parse_method(method)?, place })
    }

    /// Returns whether the pattern matches a request.
    pub fn matches(&self, target: &Target<'_>) -> bool {
        let Target { method, host, path } = target;
        self.method.as_deref().is_none_or(|wanted| wanted == *method)
            && self.place.as_ref().is_none_or(|place| place.host.matches(host) && place.path.matches(path))
    }

    /// The hosts that match; `None` for all.
    pub fn host(&self) -> Option<&HostPattern> {
        self.place.as_ref().map(|place| &place.host)
    }

    /// The paths that match; `None` for all.
    pub fn path(&self) -> Option<&Pattern> {
        self.place.as_ref().map(|place| &place.path)
    }
}

impl Place {
    fn parse(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            return Err("must name a host without a scheme: leave `https://` out".to_owned());
        }
        let slash = text.find('/').ok_or("must name a path behind the host: `/**` for all of them")?;
        let (host, path) = text.split_at(slash);
        let host = host.to_ascii_lowercase();
        if !request::is_host_name(host.strip_prefix("*.").unwrap_or(&host)) {
            let what = "must name a host such as `api.github.com`, or `*.` and one for all directly below it; for every host \
                write `**` in the place of host and path";
            return Err(what.to_owned());
        }
        if path.contains('?') {
            return Err("must end before the `?`: the query is not looked at".to_owned());
        }
        request::check_path(path)
            .map_err(|problem| format!("has a path that no request can have: it {problem}"))?;
        Ok(Self { host: HostPattern::new(host), path: Pattern::parse(path)? })
    }
}

/// The form of a pattern.
const SHAPE: &str = "must be a method, a space, a host and a path, such as `GET www.googleapis.com/calendar/v3/**`; `*` is \
    every method, and `**` every request";

fn parse_method(method: &str) -> Result<Option<String>, String> {
    match method {
        "*" => Ok(None),
        "" => Err(SHAPE.to_owned()),
        _ => match request::check_method(method) {
            Ok(_) => Ok(Some(method.to_owned())),
            Err(problem) => Err(format!("has a method that no request can have: it {problem}")),
        },
    }
}

/// The notation of the configuration.
impl fmt::Display for RequestPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The short form, as people write it.
impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.method, self.host, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, method: &str, host: &str, path: &str) -> bool {
        let pattern = RequestPattern::parse(pattern).unwrap_or_else(|problem| panic!("{pattern} {problem}"));
        pattern.matches(&Target { method, host, path })
    }

    #[test]
    fn method_host_and_path_must_all_match() {
        for (pattern, method, host, path, expected) in [
            ("GET api.github.com/user", "GET", "api.github.com", "/user", true),
            ("GET API.GitHub.com/user", "GET", "api.github.com", "/user", true),
            ("GET api.github.com/user", "POST", "api.github.com", "/user", false),
            ("GET api.github.com/user", "GETS", "api.github.com", "/user", false),
            ("GET api.github.com/user", "GET", "uploads.github.com", "/user", false),
            ("GET api.github.com/user", "GET", "api.github.com", "/User", false),
            ("GET api.github.com/user", "GET", "api.github.com", "/user/", false),
            ("* api.github.com/user", "DELETE", "api.github.com", "/user", true),
            ("GET *.googleapis.com/**", "GET", "gmail.googleapis.com", "/", true),
            ("GET *.googleapis.com/**", "GET", "a.b.googleapis.com", "/", false),
            ("GET *.googleapis.com/**", "GET", "googleapis.com", "/", false),
            ("GET *.googleapis.com/**", "GET", "evilgoogleapis.com", "/", false),
            ("GET **", "GET", "api.github.com", "/user", true),
            ("GET **", "POST", "api.github.com", "/user", false),
            ("* **", "POST", "api.github.com", "/user", true),
            ("**", "POST", "api.github.com", "/user", true),
        ] {
            assert_eq!(matches(pattern, method, host, path), expected, "{pattern}: {method} {host}{path}");
        }
    }

    #[test]
    fn a_pattern_that_no_request_can_match_is_refused_with_its_remedy() {
        for (pattern, remedy) in [
            ("", "must be a method, a space"),
            ("*", "must be a method, a space"),
            ("GET", "must be a method, a space"),
            ("GET ", "must be a method, a space"),
            (" api.github.com/user", "must be a method, a space"),
            ("GET  api.github.com/user", "must be a method, a space"),
            ("GET api.github.com/user HTTP/1.1", "must be a method, a space"),
            ("api.github.com/user", "must be a method, a space"),
            ("get api.github.com/user", "in upper case"),
            ("TRACE api.github.com/user", "opens a tunnel"),
            ("G*T api.github.com/user", "in upper case"),
            ("GET https://api.github.com/user", "leave `https://` out"),
            ("GET api.github.com", "`/**` for all of them"),
            ("GET */user", "write `**` in the place of host and path"),
            ("GET **/user", "write `**` in the place of host and path"),
            ("GET api.*.com/user", "must name a host such as"),
            ("GET api.github.com:443/user", "must name a host such as"),
            ("GET user@api.github.com/user", "must name a host such as"),
            ("GET 127.0.0.1/user", "must name a host such as"),
            ("GET /user", "must name a host such as"),
            ("GET api.github.com/user?page=*", "must end before the `?`"),
            ("GET api.github.com/user#top", "must be percent-encoded"),
            ("GET api.github.com/ü", "must be percent-encoded"),
            ("GET api.github.com//user", "must start with exactly one `/`"),
            ("GET api.github.com/a/../b", "must not hold the segments"),
            ("GET api.github.com/a/%2e%2e/b", "must not hold the segments"),
            ("GET api.github.com/a%5Cb", "must not hold a backslash"),
            ("GET api.github.com/a%", "two hexadecimal digits"),
            ("GET api.github.com/a**", "`**` alone between slashes"),
        ] {
            let problem = RequestPattern::parse(pattern).expect_err(pattern);
            assert!(problem.contains(remedy), "{pattern}: {problem}");
        }
        let long = format!("GET api.github.com/{}", "a".repeat(super::super::pattern::PATTERN_LIMIT));
        assert!(RequestPattern::parse(&long).is_err());
    }
}
