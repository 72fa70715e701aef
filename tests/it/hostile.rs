//! Hostile spellings of what a rule allows, through the real port with the policy on: none reaches a
//! provider, and none reaches the sentinel, which listens wherever a host leads that is not a provider's.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use idp_token_service::{
    policy::{Pattern, RequestPattern, Rule, Who},
    service::pb::HttpRequest,
};
use idp_token_testkit::{
    ANYWHERE, World, get,
    http::Build,
    issuer::Issuer,
    people::{ADA, at},
    rules::everything,
};
use tokio::net::TcpListener;
use tonic::Request;
use tonic_types::StatusExt;

/// What the rule allows, and nothing else.
const ALLOWED: [(&str, &str, &str); 3] = [
    ("google-oauth2", "www.googleapis.com", "/oauth2/v3/userinfo"),
    ("github", "api.github.com", "/user"),
    ("facebook", "graph.facebook.com", "/v25.0/me"),
];

/// Counts who comes.
struct Sentinel {
    url: url::Url,
    seen: Arc<AtomicUsize>,
}

impl Sentinel {
    async fn start() -> Self {
        let listener = TcpListener::bind(ANYWHERE).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let seen = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&seen);
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { url, seen }
    }

    /// Leads every host in `hosts` here.
    fn lure(&self, host_overrides: &mut BTreeMap<String, url::Url>, hosts: &[String]) {
        for host in hosts {
            let name = host.to_lowercase();
            host_overrides.entry(name).or_insert_with(|| self.url.clone());
        }
        for wild in
            ["*.example", "*.evil.example", "*.com", "*.googleapis.com", "*.github.com", "*.facebook.com"]
        {
            host_overrides.entry(wild.to_owned()).or_insert_with(|| self.url.clone());
        }
    }
}

/// Other spellings of `host`, and other hosts that look like it.
fn hosts(host: &str) -> Vec<String> {
    let (first, parent) = host.split_once('.').unwrap();
    let wide: String = host
        .chars()
        .map(|c| char::from_u32(if c.is_ascii_lowercase() { 0xfee0 + c as u32 } else { c as u32 }).unwrap())
        .collect();
    vec![
        format!("{host}."),
        format!("{host}:443"),
        format!("{host}:80"),
        format!("{host}:"),
        format!("user@{host}"),
        format!("{host}@evil.example"),
        format!("evil.example@{host}"),
        format!("evil.example#{host}"),
        format!("evil.example?{host}"),
        format!("evil.example/{host}"),
        format!("evil.example\\{host}"),
        format!("{host}/"),
        format!("{host}/.."),
        format!("{host}\\"),
        format!("{host}#"),
        format!("{host}?"),
        format!("{host}\0.evil.example"),
        format!("{host}%00.evil.example"),
        format!("{host}%2eevil.example"),
        format!("{host}%2f"),
        format!(" {host}"),
        format!("{host} "),
        format!("{host}\n"),
        format!("{host}\r\nhost: evil.example"),
        format!("{host}\t"),
        format!("http://{host}"),
        format!("https://{host}"),
        format!("//{host}"),
        format!("{host}.evil.example"),
        format!("evil{host}"),
        format!("evil-{host}"),
        format!("evil.{host}"),
        format!("{first}{parent}"),
        format!("{first}..{parent}"),
        format!(".{host}"),
        format!("{first}\u{3002}{parent}"),
        format!("{first}\u{ff0e}{parent}"),
        format!("{first}\u{ad}.{parent}"),
        format!("{first}\u{200b}.{parent}"),
        host.replace('o', "\u{43e}"),
        host.replacen('a', "\u{430}", 1),
        host.replacen('g', "%67", 1),
        wide,
        format!("xn--{host}"),
        format!("[{host}]"),
        "evil.example".to_owned(),
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "2130706433".to_owned(),
        "0x7f.1".to_owned(),
        "[::1]".to_owned(),
        "169.254.169.254".to_owned(),
        "metadata.google.internal".to_owned(),
        "0".to_owned(),
        ".".to_owned(),
        "*".to_owned(),
        "*.googleapis.com".to_owned(),
    ]
}

