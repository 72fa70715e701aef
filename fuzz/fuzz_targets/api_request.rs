//! A request that passes is sent as it was judged: to its host, with its path byte for byte, and without
//! anything by which a server on the way could understand another one.
//!
//! The lines: strategy, method, host, path. Then the query, `name=value` on each line, up to an empty one,
//! and the headers, `name: value`.

#![no_main]

use bytes::Bytes;
use http::{Request, header::AUTHORIZATION};
use idp_token_service::{
    policy::{RequestPattern, Target},
    provider::{
        Provider,
        request::{ApiRequest, RawRequest, TARGET_LIMIT, TOKEN_PARAMETERS},
    },
    token::AccessToken,
};
use idp_token_service_fuzz::{CANARY, Lines, adapters::adapter, decoded};
use libfuzzer_sys::fuzz_target;
use url::{Position, Url, form_urlencoded};

fuzz_target!(|data: &[u8]| {
    let Some(mut lines) = Lines::of(data) else { return };
    let adapter = adapter(&lines.field());
    let raw = RawRequest {
        method: lines.field(),
        host: lines.field(),
        path: lines.field(),
        query: pairs(&lines.block(), '='),
        headers: pairs(&lines.block(), ':'),
        body: Bytes::from_static(b"the body"),
    };
    match ApiRequest::check(raw.clone(), adapter) {
        Err(error) => assert!(!error.to_string().contains(CANARY), "a value is quoted: {error}"),
        Ok(request) => {
            is_what_was_asked(&raw, &request, adapter);
            has_no_tricks(&request);
            is_sent_as_judged(&request, adapter);
            is_within_its_pattern(&request, adapter);
        }
    }
});

fn pairs(lines: &[String], separator: char) -> Vec<(String, String)> {
    let pair = |line: &String| {
        let (name, value) = line.split_once(separator).unwrap_or((line, ""));
        (name.to_owned(), value.strip_prefix(' ').unwrap_or(value).to_owned())
    };
    lines.iter().map(pair).collect()
}

/// Nothing is left out, added or changed.
fn is_what_was_asked(raw: &RawRequest, request: &ApiRequest, adapter: &dyn Provider) {
    assert_eq!(request.method, if raw.method.is_empty() { "GET" } else { &raw.method });
    assert!(raw.host.is_empty() || raw.host.eq_ignore_ascii_case(&request.host));
    assert!(adapter.hosts().iter().any(|pattern| pattern.matches(&request.host)), "{}", request.host);
    let sent = request.path_and_query.as_str();
    assert!(sent.len() <= TARGET_LIMIT, "{} bytes", sent.len());
    let added = sent.strip_prefix(&*raw.path).expect("the path is sent as it was written");
    let added: Vec<_> = form_urlencoded::parse(added.trim_start_matches(['?', '&']).as_bytes()).collect();
    assert!(
        added.iter().map(|(name, value)| (&**name, &**value)).eq(raw.query.iter().map(|(n, v)| (&**n, &**v)))
    );
    let names = request.headers.keys().map(|name| request.headers.get_all(name).iter().count());
    assert_eq!(names.sum::<usize>(), raw.headers.len());
    for (name, value) in &raw.headers {
        assert!(
            request.headers.get_all(name).iter().any(|sent| sent.as_bytes() == value.as_bytes()),
            "{name}"
        );
    }
}

/// Headers that only the service may send, or that speak of another request than the one that was judged.
const RESERVED: [&str; 16] = [
    "authorization",
    "cookie",
    "host",
    "connection",
    "transfer-encoding",
    "content-length",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "accept-encoding",
    "x-http-method-override",
    "x-original-url",
    "x-rewrite-url",
    "forwarded",
    "via",
];

const RESERVED_FAMILIES: [&str; 4] = ["proxy-", "x-forwarded-", "x-envoy-", "grpc-"];

