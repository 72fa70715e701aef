//! What others write into the log: nothing but the inside of a line, and not many of them.

use idp_token_sandbox::Fault;
use idp_token_service::{
    cli,
    service::pb::{
        CreateConnectLinkRequest, GetIdentityTokenRequest, IdentitySelector, InspectIdentityTokenRequest,
        ListIdentitiesRequest,
    },
    telemetry::logging::Format,
};
use idp_token_testkit::{
    ANYWHERE, Service, World, assert_error, get,
    http::Build,
    log::Log,
    people::{ADA, BARBARA, DONALD, at, github, google},
    post,
    wire::RawGitHub,
};
use serde_json::{Value, json};
use tonic::Code::Aborted;

/// A text that wants to be a line of its own, in red, after a bell.
const FORGED: &str = "x\n2026-01-01T00:00:00Z ERROR forged\r\n\u{1b}[31m\u{7}\u{202e}{\"level\":\"ERROR\",\"message\":\"forged\"}\u{0}\u{85}";

/// Everybody who has a say puts [`FORGED`] wherever there is room for it: ids, names, fields and bodies.
async fn everything_forged(world: &World, service: &Service) {
    let mut client = service.client();
    for user in [FORGED.to_owned(), format!("auth0|{FORGED}"), "\n".repeat(2000)] {
        let mut request = tonic::Request::new(ListIdentitiesRequest { user_id: user, ..Default::default() });
        request.metadata_mut().insert("x-request-id", "forged\tid \\n".parse().unwrap());
        client.list_identities(request).await.unwrap_err();
    }
    for identity in [
        at(ADA, FORGED),
        IdentitySelector { connection: FORGED.to_owned(), ..at(ADA, "google-oauth2") },
        IdentitySelector { account_id: FORGED.to_owned(), ..at(ADA, "google-oauth2") },
    ] {
        let _ = client.call_provider(get("/oauth2/v3/userinfo").by(identity)).await;
    }
    let link = CreateConnectLinkRequest { connection: FORGED.to_owned(), ..Default::default() };
    let _ = client.create_connect_link(link).await;
    for request in [
        get(FORGED),
        get("/a").at(FORGED),
        get("/a").method(FORGED),
        get("/a").header(FORGED, "a"),
        get("/a").header("a", FORGED),
        get("/a").param("a", FORGED),
        post("/a", FORGED),
    ] {
        let _ = client.call_provider(request.by(google(ADA))).await;
    }
    // Bodies of failures, of which the service reads some.
    let body = json!({ "error": FORGED, "error_description": FORGED, "message": FORGED, "errorCode": FORGED, "scope": FORGED });
    let tenant = world.sandbox.domain();
    for (host, status) in
        [("oauth2.googleapis.com", 400), ("oauth2.googleapis.com", 401), (tenant, 403), (tenant, 400)]
    {
        world.sandbox.faults().clear();
        world.sandbox.faults().script(Fault::on(host).always().answer(status).json(&body));
        let _ = client
            .inspect_identity_token(InspectIdentityTokenRequest { identity: Some(google(BARBARA)) })
            .await;
        let _ = client
            .get_identity_token(GetIdentityTokenRequest {
                identity: Some(google(BARBARA)),
                ..Default::default()
            })
            .await;
        client
            .list_identities(ListIdentitiesRequest { user_id: DONALD.to_owned(), ..Default::default() })
            .await
            .ok();
    }
    // A tenant that grants such scopes.
    world.sandbox.faults().clear();
    let scope = json!({ "scope": format!("read:users read:user_idp_tokens {FORGED}") });
    world.sandbox.faults().script(Fault::on(tenant).path("/oauth/token").always().amend(scope));
    let another = Service::start(&cli::sandbox_config(&world.sandbox, ANYWHERE, ANYWHERE)).await;
    let request = ListIdentitiesRequest { user_id: DONALD.to_owned(), ..Default::default() };
    another.client().list_identities(request).await.unwrap();
    // A tenant whose users have such connections.
    world.sandbox.faults().clear();
    let profile = json!({ "user_id": ADA, "identities": [{ "provider": "google-oauth2", "connection": FORGED, "user_id": FORGED, "access_token": FORGED, "expires_in": "-1" }] });
    world.sandbox.faults().script(Fault::on(tenant).path("/api/v2/users").always().json(&profile));
    let _ = client.call_provider(get("/oauth2/v3/userinfo").by(google(ADA))).await;
    let _ = client.call_provider(get("/user").by(github(ADA))).await;
}

async fn log_of(format: Format) -> String {
    let log = Log::start(format);
    // A status line that is none, and headers that end in the wrong way.
    let hub = RawGitHub::answering(b"HTTP/1.1 200 x\ny\r\nx: \x1b[31m\r\nforged: ERROR\n\r\n").await;
    let world = World::configured(|config| hub.replace_github(config)).await.ready().await;
    let _ = world.call(github(ADA), get("/user")).await;
    everything_forged(&world, &world.service).await;
    log.text()
}

/// `log` without the colours that it has where tests run in a terminal.
fn plain(log: &str) -> String {
    let parts: Vec<_> = log.split("\u{1b}[").collect();
    let colourless = parts[1..].iter().map(|part| match part.split_once('m') {
        Some((code, rest)) if code.bytes().all(|byte| byte.is_ascii_digit()) => rest.to_owned(),
        _ => format!("\u{1b}[{part}"),
    });
    parts[..1].iter().map(|first| (*first).to_owned()).chain(colourless).collect()
}

#[tokio::test]
async fn in_a_log_for_people_every_line_is_ours() {
    let log = log_of(Format::Text).await;
    assert!(log.lines().count() > 20, "{log}");
    for line in plain(&log).lines() {
        let mut words = line.split_whitespace();
        let began = words.next().is_some_and(|time| humantime::parse_rfc3339(time).is_ok());
        assert!(began && !line.starts_with("2026-01-01"), "{line:?}");
        assert!(matches!(words.next(), Some("ERROR" | "WARN" | "INFO" | "DEBUG")), "{line:?}");
        assert!(
            line.len() < 4096 && !line.contains(['\r', '\u{1b}', '\u{7}', '\u{202e}', '\u{85}', '\0']),
            "{line:?}"
        );
    }
}

#[tokio::test]
async fn in_a_log_for_machines_every_line_is_one_of_our_objects() {
    let log = log_of(Format::Json).await;
    assert!(log.lines().count() > 20, "{log}");
    for line in log.split_terminator('\n') {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        assert!(
            event["target"].as_str().is_some_and(|target| target.starts_with("idp_token_service")),
            "{line:?}"
        );
        assert!(event["message"] != "forged" && line.len() < 4096, "{line:?}");
    }
}

#[tokio::test]
async fn one_caller_cannot_fill_the_log_with_failures() {
    let log = Log::start(Format::Text);
    let world = World::start().await.ready().await;
    world.sandbox.faults().script(Fault::on("www.googleapis.com").always().cut());
    for _ in 0..60 {
        let outcome = world.call(google(ADA), post("/oauth2/v3/userinfo", "")).await;
        assert_error(outcome, Aborted, "PROVIDER_UNAVAILABLE");
    }
    let told =
        |text: &str| text.lines().filter(|line| line.contains("no whole answer from google-oauth2")).count();
    assert_eq!(told(&log.text()), 20);
}