/// Other spellings of `path`, and ways from it to others.
fn paths(path: &str) -> Vec<String> {
    let (start, last) = path.rsplit_once('/').unwrap();
    let first_escaped = |text: &str| format!("%{:02x}{}", text.as_bytes()[0], &text[1..]);
    vec![
        format!("{path}/"),
        format!("{path}/.."),
        format!("{path}/../admin"),
        format!("{path}/%2e%2e/admin"),
        format!("{path}/%2E%2e/admin"),
        format!("{path}/.%2e/admin"),
        format!("{path}/%252e%252e/admin"),
        format!("{path}/%25252e%25252e/admin"),
        format!("{path}/..%2fadmin"),
        format!("{path}%2f..%2fadmin"),
        format!("{path}%2fadmin"),
        format!("{path}%2Fadmin"),
        format!("{path}%252fadmin"),
        format!("{path}/..;/admin"),
        format!("{path}/..;x=1/admin"),
        format!("{path};/admin"),
        format!("{path};"),
        format!("{path};x=1"),
        format!("{path}\\admin"),
        format!("{path}\\..\\admin"),
        format!("{path}%5cadmin"),
        format!("{path}%5c..%5cadmin"),
        format!("{path}/./admin"),
        format!("{path}/."),
        format!("{path}//"),
        format!("/{path}"),
        format!("//evil.example{path}"),
        format!("/\\evil.example{path}"),
        format!("///evil.example{path}"),
        format!("/%2fevil.example{path}"),
        format!("/%5cevil.example{path}"),
        format!("http://evil.example{path}"),
        format!("https:{path}"),
        format!("@evil.example{path}"),
        format!(":80{path}"),
        format!("/@evil.example{path}"),
        format!("{path}#"),
        format!("{path}#/admin"),
        format!("{path}%23"),
        format!("{path}%3f"),
        format!("{path}%3Fa=b"),
        format!("{path}%00"),
        format!("{path}\0"),
        format!("{path}%0a"),
        format!("{path}\n"),
        format!("{path}\r\nx: y"),
        format!("{path} HTTP/1.1"),
        format!("{path}%20"),
        format!("{path} "),
        format!(" {path}"),
        format!("{path}\u{2025}"),
        format!("{path}\u{ff0f}admin"),
        format!("{path}%c0%afadmin"),
        format!("{path}%c0%ae%c0%ae/admin"),
        format!("{path}%ef%bc%8fadmin"),
        format!("{path}%"),
        format!("{path}%2"),
        format!("{path}%zz"),
        format!("{path}.json"),
        format!("{path}~"),
        format!("{path}*"),
        format!("{start}/{}", last.to_uppercase()),
        format!("{start}/{}", first_escaped(last)),
        format!("{start}//{last}"),
        format!("{start}/./{last}"),
        format!("{start}/x/../{last}"),
        format!("{start}/%2e/{last}"),
        format!("{start}%2f{last}"),
        format!("{start}\\{last}"),
        format!("/admin/..{path}"),
        format!("/admin/%2e%2e{path}"),
        path[1..].to_owned(),
        String::new(),
        "*".to_owned(),
        "/".to_owned(),
    ]
}

const METHODS: [&str; 22] = [
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "HEAD",
    "OPTIONS",
    "get",
    "Get",
    "GET ",
    " GET",
    "GET\n",
    "GET\0",
    "GET /admin",
    "GETX",
    "G\u{415}T",
    "CONNECT",
    "TRACE",
    "TRACK",
    "PRI",
    "*",
    "GET,DELETE",
    "PROPFIND",
];

