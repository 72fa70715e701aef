//! What a page in a browser may do, and what it must not.

use idp_token_testkit::{
    World, page,
    people::ADA,
    rules::everything_for_services,
    web::{http, post, url},
};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::json;

use crate::callers::{
    API, admit_end_users,
    certificates::{FORWARDED, trusting},
};

const APP: &str = "https://app.acme.example";
const STRANGER: &str = "https://attacker.example";

/// A service for users of the tenant and pages of [`APP`], and a token of Ada's.
async fn world() -> (World, String) {
    let world = World::configured(|config| {
        admit_end_users(config);
        config.web.allowed_origins = vec![APP.parse().unwrap()];
    })
    .await;
    let token = world.sandbox.end_user_token(ADA, API, &[]).unwrap();
    (world, token)
}

fn preflight(world: &World, origin: &str) -> RequestBuilder {
    let request = http().request(Method::OPTIONS, url(world.service.address, "ListIdentities"));
    request
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,connect-protocol-version,content-type")
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[track_caller]
fn assert_closed(answer: &Response) {
    let cors = answer.headers().keys().find(|name| name.as_str().starts_with("access-control-"));
    assert_eq!(cors, None, "{answer:?}");
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_call_and_read() {
    let (world, token) = world().await;
    let asked = preflight(&world, APP).send().await.unwrap();
    assert_eq!(asked.status(), 204);
    assert_eq!(header(&asked, "access-control-allow-origin"), APP);
    assert_eq!(header(&asked, "access-control-allow-methods"), "POST");
    assert_eq!(header(&asked, "access-control-max-age"), "7200");
    assert_eq!(header(&asked, "vary"), "origin");
    let allowed = header(&asked, "access-control-allow-headers");
    for name in
        ["authorization", "content-type", "connect-protocol-version", "connect-timeout-ms", "x-grpc-web"]
    {
        assert!(allowed.contains(name), "{name} is missing: {allowed}");
    }
    let call = post(world.service.address, "ListIdentities", "{}").header("origin", APP).bearer_auth(token);
    let answer = call.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "access-control-allow-origin"), APP);
    let exposed = header(&answer, "access-control-expose-headers");
    for name in ["grpc-status", "grpc-message", "grpc-status-details-bin", "x-request-id"] {
        assert!(exposed.contains(name), "{name} is missing: {exposed}");
    }
    let vary: Vec<_> = answer.headers().get_all("vary").iter().collect();
    assert_eq!(vary, ["accept-encoding", "origin"]);
    for answer in [asked, answer] {
        assert!(!answer.headers().contains_key("access-control-allow-credentials"));
    }
}

#[tokio::test]
async fn refusals_can_be_read_by_an_allowed_page_as_well() {
    let (world, _) = world().await;
    let call = post(world.service.address, "ListIdentities", "{}").header("origin", APP);
    let answer = call.send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(header(&answer, "www-authenticate"), "Bearer");
    assert_eq!(header(&answer, "access-control-allow-origin"), APP);
    let lost = http().get(url(world.service.address, "ListIdentities")).header("origin", APP);
    assert_eq!(header(&lost.send().await.unwrap(), "access-control-allow-origin"), APP);
}

#[tokio::test]
async fn a_page_of_another_origin_learns_nothing() {
    let (world, token) = world().await;
    for origin in [
        STRANGER,
        "null",
        "https://app.acme.example.attacker.example",
        "http://app.acme.example",
        "https://APP.acme.example",
    ] {
        let asked = preflight(&world, origin).send().await.unwrap();
        assert_eq!(asked.status(), 405, "{origin}");
        assert_closed(&asked);
        // It could never have got here: the browser asked first. A program with a token is nobody's page.
        let call = post(world.service.address, "ListIdentities", "{}").header("origin", origin);
        let answer = call.bearer_auth(&token).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_closed(&answer);
        assert_eq!(
            answer.headers().get_all("vary").iter().collect::<Vec<_>>(),
            ["accept-encoding", "origin"]
        );
    }
    let both =
        post(world.service.address, "ListIdentities", "{}").header("origin", APP).header("origin", STRANGER);
    assert_closed(&both.send().await.unwrap());
}

