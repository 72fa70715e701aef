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

use crate::telemetry::NoCall;

/// What callers must prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proofs {
    /// Nothing: callers are not identified.
    Nothing,
    /// Their identity, or that they come from an address that is trusted to name others.
    Addresses,
    /// Their identity.
    Identity,
}

/// The pages and hosts that requests may come from.
#[derive(Clone, Debug)]
pub(super) struct Visitors {
    proofs: Proofs,
    /// Allowed origins of pages.
    origins: Vec<HeaderValue>,
}

impl Visitors {
    pub(super) fn new(proofs: Proofs, origins: Vec<HeaderValue>) -> Self {
        Self { proofs, origins }
    }

    /// Checks the host and the origin of a request.
    ///
    /// # Errors
    /// When the request was sent to a name, or from a foreign page, and callers do not prove their identity.
    pub(super) fn check<B>(&self, request: &Request<B>) -> Result<(), NoCall> {
        match self.proofs {
            Proofs::Identity => Ok(()),
            // Browsers have no HTTP/2 without TLS, and over TLS no page reaches the service under its own
            // name. Proxies may use it, and forward what pages send to them.
            Proofs::Addresses if request.version() >= Version::HTTP_2 => Ok(()),
            Proofs::Addresses => self.check_origin(request),
            Proofs::Nothing => check_host(request).and_then(|()| self.check_origin(request)),
        }
    }

    fn check_origin<B>(&self, request: &Request<B>) -> Result<(), NoCall> {
        let mut from = request.headers().get_all(header::ORIGIN).into_iter();
        if from.all(|origin| self.origins.contains(origin)) { Ok(()) } else { Err(NoCall::Origin) }
    }
}

fn check_host<B>(request: &Request<B>) -> Result<(), NoCall> {
    let hosts = request.headers().get_all(header::HOST).into_iter();
    let hosts = hosts.map(|host| Authority::try_from(host.as_bytes()).ok());
    let mut hosts = hosts.chain(request.uri().authority().cloned().map(Some));
    let is_harmless = hosts.all(|host| host.is_some_and(|host| is_local_or_address(host.host())));
    is_harmless.then_some(()).ok_or(NoCall::Host)
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

    fn check(uri: &str, headers: &[(&str, &str)]) -> Result<(), NoCall> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let origins = vec![HeaderValue::from_static("http://localhost:5173")];
        Visitors::new(Proofs::Nothing, origins).check(&request.body(()).expect("a valid request"))
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
            ("rebind.attacker.example:50051", Err(NoCall::Host)),
            ("localhost.attacker.example", Err(NoCall::Host)),
            ("127.0.0.1.attacker.example", Err(NoCall::Host)),
            ("notlocalhost", Err(NoCall::Host)),
            ("0x7f.1", Err(NoCall::Host)),
            ("", Err(NoCall::Host)),
            ("a b", Err(NoCall::Host)),
        ] {
            assert_eq!(check("/", &[("host", host)]), expected, "{host}");
        }
        assert_eq!(check("http://attacker.example/", &[]), Err(NoCall::Host), "as HTTP/2 says it");
        assert_eq!(check("http://127.0.0.1:50051/", &[]), Ok(()));
        assert_eq!(check("/", &[]), Ok(()), "no browser leaves it out");
        assert_eq!(check("/", &[("host", "localhost"), ("host", "attacker.example")]), Err(NoCall::Host));
    }

    #[test]
    fn a_page_of_a_stranger_is_refused() {
        for (origin, expected) in [
            ("http://localhost:5173", Ok(())),
            ("http://localhost:5174", Err(NoCall::Origin)),
            ("https://localhost:5173", Err(NoCall::Origin)),
            ("http://LOCALHOST:5173", Err(NoCall::Origin)),
            ("http://localhost:5173/", Err(NoCall::Origin)),
            ("http://127.0.0.1:50051", Err(NoCall::Origin)),
            ("null", Err(NoCall::Origin)),
            ("", Err(NoCall::Origin)),
        ] {
            assert_eq!(check("/", &[("host", "127.0.0.1"), ("origin", origin)]), expected, "{origin}");
        }
        let two = [("origin", "http://localhost:5173"), ("origin", "http://attacker.example")];
        assert_eq!(check("/", &two), Err(NoCall::Origin));
    }

    #[test]
    fn where_an_address_is_believed_no_page_of_a_stranger_may_speak_for_others() {
        let origins = vec![HeaderValue::from_static("http://localhost:5173")];
        let check = |proofs, version, origin: Option<&str>| {
            let mut request = Request::builder().version(version).header("host", "rebind.attacker.example");
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            Visitors::new(proofs, origins.clone()).check(&request.body(()).expect("a valid request"))
        };
        let strange = Some("http://rebind.attacker.example");
        for (proofs, version, origin, expected) in [
            (Proofs::Addresses, Version::HTTP_11, strange, Err(NoCall::Origin)),
            (Proofs::Addresses, Version::HTTP_11, Some("http://localhost:5173"), Ok(())),
            (Proofs::Addresses, Version::HTTP_11, None, Ok(())),
            (Proofs::Addresses, Version::HTTP_2, strange, Ok(())),
            (Proofs::Identity, Version::HTTP_11, strange, Ok(())),
        ] {
            assert_eq!(check(proofs, version, origin), expected, "{proofs:?} {version:?} {origin:?}");
        }
    }
}