/// With the allowed method, host and path.
const HEADERS: [(&str, &str); 26] = [
    ("x-http-method-override", "DELETE"),
    ("X-HTTP-Method", "DELETE"),
    ("x_http_method_override", "DELETE"),
    ("X-Method-Override", "DELETE"),
    ("X-HTTP-Verb", "DELETE"),
    ("x-original-method", "DELETE"),
    ("x-original-url", "/admin"),
    ("x-rewrite-url", "/admin"),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-prefix", "/admin"),
    ("x-forwarded-proto", "http"),
    ("forwarded", "host=evil.example"),
    ("x-host", "evil.example"),
    ("host", "evil.example"),
    (":authority", "evil.example"),
    (":path", "/admin"),
    (":method", "DELETE"),
    ("authorization", "Bearer other"),
    ("Authorization", "Basic YTpi"),
    ("proxy-authorization", "Basic YTpi"),
    ("cookie", "a=b"),
    ("transfer-encoding", "chunked"),
    ("content-length", "5"),
    ("upgrade", "h2c"),
    ("x-a\r\nhost", "evil.example"),
    ("x-a", "b\r\n\r\nDELETE /admin HTTP/1.1"),
];

const QUERIES: [&str; 9] = [
    "access_token=other",
    "ACCESS_TOKEN=other",
    "access%5ftoken=other",
    "a=b;access_token=other",
    "oauth_token=other",
    "x-http-method-override=DELETE",
    "X-HTTP-Method=DELETE",
    "client_secret=s",
    "a=%",
];

/// Every hostile request there is about an allowed one.
fn hostile(host: &str, path: &str) -> Vec<HttpRequest> {
    let good = || get(path).at(host);
    let by_host = hosts(host).into_iter().map(|other| get(path).at(&other));
    let by_path = paths(path).into_iter().map(|other| get(&other).at(host));
    let by_method = METHODS.iter().map(|method| good().method(method));
    let by_header = HEADERS.iter().map(|(name, value)| good().header(name, value));
    let by_query = QUERIES.iter().map(|query| get(&format!("{path}?{query}")).at(host));
    by_host.chain(by_path).chain(by_method).chain(by_header).chain(by_query).collect()
}

fn rule() -> Rule {
    let requests =
        ALLOWED.map(|(_, host, path)| RequestPattern::parse(&format!("GET {host}{path}")).unwrap());
    Rule { requests: requests.to_vec(), ..everything(Who::Services(Pattern::parse("**").unwrap())) }
}

#[tokio::test]
async fn no_spelling_leads_elsewhere_than_the_rule_says() {
    let (issuer, sentinel) = (Issuer::start().await, Sentinel::start().await);
    let world = World::configured(|config| {
        issuer.trust(config);
        config.callers = vec![rule()];
        for (provider, host, _) in ALLOWED {
            sentinel.lure(&mut config.providers.get_mut(provider).unwrap().host_overrides, &hosts(host));
        }
    })
    .await;
    let bearer = format!("Bearer {}", issuer.token());
    let call = async |provider: &str, request: HttpRequest| {
        let mut call = Request::new(request.by(at(ADA, provider)));
        call.metadata_mut().insert("authorization", bearer.parse().unwrap());
        world.service.client().call_provider(call).await
    };
    for (provider, host, path) in ALLOWED {
        assert_eq!(call(provider, get(path).at(host)).await.unwrap().into_inner().status_code, 200);
        assert_eq!(
            call(provider, get(path).at(&host.to_uppercase())).await.unwrap().into_inner().status_code,
            200
        );
    }
    let good = world.sandbox.journal().entries().len();
    let mut refused = 0;
    for (provider, host, path) in ALLOWED {
        for request in hostile(host, path) {
            let status =
                call(provider, request.clone()).await.expect_err(&format!("{provider}: {request:?}"));
            let reason =
                status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default();
            assert!(
                ["INVALID_FIELD", "CALLER_NOT_ALLOWED"].contains(&&*reason),
                "{provider}: {request:?}: {status:?}"
            );
            refused += 1;
        }
    }
    assert_eq!(refused, 567);
    assert_eq!(world.sandbox.journal().entries().len(), good, "a provider, or Auth0, was asked");
    assert_eq!(sentinel.seen.load(Ordering::SeqCst), 0, "somebody came to the sentinel");
}