fn has_no_tricks(request: &ApiRequest) {
    for (name, value) in &request.headers {
        let name = name.as_str().replace('_', "-");
        assert!(!RESERVED.contains(&&*name), "{name}");
        assert!(!RESERVED_FAMILIES.iter().any(|family| name.starts_with(family)), "{name}");
        assert!(!value.as_bytes().iter().any(u8::is_ascii_control), "{name}");
    }
    assert!(!["CONNECT", "TRACE", "TRACK", "PRI"].contains(&request.method.as_str()));
    for path in decoded(request.path_and_query.path()) {
        let path = String::from_utf8_lossy(&path).into_owned();
        assert!(path.starts_with('/') && !path.starts_with("//") && !path.contains('\\'), "{path:?}");
        assert!(!path.contains(|letter: char| letter.is_ascii_control()), "{path:?}");
        let segments = path.split('/').filter_map(|segment| segment.split([';', '?', '#']).next());
        assert!(!segments.map(str::trim).any(|segment| segment == "." || segment == ".."), "{path:?}");
    }
    let query = request.path_and_query.query().unwrap_or_default();
    for pairs in [query.to_owned(), query.replace(';', "&")] {
        for (name, _) in form_urlencoded::parse(pairs.as_bytes()) {
            assert!(!TOKEN_PARAMETERS.contains(&&*name.to_ascii_lowercase()), "{name}");
        }
    }
}

/// What GitHub wants with every request, whatever the caller sends.
const GITHUBS_OWN: [&str; 2] = ["user-agent", "x-github-api-version"];

/// What the policy judges is what is sent, as both URL parsers of the HTTP client read it.
fn is_sent_as_judged(request: &ApiRequest, adapter: &dyn Provider) {
    let token = AccessToken::new(CANARY.to_owned());
    let sent: Request<Bytes> = adapter.encode(request, &token);
    let uri = sent.uri();
    assert_eq!((uri.scheme_str(), uri.host(), uri.port_u16()), (Some("https"), Some(&*request.host), None));
    assert_eq!(uri.path(), adapter.sent_path(request.path_and_query.path()));
    let asked = request.path_and_query.query().unwrap_or_default();
    assert!(uri.query().unwrap_or_default().starts_with(asked));
    let url = Url::parse(&uri.to_string()).expect("what is sent is a URL");
    assert_eq!((url.scheme(), url.host_str(), url.port()), ("https", Some(&*request.host), None));
    assert_eq!((url.username(), url.password(), url.fragment()), ("", None, None));
    assert_eq!(&url[Position::BeforePath..], uri.path_and_query().expect("a path").as_str());

    assert_eq!((sent.method(), sent.body()), (&request.method, &request.body));
    let mut proofs = sent.headers().get_all(AUTHORIZATION).iter();
    assert!(proofs.next().is_some_and(|proof| proof.is_sensitive() && *proof == format!("Bearer {CANARY}")));
    assert!(proofs.next().is_none());
    for name in request.headers.keys() {
        let (asked, sent) = (request.headers.get_all(name), sent.headers().get_all(name));
        let is_github = request.host.ends_with(".github.com") && GITHUBS_OWN.contains(&name.as_str());
        assert!(asked.iter().eq(sent.iter()) || is_github && sent.iter().count() == 1, "{name} was changed");
    }
}

/// A rule for `/in/**` lets nothing else through, nor one for `/in/*` anything deeper, however a server
/// decodes.
fn is_within_its_pattern(request: &ApiRequest, adapter: &dyn Provider) {
    let path = adapter.sent_path(request.path_and_query.path());
    let target = Target::of(request, &path);
    let matches = |path: &str| {
        let pattern = RequestPattern::parse(&format!("{} {}{path}", target.method, target.host));
        pattern.expect("a pattern").matches(&target)
    };
    let below = |path: &[u8]| String::from_utf8_lossy(path).strip_prefix("/in/").map(str::to_owned);
    if matches("/in/**") {
        assert!(decoded(&path).iter().all(|path| below(path).is_some()), "{path}");
    }
    if matches("/in/*") {
        let is_one =
            |path: &Vec<u8>| below(path).is_some_and(|rest| !rest.is_empty() && !rest.contains(['/', '\\']));
        assert!(decoded(&path).iter().all(is_one), "{path}");
    }
}
