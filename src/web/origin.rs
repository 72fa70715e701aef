//! Which pages may call a service that does not require callers to prove their identity.
//!
//! Such a service is for the machine that it runs on. A browser there runs pages of strangers. A page may
//! send requests to loopback, and may let its own name resolve to loopback (DNS rebinding): the service then
//! has the page's origin, so the page may read answers and send any header. If a trusted peer is recognised
//! by its address alone, such a page could claim to be anyone in `x-forwarded-client-cert`. If callers prove
//! who they are, neither works: a page has no token, and without a preflight it cannot send any content type
//! that the service accepts.

use std::net::IpAddr;

use http::{HeaderValue, Request, Version, header, uri::Authority};

use crate::telemetry::HttpRejection;

/// What callers must prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMode {
    /// Nothing: callers are not identified.
    Anonymous,
    /// Their identity, or that they come from an address that is trusted to name others.
    TrustedAddress,
    /// Their identity.
    Identity,
}

/// The pages and hosts that requests may come from.
#[derive(Clone, Debug)]
pub(super) struct OriginPolicy {
    auth_mode: AuthMode,
    /// Allowed origins of pages.
    origins: Vec<HeaderValue>,
}

impl OriginPolicy {
    pub(super) fn new(auth_mode: AuthMode, origins: Vec<HeaderValue>) -> Self {
        Self { auth_mode, origins }
    }

    /// Checks the host and the origin of a request.
    ///
    /// # Errors
    /// When the request was sent to a name, or from a foreign page, and callers do not prove their identity.
    pub(super) fn check<B>(&self, request: &Request<B>) -> Result<(), HttpRejection> {
        match self.auth_mode {
            AuthMode::Identity => Ok(()),
            // Browsers have no HTTP/2 without TLS, and over TLS no page reaches the service under its own
            // name. Proxies may use it, and forward what pages send to them.
            AuthMode::TrustedAddress if request.version() >= Version::HTTP_2 => Ok(()),
            AuthMode::TrustedAddress => self.check_origin(request),
            AuthMode::Anonymous => check_host(request).and_then(|()| self.check_origin(request)),
        }
    }

    fn check_origin<B>(&self, request: &Request<B>) -> Result<(), HttpRejection> {
        let mut from = request.headers().get_all(header::ORIGIN).into_iter();
        if from.all(|origin| self.origins.contains(origin)) { Ok(()) } else { Err(HttpRejection::Origin) }
    }
}

fn check_host<B>(request: &Request<B>) -> Result<(), HttpRejection> {
    let hosts = request.headers().get_all(header::HOST).into_iter();
    let hosts = hosts.map(|host| Authority::try_from(host.as_bytes()).ok());
    let mut hosts = hosts.chain(request.uri().authority().cloned().map(Some));
    let is_harmless = hosts.all(|host| host.is_some_and(|host| is_local_or_address(host.host())));
    is_harmless.then_some(()).ok_or(HttpRejection::Host)
}

/// Returns whether nobody else controls what `host` resolves to. A page loaded from an address belongs to
/// that address.
fn is_local_or_address(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    // RFC 6761, section 6.3: names below `localhost` are loopback too.
    bare.parse::<IpAddr>().is_ok() || name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uri: &str, headers: &[(&str, &str)]) -> Result<(), HttpRejection> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let origins = vec![HeaderValue::from_static("http://localhost:5173")];
        OriginPolicy::new(AuthMode::Anonymous, origins).check(&request.body(()).expect("a valid request"))
    }

    #[test]
    fn a_name_that_anybody_may_point_here_is_refused() {
        for (host, expected) in [
            ("127.0.0.1:50051", Ok(())),
            ("127.0.0.1", Ok(())),
            ("[::1]:50051", Ok(())),
            ("10.0.0.7:50051", Ok(())),
            ("localhost:50051", Ok(())),
            ("LocalHost", Ok(())),
            ("localhost.", Ok(())),
            ("app.localhost:50051", Ok(())),
            ("rebind.attacker.example:50051", Err(HttpRejection::Host)),
            ("localhost.attacker.example", Err(HttpRejection::Host)),
            ("127.0.0.1.attacker.example", Err(HttpRejection::Host)),
            ("notlocalhost", Err(HttpRejection::Host)),
            ("0x7f.1", Err(HttpRejection::Host)),
            ("", Err(HttpRejection::Host)),
            ("a b", Err(HttpRejection::Host)),
        ] {
            assert_eq!(check("/", &[("host", host)]), expected, "{host}");
        }
        assert_eq!(check("http://attacker.example/", &[]), Err(HttpRejection::Host), "as HTTP/2 says it");
        assert_eq!(check("http://127.0.0.1:50051/", &[]), Ok(()));
        assert_eq!(check("/", &[]), Ok(()), "no browser leaves it out");
        assert_eq!(
            check("/", &[("host", "localhost"), ("host", "attacker.example")]),
            Err(HttpRejection::Host)
        );
    }

    #[test]
    fn a_page_of_a_stranger_is_refused() {
        for (origin, expected) in [
            ("http://localhost:5173", Ok(())),
            ("http://localhost:5174", Err(HttpRejection::Origin)),
            ("https://localhost:5173", Err(HttpRejection::Origin)),
            ("http://LOCALHOST:5173", Err(HttpRejection::Origin)),
            ("http://localhost:5173/", Err(HttpRejection::Origin)),
            ("http://127.0.0.1:50051", Err(HttpRejection::Origin)),
            ("null", Err(HttpRejection::Origin)),
            ("", Err(HttpRejection::Origin)),
        ] {
            assert_eq!(check("/", &[("host", "127.0.0.1"), ("origin", origin)]), expected, "{origin}");
        }
        let two = [("origin", "http://localhost:5173"), ("origin", "http://attacker.example")];
        assert_eq!(check("/", &two), Err(HttpRejection::Origin));
    }

    #[test]
    fn where_an_address_is_believed_no_page_of_a_stranger_may_speak_for_others() {
        let origins = vec![HeaderValue::from_static("http://localhost:5173")];
        let check = |auth_mode, version, origin: Option<&str>| {
            let mut request = Request::builder().version(version).header("host", "rebind.attacker.example");
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            OriginPolicy::new(auth_mode, origins.clone()).check(&request.body(()).expect("a valid request"))
        };
        let strange = Some("http://rebind.attacker.example");
        for (auth_mode, version, origin, expected) in [
            (AuthMode::TrustedAddress, Version::HTTP_11, strange, Err(HttpRejection::Origin)),
            (AuthMode::TrustedAddress, Version::HTTP_11, Some("http://localhost:5173"), Ok(())),
            (AuthMode::TrustedAddress, Version::HTTP_11, None, Ok(())),
            (AuthMode::TrustedAddress, Version::HTTP_2, strange, Ok(())),
            (AuthMode::Identity, Version::HTTP_11, strange, Ok(())),
        ] {
            assert_eq!(check(auth_mode, version, origin), expected, "{auth_mode:?} {version:?} {origin:?}");
        }
    }
}
