//! The Connect protocol, as curl and generated clients speak it.

use std::{io::Write, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use flate2::{Compression, write::GzEncoder};
use idp_token_sandbox::Fault;
use idp_token_service::service::pb::{
    CallProviderRequest, CallProviderResponse, ListIdentitiesRequest, ListIdentitiesResponse,
};
use idp_token_testkit::{
    World, assert_error, eventually, get, metadata, page,
    people::{ADA, GRACE, github, google},
    post as http_post,
    tls::Pki,
    web::{Ask, Way, http, json_of, post, status_of, to_json, url},
};
use prost::Message;
use serde_json::{Value, json};
use tonic::Code;

fn listing() -> String {
    json!({ "userId": ADA }).to_string()
}

#[tokio::test]
async fn a_provider_is_called_in_json() {
    let world = World::start().await;
    let request = json!({
        "identity": {"userId": ADA, "provider": "github"},
        "request": {"path": "/user", "headers": [{"name": "accept-language", "value": "en"}]},
    });
    let answer = post(world.service.address, "CallProvider", request.to_string()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let headers = answer.headers().clone();
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert!(headers.keys().all(|name| !name.as_str().starts_with("grpc-")), "{headers:?}");
    let answer: Value = json_of(answer).await;
    assert_eq!(answer["statusCode"], 200);
    assert_eq!(answer["report"]["identity"]["state"], "STATE_ACTIVE");
    assert!(answer["report"]["rateLimit"]["limit"].is_string(), "64 bits are written in quotes");
    let body = BASE64_STANDARD.decode(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["login"], "ada");
}

#[tokio::test]
async fn a_provider_is_called_in_protobuf() {
    let world = World::start().await;
    let message = CallProviderRequest {
        identity: Some(github(ADA)),
        request: Some(get("/user")),
        ..Default::default()
    };
    let ask = Ask::to("CallProvider");
    for way in [Way::ConnectProto, Way::GrpcWeb, Way::GrpcWebText] {
        let answer =
            ask.send(way, world.service.address, message.clone(), "CallProviderRequest").await.unwrap();
        assert_eq!(CallProviderResponse::decode(answer).unwrap().status_code, 200, "{way:?}");
    }
}

#[tokio::test]
async fn bodies_of_four_mebibytes_reach_the_provider_byte_for_byte() {
    let world = World::start().await;
    let body: Vec<u8> = (0..4 * 1024 * 1024).map(|index: u32| (index * 7 / 3) as u8).collect();
    let message = CallProviderRequest {
        identity: Some(google(ADA)),
        request: Some(http_post("/upload/drive/v3/files?uploadType=media", body.clone())),
        ..Default::default()
    };
    for way in Way::WEB {
        let ask = Ask::to("CallProvider");
        ask.send(way, world.service.address, message.clone(), "CallProviderRequest").await.unwrap();
        let sent = world.sandbox.journal().to("www.googleapis.com");
        assert_eq!(sent.len(), 1);
        assert!(sent[0].body == body, "{way:?}");
        world.sandbox.journal().clear();
    }
}

#[tokio::test]
async fn every_http_that_browsers_and_programs_have_will_do() {
    let world = World::start().await;
    let cleartext = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let url =
        |scheme: &str, address| format!("{scheme}://{address}/idptoken.v1.IdpTokenService/ListIdentities");
    let pki = Pki::new();
    let secure = World::configured(|config| config.tls = Some(pki.without_client_ca())).await;
    let root = reqwest::Certificate::from_pem(pki.authority.pem.as_bytes()).unwrap();
    let tls = || reqwest::Client::builder().no_proxy().tls_certs_only([root.clone()]);
    for (client, url, version) in [
        (http(), url("http", world.service.address), "HTTP/1.1"),
        (cleartext, url("http", world.service.address), "HTTP/2.0"),
        (tls().build().unwrap(), url("https", secure.service.address), "HTTP/2.0"),
        (tls().http1_only().build().unwrap(), url("https", secure.service.address), "HTTP/1.1"),
    ] {
        let request = client.post(&url).header("content-type", "application/json").body(listing());
        let answer = request.send().await.unwrap();
        assert_eq!((answer.status().as_u16(), format!("{:?}", answer.version())), (200, version.to_owned()));
        assert_eq!(json_of(answer).await["identities"].as_array().unwrap().len(), 3);
    }
}

#[tokio::test]
async fn an_error_is_json_with_its_details_and_an_http_status() {
    let world = World::start().await;
    let request = json!({"identity": {"userId": GRACE, "provider": "github"}}).to_string();
    let request = post(world.service.address, "GetIdentityToken", request).header("x-request-id", "mine");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.headers()["x-request-id"], "mine");
    assert!(!answer.headers().contains_key("grpc-status"));
    let error: Value = json_of(answer).await;
    assert_eq!(error["code"], "failed_precondition");
    let info = error["details"].as_array().unwrap().iter().find(|one| one["type"] == "google.rpc.ErrorInfo");
    let debug = &info.unwrap()["debug"];
    assert_eq!(debug["reason"], "IDENTITY_AMBIGUOUS");
    assert_eq!(debug["metadata"]["candidates"], "github/github/2000001,github/github/2000002");
    let details =
        assert_error(Err::<(), _>(status_of(&error)), Code::FailedPrecondition, "IDENTITY_AMBIGUOUS");
    assert!(metadata(&details, "candidates").contains("2000002"));
}

/// The answer to `request`: HTTP status, and the code and the field or operation that are at fault.
async fn fault(request: reqwest::RequestBuilder) -> (u16, Code, String) {
    let answer = request.send().await.unwrap();
    let http = answer.status().as_u16();
    let status = status_of(&json_of(answer).await);
    let details = tonic_types::StatusExt::get_error_details(&status);
    let about = ["field", "operation"].map(|key| metadata(&details, key).to_owned()).concat();
    (http, status.code(), about)
}

#[tokio::test]
async fn headers_that_mean_nothing_are_the_callers_mistake() {
    let world = World::start().await;
    let to = |name: &str, value: &str| {
        post(world.service.address, "ListIdentities", listing()).header(name, value)
    };
    for (name, value) in [
        ("connect-protocol-version", "2"),
        ("connect-timeout-ms", "soon"),
        ("connect-timeout-ms", "12345678901"),
    ] {
        assert_eq!(fault(to(name, value)).await, (400, Code::InvalidArgument, name.to_owned()), "{value}");
    }
    let packed = to("content-encoding", "br").send().await.unwrap();
    assert_eq!(packed.headers()["accept-encoding"], "gzip", "what would do instead");
    let (http, code, about) = fault(to("content-encoding", "br")).await;
    assert_eq!((http, code), (501, Code::Unimplemented));
    assert!(about.contains("content-encoding"), "{about}");
    assert_eq!(world.sandbox.journal().profile_reads(), 0);
    for (name, value) in [("connect-protocol-version", "1"), ("content-encoding", "identity")] {
        assert_eq!(to(name, value).send().await.unwrap().status(), 200, "{name}");
    }
}

#[tokio::test]
async fn the_callers_deadline_holds() {
    let world = World::start().await.ready().await;
    world.sandbox.faults().script(Fault::on(world.sandbox.domain()).path("/api/v2/users/").always().hang());
    let request =
        post(world.service.address, "ListIdentities", listing()).header("connect-timeout-ms", "400");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 504);
    let status = status_of(&json_of(answer).await);
    let details = assert_error(Err::<(), _>(status), Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    assert_eq!(metadata(&details, "stage"), "auth0");
}

#[tokio::test]
async fn gzip_goes_both_ways() {
    let world = World::start().await;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let message = ListIdentitiesRequest { user_id: ADA.to_owned(), ..Default::default() };
    encoder.write_all(to_json(&message, "ListIdentitiesRequest").as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    let request =
        || post(world.service.address, "ListIdentities", packed.clone()).header("content-encoding", "gzip");
    // reqwest asks for gzip and undoes it, and then forgets the header.
    let answer = request().send().await.unwrap();
    assert!(!answer.headers().contains_key("content-encoding"));
    assert_eq!(json_of(answer).await["identities"].as_array().unwrap().len(), 3);

    let plain = reqwest::Client::builder().no_proxy().no_gzip().build().unwrap();
    for (accepted, expected) in [("gzip", Some("gzip")), ("identity", None)] {
        let request =
            plain.post(url(world.service.address, "CallProvider")).header("accept-encoding", accepted);
        let call = json!({"identity": {"userId": ADA, "provider": "github"}, "request": {"path": "/user"}});
        let request = request.header("content-type", "application/json").body(call.to_string());
        let answer = request.send().await.unwrap();
        let encoding =
            answer.headers().get("content-encoding").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(encoding.as_deref(), expected);
        let vary: Vec<_> = answer.headers().get_all("vary").iter().collect();
        assert_eq!(vary, ["accept-encoding"]);
        let body = answer.bytes().await.unwrap();
        assert_eq!(body.starts_with(&[0x1f, 0x8b]), expected.is_some());
    }
}

#[tokio::test]
async fn what_is_no_call_is_told_what_would_be_one_and_counted() {
    let world = World::start().await;
    let rpc = url(world.service.address, "ListIdentities");
    let root = format!("http://{}/", world.service.address);
    let text =
        |url: &str, kind: &str| http().post(url).header("content-type", kind.to_owned()).body(listing());
    for (request, status, reason) in [
        (http().get(&root), 415, "media_type"),
        (http().get(&rpc), 405, "method"),
        (http().head(&rpc), 405, "method"),
        (http().request(reqwest::Method::OPTIONS, &rpc), 405, "method"),
        (http().put(&rpc).header("content-type", "application/json").body("{}"), 405, "method"),
        (http().post(&rpc).body("{}"), 415, "media_type"),
        (text(&rpc, "text/plain"), 415, "media_type"),
        (text(&rpc, "application/x-www-form-urlencoded"), 415, "media_type"),
        (text(&rpc, "multipart/form-data; boundary=x"), 415, "media_type"),
        (text(&rpc, "application/json; charset=utf-16"), 415, "media_type"),
        (text(&rpc, "application/grpc-web+json"), 415, "media_type"),
        (text(&root, "application/json"), 404, "not_found"),
    ] {
        let counted = format!("idp_token_requests_refused_total{{reason=\"{reason}\"}}");
        let before = count(&world, &counted).await;
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{reason}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        match status {
            405 => assert_eq!(answer.headers()["allow"], "POST"),
            415 => assert!(answer.headers()["accept-post"].to_str().unwrap().contains("application/json")),
            _ => {}
        }
        assert_eq!(count(&world, &counted).await, before + 1, "{reason}");
    }
    assert_eq!(world.sandbox.journal().profile_reads(), 0, "none of it reached the gate");
}

async fn count(world: &World, metric: &str) -> u32 {
    let text = page(world.service.admin, "/metrics").await.1;
    let line = text.lines().find_map(|line| line.strip_prefix(metric));
    line.map_or(0, |count| count.trim().parse().unwrap())
}

#[tokio::test]
async fn streaming_is_not_offered_and_says_so_as_either_kind_of_client_reads_it() {
    let world = World::start().await;
    let unary = post(world.service.address, "StreamProvider", "{}");
    let (http_status, code, _) = fault(unary).await;
    assert_eq!((http_status, code), (501, Code::Unimplemented));
    for (method, codec) in
        [("StreamProvider", "json"), ("StreamProvider", "proto"), ("ListIdentities", "json")]
    {
        let kind = format!("application/connect+{codec}");
        let request = http().post(url(world.service.address, method)).header("content-type", &kind);
        let answer = request.body(&b"\0\0\0\0\x02{}"[..]).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (200, &kind.parse().unwrap())
        );
        let body = answer.bytes().await.unwrap();
        let (head, end) = body.split_at(5);
        assert_eq!((head[0], u32::from_be_bytes(head[1..].try_into().unwrap()) as usize), (2, end.len()));
        let end: Value = serde_json::from_slice(end).unwrap();
        let outcome = Err::<(), _>(status_of(&end["error"]));
        assert_error(outcome, Code::Unimplemented, "OPERATION_UNSUPPORTED");
    }
}

#[tokio::test]
async fn calls_are_counted_like_any_other() {
    let world = World::start().await;
    post(world.service.address, "ListIdentities", listing()).send().await.unwrap();
    post(world.service.address, "ListIdentities", "{").send().await.unwrap();
    post(world.service.address, "Nothing", "{}").send().await.unwrap();
    for counted in [
        r#"idp_token_rpcs_total{method="ListIdentities",code="OK"} 1"#,
        r#"idp_token_rpcs_total{method="ListIdentities",code="INVALID_ARGUMENT"} 1"#,
        r#"idp_token_rpcs_total{method="other",code="UNIMPLEMENTED"} 1"#,
    ] {
        eventually(counted, async || page(world.service.admin, "/metrics").await.1.contains(counted)).await;
    }
}

#[tokio::test]
async fn an_answer_in_protobuf_is_the_very_message() {
    let world = World::start().await;
    let message = ListIdentitiesRequest { user_id: ADA.to_owned(), ..Default::default() };
    let answer = Ask { timeout: Some(Duration::from_secs(9)), ..Ask::to("ListIdentities") }
        .send(Way::ConnectProto, world.service.address, message, "ListIdentitiesRequest")
        .await
        .unwrap();
    assert_eq!(ListIdentitiesResponse::decode(answer).unwrap().identities, world.list(ADA).await.unwrap());
}