#[tokio::test]
async fn where_no_origin_is_allowed_no_page_may_call() {
    let world = World::configured(admit_end_users).await;
    let asked = preflight(&world, APP).send().await.unwrap();
    assert_eq!(asked.status(), 405);
    assert_closed(&asked);
    let call =
        post(world.service.address, "ListIdentities", "{}").header("origin", APP).send().await.unwrap();
    assert_eq!(call.status(), 401, "the caller is judged as always");
    assert_closed(&call);
    assert_eq!(call.headers().get_all("vary").iter().collect::<Vec<_>>(), ["accept-encoding"]);
}

#[tokio::test]
async fn a_form_of_another_site_never_reaches_the_gate() {
    let (world, token) = world().await;
    let call = json!({ "userId": ADA }).to_string();
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; a=application/json",
    ] {
        let request = http().post(url(world.service.address, "ListIdentities")).bearer_auth(&token);
        let answer = request.header("content-type", kind).header("origin", STRANGER).body(call.clone());
        assert_eq!(answer.send().await.unwrap().status(), 415, "{kind}");
    }
    assert_eq!(world.sandbox.journal().profile_reads(), 0);
    assert!(!page(world.service.admin, "/metrics").await.1.contains(r#"method="ListIdentities",code"#));
}

/// A call as a page would make it whose own name, `host`, leads to this service.
fn rebound(world: &World, host: &str, kind: &str, client: &reqwest::Client) -> RequestBuilder {
    let request =
        client.post(url(world.service.address, "ListIdentities")).header("content-type", kind.to_owned());
    request.header("host", host).body(json!({ "userId": ADA }).to_string())
}

#[tokio::test]
async fn a_name_that_leads_here_opens_nothing_where_nobody_is_asked() {
    let world = World::start().await;
    for kind in
        ["application/json", "application/grpc-web+proto", "application/grpc", "application/connect+json"]
    {
        let answer = rebound(&world, "attacker.example", kind, &http()).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{kind}");
        assert!(answer.text().await.unwrap().contains("any page"));
    }
    let port = world.service.address.port();
    for host in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
        assert_eq!(
            rebound(&world, &host, "application/json", &http()).send().await.unwrap().status(),
            200,
            "{host}"
        );
    }
    let counted = r#"idp_token_requests_refused_total{reason="host"} 4"#;
    assert!(page(world.service.admin, "/metrics").await.1.contains(counted));
    assert_eq!(world.sandbox.journal().profile_reads(), 1);
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused_where_nobody_is_asked() {
    let world = World::configured(|config| config.web.allowed_origins = vec![APP.parse().unwrap()]).await;
    let call = |origin: &'static str| {
        post(world.service.address, "ListIdentities", json!({ "userId": ADA }).to_string())
            .header("origin", origin)
    };
    for origin in [STRANGER, "null"] {
        let answer = call(origin).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{origin}");
        assert_closed(&answer);
    }
    assert_eq!(world.sandbox.journal().profile_reads(), 0);
    assert_eq!(call(APP).send().await.unwrap().status(), 200);
    let counted = r#"idp_token_requests_refused_total{reason="origin"} 2"#;
    assert!(page(world.service.admin, "/metrics").await.1.contains(counted));
}

#[tokio::test]
async fn where_callers_prove_who_they_are_the_name_does_not_matter() {
    let (world, token) = world().await;
    let request = rebound(&world, "idp-token.acme.example", "application/json", &http()).bearer_auth(token);
    assert_eq!(request.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_page_cannot_speak_for_others_where_an_address_is_believed() {
    let world = World::configured(|config| {
        config.trusted_peers = trusting("127.0.0.0/8");
        config.callers.push(everything_for_services());
    })
    .await;
    let call = || {
        rebound(&world, "attacker.example", "application/json", &http())
            .header("x-forwarded-client-cert", FORWARDED)
    };
    // A browser puts its page's origin into every POST.
    let answer = call().header("origin", "http://attacker.example").send().await.unwrap();
    assert_eq!(answer.status(), 403);
    assert_eq!(world.sandbox.journal().profile_reads(), 0);
    assert_eq!(call().send().await.unwrap().status(), 200, "a proxy's own word");
}
