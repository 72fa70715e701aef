//! CallProvider: what a caller gets back.

use idp_token_sandbox::Fault;
use idp_token_service::service::pb::{
    CallProviderRequest, CallProviderResponse, ErrorReason, HttpRequest, IdentitySelector, identity::State,
};
use idp_token_testkit::{
    World, assert_error, get,
    http::{Build, Read},
    metadata,
    people::{ADA, ALAN, DONALD, GRACE, SATOSHI, at, facebook, github, google},
    post,
};
use serde_json::Value;
use tonic::Code;

/// A success that needed nothing special.
#[track_caller]
fn assert_plain(answer: &CallProviderResponse, provider: &str, account: &str) {
    let report = answer.report();
    assert_eq!(answer.status_code, 200);
    assert_eq!((report.attempts, report.token_renewed, &report.diagnosis), (1, false, &None));
    let identity = report.identity.as_ref().unwrap();
    assert_eq!((identity.provider.as_str(), identity.connection.as_str()), (provider, provider));
    assert_eq!((identity.account_id.as_str(), identity.state()), (account, State::Active));
    assert_eq!(identity.user_id, ADA);
}

/// Follows the next pages to the end.
async fn pages(world: &World, identity: IdentitySelector, first: HttpRequest) -> Vec<CallProviderResponse> {
    let (mut pages, mut request) = (Vec::new(), first);
    loop {
        let page = world.call(identity.clone(), request.clone()).await.unwrap();
        assert_eq!(page.status_code, 200);
        let next = page.report().next_page_path.clone();
        pages.push(page);
        if next.is_empty() {
            return pages;
        }
        assert!(pages.len() < 10, "the pages go round in a circle");
        request = get(&next).at(&request.host);
    }
}

