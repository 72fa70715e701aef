//! Facebook's Graph API as a proxy sees it: bodies that change the request, and answers with tokens of
//! others.

use idp_token_sandbox::Fault;
use idp_token_service::service::pb::HttpRequest;
use idp_token_testkit::{
    World, assert_error, get,
    http::{Build, Read},
    metadata,
    people::{ADA, facebook},
    post,
};
use serde_json::json;
use tonic::Code::InvalidArgument;

const GRAPH: &str = "graph.facebook.com";

fn sent(kind: &str, body: &str) -> HttpRequest {
    post("/me/feed", body.to_owned()).header("content-type", kind)
}

#[tokio::test]
async fn no_body_changes_what_was_judged() {
    let world = World::start().await.ready().await;
    let form = "application/x-www-form-urlencoded";
    for request in [
        sent(form, "message=hi&method=DELETE"),
        sent(form, "%6dethod=delete"),
        sent(form, "access_token=other"),
        sent(form, r#"batch=[{"method":"DELETE","relative_url":"me"}]"#),
        sent(
            "application/json",
            r#"{"batch":[{"method":"DELETE","relative_url":"me"}],"include_headers":false}"#,
        ),
        sent("application/json", r#"{"access_token":"other"}"#),
        sent(
            "multipart/form-data; boundary=x",
            "--x\r\nContent-Disposition: form-data; name=\"method\"\r\n\r\nDELETE\r\n--x--\r\n",
        ),
        sent("text/plain", "method=delete"),
        post("/me/feed", "method=delete"),
        sent(form, "message=hi").header("content-encoding", "gzip"),
        sent(form, "message=hi").header("content-type", "application/json"),
    ] {
        let details =
            assert_error(world.call(facebook(ADA), request.clone()).await, InvalidArgument, "INVALID_FIELD");
        assert_eq!(metadata(&details, "field"), "request.body", "{request:?}");
    }
    assert_eq!(world.sandbox.journal().entries().len(), 0);
    let answer = world.call(facebook(ADA), sent(form, "message=the+method%3Ddelete")).await.unwrap();
    assert_eq!(world.provider_calls(GRAPH), 1, "{}", answer.status_code);
}

#[tokio::test]
async fn tokens_of_pages_are_not_for_those_who_may_only_call() {
    let world = World::start().await.ready().await;
    let (page, other) = (format!("EAAB{}", "pAgE7".repeat(40)), format!("EAAC{}", "aliaS".repeat(40)));
    let body = json!({
        "data": [{ "access_token": page, "id": "17", "name": "Our page" }, { "x": other, "id": "18" }],
        "paging": { "next": format!("https://{GRAPH}/v25.0/17/posts?limit=2&access_token={page}&after=A") },
    });
    world.sandbox.faults().script(Fault::on(GRAPH).path("/v25.0/me/accounts").json(&body));
    let answer = world.call(facebook(ADA), get("/me/accounts")).await.unwrap();
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(!text.contains("pAgE7") && !text.contains("aliaS"), "{text}");
    assert_eq!(text.len(), body.to_string().len());
    assert_eq!(answer.json()["data"][0]["access_token"], "*".repeat(page.len()));
    assert_eq!(
        (&answer.json()["data"][0]["name"], &answer.json()["data"][1]["id"]),
        (&json!("Our page"), &json!("18"))
    );
}