fn texts(pages: &[CallProviderResponse], list: &str, field: &str) -> Vec<String> {
    let items = pages.iter().flat_map(|page| page.json().pointer(list).unwrap().as_array().unwrap().clone());
    items.map(|item: Value| item[field].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn google_is_called_as_the_user() {
    let world = World::start().await;
    let answer = world.call(google(ADA), get("/calendar/v3/users/me/calendarList")).await.unwrap();
    assert_plain(&answer, "google-oauth2", "108204268033311374519");
    assert_eq!(answer.header("content-type"), ["application/json; charset=utf-8"]);
    assert_eq!(answer.json()["items"][0]["id"], "ada@sandbox.example");
    let report = answer.report();
    assert_eq!((&report.rate_limit, report.next_page_path.as_str()), (&None, ""), "Google tells neither");
    let other = get("/v1/people/me").at("people.googleapis.com");
    assert_eq!(
        world.call(google(ADA), other).await.unwrap().json()["names"][0]["displayName"],
        "Ada Lovelace"
    );
    assert_eq!(world.provider_calls("people.googleapis.com"), 1);
}

#[tokio::test]
async fn github_is_called_as_the_user_and_tells_its_rate_limit() {
    let world = World::start().await;
    let answer = world.call(github(ADA), get("/user")).await.unwrap();
    assert_plain(&answer, "github", "583231");
    assert_eq!(answer.json()["login"], "ada");
    assert_eq!(answer.header("x-oauth-scopes"), ["read:user, user:email, repo"]);
    let limit = answer.report().rate_limit.unwrap();
    assert_eq!((limit.limit, limit.remaining), (5000, 4999));
    assert_eq!(answer.header("x-ratelimit-reset"), [limit.reset_time.unwrap().seconds.to_string()]);
}

#[tokio::test]
async fn facebook_is_called_as_the_user() {
    let world = World::start().await;
    let answer = world.call(facebook(ADA), get("/me").param("fields", "id,name,email")).await.unwrap();
    assert_plain(&answer, "facebook", "10158222222222222");
    assert_eq!(answer.json()["name"], "Ada Lovelace");
    assert_eq!(answer.header("facebook-api-version"), ["v25.0"]);
    assert_eq!(answer.report().rate_limit, None, "Graph tells percentages");
}

#[tokio::test]
async fn googles_pages_are_walked_to_the_end() {
    let world = World::start().await;
    let events = get("/calendar/v3/calendars/primary/events").param("maxResults", "2").param("q", "a b");
    let walked = pages(&world, google(ADA), events).await;
    assert_eq!(walked.len(), 3);
    assert_eq!(
        texts(&walked, "/items", "summary"),
        ["Stand-up", "Review", "Lunch with Grace", "Dentist", "Release"]
    );
    let queries: Vec<_> = world.sandbox.journal().to("www.googleapis.com");
    let queries: Vec<_> = queries.iter().map(|entry| entry.query.as_deref().unwrap()).collect();
    assert_eq!(queries[2], "maxResults=2&q=a%20b&pageToken=CAE4", "the rest of the query is kept");

    let mail = get("/gmail/v1/users/me/messages?maxResults=3").at("gmail.googleapis.com");
    assert_eq!(texts(&pages(&world, google(ADA), mail).await, "/messages", "id").len(), 7);
}

#[tokio::test]
async fn githubs_pages_are_walked_to_the_end() {
    let world = World::start().await;
    let walked = pages(&world, github(ADA), get("/user/repos?per_page=1")).await;
    assert_eq!(texts(&walked, "", "name"), ["hello-world", "notes", "engine"]);
    assert_eq!(walked[0].report().next_page_path, "/user/repos?per_page=1&page=2");
    let left: Vec<_> = walked.iter().map(|page| page.report().rate_limit.unwrap().remaining).collect();
    assert_eq!(left, [4999, 4998, 4997]);
}

#[tokio::test]
async fn facebooks_pages_are_walked_to_the_end_without_the_token_in_sight() {
    let world = World::start().await;
    let token = world.sandbox.access_token(ADA, "facebook").unwrap();
    let walked = pages(&world, facebook(ADA), get("/me/posts?limit=1")).await;
    assert_eq!(texts(&walked, "/data", "message"), ["Hello", "On holiday", "Back again", "New job"]);
    for page in &walked {
        assert!(
            !format!("{page:?}").contains(&token) && !String::from_utf8_lossy(&page.body).contains(&token)
        );
    }
    assert_eq!(walked[0].report().next_page_path, "/v25.0/me/posts?limit=1&after=QVFI1");
    let next = walked[0].json()["paging"]["next"].as_str().unwrap().to_owned();
    let masked = "*".repeat(token.len());
    assert_eq!(
        next,
        format!("https://graph.facebook.com/v25.0/me/posts?access_token={masked}&limit=1&after=QVFI1")
    );
    assert_eq!(walked[0].header("content-length"), [walked[0].body.len().to_string()], "the same length");
}

#[tokio::test]
async fn a_token_in_a_header_is_masked_too() {
    let world = World::start().await;
    let token = world.sandbox.access_token(ADA, "github").unwrap();
    let elsewhere = format!("https://api.github.com/user?access_token={token}");
    let echo = Fault::on("api.github.com").answer(302).header("location", &elsewhere).body(token.clone());
    world.sandbox.faults().script(echo);
    let answer = world.call(github(ADA), get("/user")).await.unwrap();
    assert_eq!((answer.status_code, answer.header("location")), (302, vec!["***"]));
    assert_eq!(answer.body, "*".repeat(token.len()));
}

#[tokio::test]
async fn a_selector_without_a_provider_means_the_only_identity_or_none() {
    let world = World::start().await;
    let answer = world.call(at(ALAN, ""), get("/oauth2/v3/userinfo")).await.unwrap();
    assert_eq!(answer.json()["email"], "alan@sandbox.example");
    world.sandbox.journal().clear();
    for ambiguous in [at(ADA, ""), github(GRACE)] {
        let outcome = world.call(ambiguous, get("/user")).await;
        assert_error(outcome, Code::FailedPrecondition, "IDENTITY_AMBIGUOUS");
    }
    let outcome = world.call(at(DONALD, ""), get("/user")).await;
    assert_error(outcome, Code::FailedPrecondition, "TOKEN_NOT_STORED");
    assert_error(world.call(facebook(ALAN), get("/me")).await, Code::NotFound, "IDENTITY_NOT_LINKED");
    assert_error(world.call(google("auth0|nobody"), get("/")).await, Code::NotFound, "USER_NOT_FOUND");
    assert_eq!(providers_called(&world), 0);
}

#[tokio::test]
async fn a_connection_or_an_account_selects_as_well_as_a_provider() {
    let world = World::start().await;
    let by_connection = IdentitySelector { connection: "github".to_owned(), ..at(ADA, "") };
    assert_eq!(world.call(by_connection, get("/user")).await.unwrap().json()["login"], "ada");
    let by_account = IdentitySelector { account_id: "2000002".to_owned(), ..github(GRACE) };
    let answer = world.call(by_account, get("/user")).await.unwrap();
    assert_eq!(answer.json()["login"], "grace-at-work");
    assert_eq!(answer.report().identity.as_ref().unwrap().account_id, "2000002");
}

/// Requests that reached anybody but the tenant.
fn providers_called(world: &World) -> usize {
    world.sandbox.journal().count(|entry| entry.host != world.sandbox.domain())
}

#[tokio::test]
async fn a_connection_called_after_another_strategy_does_not_send_its_token_there() {
    use idp_token_sandbox::TokenSeed;
    let world = World::seeded(|seed| {
        let ada = seed.users.iter_mut().find(|user| user.id == ADA).unwrap();
        let impostor = ada.identities.iter_mut().find(|identity| identity.connection == "github").unwrap();
        impostor.provider = Some("oauth2".to_owned());
        impostor.access_token = Some(TokenSeed::Written("for-another-server".to_owned()));
    })
    .await;
    let selector = IdentitySelector { connection: "github".to_owned(), ..at(ADA, "oauth2") };
    let outcome = world.call(selector, get("/user")).await;
    let details = assert_error(outcome, Code::Unimplemented, "OPERATION_UNSUPPORTED");
    assert_eq!(metadata(&details, "provider"), "oauth2");
    assert_eq!(world.provider_calls("api.github.com"), 0);
}

#[tokio::test]
async fn a_provider_that_the_service_does_not_speak_to_is_unsupported() {
    use idp_token_sandbox::TokenSeed;
    let world = World::seeded(|seed| {
        for user in &mut seed.users {
            for identity in user.identities.iter_mut().filter(|one| one.provider.is_some()) {
                identity.access_token = Some(TokenSeed::Written("a-token-of-no-provider".to_owned()));
            }
        }
    })
    .await;
    for (user, provider) in [(SATOSHI, "oauth2"), (idp_token_testkit::people::LESLIE, "samlp")] {
        for selector in [at(user, provider), at(user, "")] {
            let outcome = world.call(selector, get("/me")).await;
            let details = assert_error(outcome, Code::Unimplemented, "OPERATION_UNSUPPORTED");
            assert_eq!(metadata(&details, "provider"), provider);
            assert_eq!(metadata(&details, "operation"), "CallProvider");
        }
    }
    assert_eq!(providers_called(&world), 0);
}

#[tokio::test]
async fn a_call_without_its_parts_names_the_field() {
    let world = World::start().await;
    let whole = get("/user").by(github(ADA));
    let rows = [
        (CallProviderRequest { identity: None, ..whole.clone() }, "identity"),
        (CallProviderRequest { request: None, ..whole.clone() }, "request"),
        (get("/user").by(github("")), "identity.user_id"),
        (get("/user").by(github("auth0|a\nb")), "identity.user_id"),
        (get("/user").by(at(ADA, &"g".repeat(300))), "identity.provider"),
        (get("").by(github(ADA)), "request.path"),
    ];
    for (request, field) in rows {
        let details = assert_error(world.call_with(request).await, Code::InvalidArgument, "INVALID_FIELD");
        assert_eq!(metadata(&details, "field"), field);
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, field);
    }
}

mod diagnosis {
    use super::*;

    #[tokio::test]
    async fn a_scope_that_google_wants_is_named() {
        let world = World::start().await;
        let answer = world.call(google(ALAN), get("/calendar/v3/users/me/calendarList")).await.unwrap();
        assert_eq!((answer.status_code, answer.report().attempts), (403, 1));
        assert_eq!(
            answer.json()["error"]["status"],
            "PERMISSION_DENIED",
            "the answer is a result all the same"
        );
        assert_eq!(answer.diagnosis().reason(), ErrorReason::ScopeNotGranted);
        let scopes = ["calendar.readonly", "calendar", "calendar.calendarlist.readonly"];
        let scopes = scopes.map(|scope| format!("https://www.googleapis.com/auth/{scope}"));
        assert_eq!(answer.diagnosis().missing_scopes, scopes);
        assert_eq!(answer.report().identity.as_ref().unwrap().state(), State::Active, "the token lives");
    }

    #[tokio::test]
    async fn what_github_hides_for_want_of_a_scope_is_named() {
        let world = World::start().await;
        let hidden = Fault::on("api.github.com").answer(404).header("x-accepted-oauth-scopes", "repo");
        let hidden = hidden.header("x-oauth-scopes", "read:user").body(r#"{"message":"Not Found"}"#);
        world.sandbox.faults().script(hidden);
        let answer = world.call(github(ADA), get("/repos/ada/notes")).await.unwrap();
        assert_eq!(answer.status_code, 404);
        assert_eq!(answer.diagnosis().reason(), ErrorReason::ScopeNotGranted);
        assert_eq!(answer.diagnosis().missing_scopes, ["repo"]);
    }

    #[tokio::test]
    async fn a_permission_that_facebook_wants_is_named() {
        let world = World::start().await;
        let publish =
            post("/me/feed", "message=hello").header("content-type", "application/x-www-form-urlencoded");
        let answer = world.call(facebook(ADA), publish).await.unwrap();
        assert_eq!((answer.status_code, answer.diagnosis().reason()), (400, ErrorReason::ScopeNotGranted));
        assert_eq!(answer.diagnosis().missing_scopes, ["publish_actions"]);
        world.sandbox.set_scopes(ADA, "facebook", &["public_profile"]).unwrap();
        let answer = world.call(facebook(ADA), get("/me/posts")).await.unwrap();
        assert_eq!(answer.diagnosis().missing_scopes, ["user_posts"]);
    }

    #[tokio::test]
    async fn githubs_limits_are_told_apart_from_a_refusal() {
        let world = World::seeded(|seed| seed.providers.github.requests_per_hour = 1).await;
        world.call(github(ADA), get("/user")).await.unwrap();
        let primary = world.call(github(ADA), get("/user")).await.unwrap();
        assert_eq!(
            (primary.status_code, primary.report().attempts),
            (403, 1),
            "an hour is for the caller to wait"
        );
        assert_eq!(primary.diagnosis().reason(), ErrorReason::ProviderRateLimited);
        let wait = primary.diagnosis().retry_after.unwrap().seconds;
        assert!((3500..=3600).contains(&wait), "until the reset, not {wait} s");
        assert_eq!(primary.report().rate_limit.unwrap().remaining, 0);

        let secondary = Fault::on("api.github.com").answer(403).header("retry-after", "47");
        world
            .sandbox
            .faults()
            .script(secondary.body(r#"{"message":"You have exceeded a secondary rate limit."}"#));
        let secondary = world.call(github(ADA), get("/user")).await.unwrap();
        assert_eq!(secondary.diagnosis().reason(), ErrorReason::ProviderRateLimited);
        assert_eq!(secondary.diagnosis().retry_after.unwrap().seconds, 47);
    }

    #[tokio::test]
    async fn googles_and_facebooks_limits_are_recognised_behind_their_status() {
        let world = World::seeded(|seed| {
            seed.providers.google.requests_per_minute = 0;
            seed.providers.facebook.calls_per_hour = 0;
        })
        .await;
        let google =
            world.call_with(post("/calendar/v3/calendars/primary/events", "{}").by(google(ADA))).await;
        let facebook = world.call_with(post("/me/feed", "message=a").by(facebook(ADA))).await;
        for (answer, status) in [(google.unwrap(), 403), (facebook.unwrap(), 400)] {
            assert_eq!((answer.status_code, answer.report().attempts), (status, 1));
            assert_eq!(answer.diagnosis().reason(), ErrorReason::ProviderRateLimited);
            assert_eq!(answer.diagnosis().retry_after, None, "neither says how long");
        }
    }

    #[tokio::test]
    async fn what_an_operator_must_mend_is_told_apart() {
        let world = World::with(
            |seed| seed.providers.facebook.require_appsecret_proof = true,
            |config| config.providers.get_mut("facebook").unwrap().settings.client_secret = None,
        )
        .await;
        let sheet = get("/v4/spreadsheets/1").at("sheets.googleapis.com");
        let switched_off = world.call(google(ADA), sheet).await.unwrap();
        let without_proof = world.call(facebook(ADA), get("/me")).await.unwrap();
        for (answer, status) in [(switched_off, 403), (without_proof, 400)] {
            assert_eq!((answer.status_code, answer.report().attempts), (status, 1));
            assert_eq!(answer.diagnosis().reason(), ErrorReason::ProviderNotConfigured);
            assert!(answer.diagnosis().missing_scopes.is_empty());
        }
    }

    #[tokio::test]
    async fn a_failing_provider_is_unavailable_except_for_what_it_will_never_do() {
        let world = World::start().await;
        for (identity, host) in [
            (google(ADA), "www.googleapis.com"),
            (github(ADA), "api.github.com"),
            (facebook(ADA), "graph.facebook.com"),
        ] {
            for status in [500, 502, 503, 504] {
                world.sandbox.faults().script(Fault::on(host).answer(status));
                let answer = world.call(identity.clone(), post("/me", "{}")).await.unwrap();
                assert_eq!((answer.status_code, answer.report().attempts), (i32::from(status), 1));
                assert_eq!(answer.diagnosis().reason(), ErrorReason::ProviderUnavailable, "{host} {status}");
            }
            world.sandbox.faults().script(Fault::on(host).answer(501));
            assert_eq!(world.call(identity, get("/me")).await.unwrap().report().diagnosis, None);
        }
    }

    #[tokio::test]
    async fn the_callers_own_mistakes_are_no_business_of_the_service() {
        let world = World::start().await;
        for status in [400, 402, 403, 404, 405, 409, 410, 412, 415, 422, 451] {
            for (identity, host) in [
                (google(ADA), "www.googleapis.com"),
                (github(ADA), "api.github.com"),
                (facebook(ADA), "graph.facebook.com"),
            ] {
                world.sandbox.faults().script(Fault::on(host).answer(status).body("as it is"));
                let answer = world.call(identity, get("/me")).await.unwrap();
                assert_eq!((answer.status_code, answer.report().attempts), (i32::from(status), 1));
                assert_eq!(answer.report().diagnosis, None, "{host} {status}");
                assert_eq!(answer.body, "as it is");
            }
        }
        let real = world.call(github(ADA), post("/repos/ada/hello-world/issues", "{}")).await.unwrap();
        assert_eq!((real.status_code, &real.report().diagnosis), (422, &None));
        let real = world.call(github(ADA), get("/repos/ada/nothing")).await.unwrap();
        assert_eq!((real.status_code, &real.report().diagnosis), (404, &None), "it is really not there");
    }
}
