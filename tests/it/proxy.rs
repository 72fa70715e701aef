//! CallProvider as a proxy: what reaches the provider, what never does, and that no byte is changed on the
//! way.

use std::{io::Write, sync::Arc};

use aws_lc_rs::hmac;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use idp_token_sandbox::{Entry, Fault};
use idp_token_service::{
    config::Config,
    secret::Secret,
    service::pb::{ErrorReason, HttpRequest, IdentitySelector},
};
use idp_token_testkit::{
    World, assert_error, get,
    http::{Build, Read},
    metadata,
    people::{ADA, ALAN, at, facebook, github, google},
    post,
    wire::RawGitHub,
};
use proptest::{
    prelude::*,
    test_runner::{Config as Cases, TestRunner},
};
use tonic::{Code, Request};

const MIB: usize = 1024 * 1024;

/// The only request that reached `host`.
#[track_caller]
fn only(world: &World, host: &str) -> Entry {
    let mut entries = world.sandbox.journal().to(host);
    assert_eq!(entries.len(), 1);
    entries.remove(0)
}

fn names(entry: &Entry) -> Vec<&str> {
    let mut names: Vec<_> = entry.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

fn bearer(world: &World, provider: &str) -> String {
    format!("Bearer {}", world.sandbox.access_token(ADA, provider).unwrap())
}

mod sent {
    use super::*;

    /// A call with all that a gRPC client, a mesh and a tracer add to it.
    async fn call_with_baggage(world: &World, identity: IdentitySelector, request: HttpRequest) {
        let mut call = Request::new(request.by(identity));
        call.set_timeout(idp_token_testkit::PATIENCE);
        for (name, value) in [
            ("x-request-id", "r-1"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("x-forwarded-for", "10.0.0.1"),
            ("authorization", "Bearer of-the-caller"),
            ("cookie", "session=of-the-caller"),
            ("x-custom", "metadata"),
            ("grpc-previous-rpc-attempts", "1"),
        ] {
            call.metadata_mut().insert(name, value.parse().unwrap());
        }
        call.metadata_mut().insert_bin("trace-bin", tonic::metadata::MetadataValue::from_bytes(b"abc"));
        world.service.client().call_provider(call).await.unwrap();
    }

    #[tokio::test]
    async fn google_gets_the_call_the_token_and_nothing_else() {
        let world = World::start().await;
        let request = post("/calendar/v3/calendars/primary/events", r#"{"summary":"Tea"}"#);
        let request = request.header("Content-Type", "application/json").header("x-goog-user-project", "p");
        call_with_baggage(&world, google(ADA), request).await;
        let entry = only(&world, "www.googleapis.com");
        let expected = [
            "accept",
            "accept-encoding",
            "authorization",
            "content-length",
            "content-type",
            "host",
            "x-goog-user-project",
        ];
        assert_eq!(names(&entry), expected);
        assert_eq!(entry.headers.len(), expected.len(), "each of them once");
        assert_eq!(entry.header("authorization"), Some(bearer(&world, "google-oauth2").as_str()));
        assert_eq!(entry.header("host"), Some("www.googleapis.com"));
        assert_eq!(entry.header("content-type"), Some("application/json"));
        assert_eq!(
            (entry.method.as_str(), entry.query, &*entry.body),
            ("POST", None, &br#"{"summary":"Tea"}"#[..])
        );
    }

    #[tokio::test]
    async fn github_gets_its_own_headers() {
        let world = World::start().await;
        call_with_baggage(&world, github(ADA), get("/user")).await;
        let entry = only(&world, "api.github.com");
        let expected =
            ["accept", "accept-encoding", "authorization", "host", "user-agent", "x-github-api-version"];
        assert_eq!(names(&entry), expected);
        assert!(entry.header("user-agent").unwrap().starts_with("idp-token-service/"));
        assert_eq!(entry.header("accept"), Some("application/vnd.github+json"));
        assert_eq!(entry.header("x-github-api-version"), Some("2022-11-28"));
    }

    #[tokio::test]
    async fn a_caller_chooses_githubs_representation_but_neither_its_version_nor_the_agent() {
        let world = World::start().await;
        let request = get("/user").header("accept", "application/vnd.github.raw+json");
        let request = request.header("X-GitHub-Api-Version", "2026-03-10").header("user-agent", "mine");
        world.call(github(ADA), request).await.unwrap();
        let entry = only(&world, "api.github.com");
        let all = |name| entry.headers.get_all(name).iter().collect::<Vec<_>>();
        assert_eq!(all("accept"), ["application/vnd.github.raw+json"]);
        assert_eq!(all("x-github-api-version"), ["2022-11-28"]);
        assert!(matches!(*all("user-agent"), [agent] if agent != "mine"));
    }

    #[tokio::test]
    async fn facebook_gets_a_version_unless_the_caller_names_one() {
        let no_proof = |config: &mut Config| {
            config.providers.get_mut("facebook").unwrap().settings.client_secret = None;
        };
        let world = World::configured(no_proof).await;
        for path in ["/me", "/v23.0/me", "/me/posts?limit=1"] {
            assert_eq!(world.call(facebook(ADA), get(path)).await.unwrap().status_code, 200);
        }
        let entries = world.sandbox.journal().to("graph.facebook.com");
        let paths: Vec<_> = entries.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths, ["/v25.0/me", "/v23.0/me", "/v25.0/me/posts"]);
        assert_eq!(names(&entries[0]), ["accept", "accept-encoding", "authorization", "host"]);
        assert_eq!(entries[0].query, None, "the token stands in the header alone");
    }

    #[tokio::test]
    async fn the_configured_versions_are_sent() {
        let world = World::configured(|config| {
            config.providers.get_mut("facebook").unwrap().settings.api_version = Some("v24.0".to_owned());
            config.providers.get_mut("github").unwrap().settings.api_version = Some("2026-03-10".to_owned());
        })
        .await;
        world.call(facebook(ADA), get("/me")).await.unwrap();
        assert_eq!(only(&world, "graph.facebook.com").path, "/v24.0/me");
        world.call(github(ADA), get("/user")).await.unwrap();
        let entry = only(&world, "api.github.com");
        assert_eq!(entry.header("x-github-api-version"), Some("2026-03-10"));
    }

    fn facebook_secret(secret: Secret) -> impl FnOnce(&mut Config) {
        move |config| {
            config.providers.get_mut("facebook").unwrap().settings.client_secret = Some(Arc::new(secret));
        }
    }

    fn proof(world: &World, secret: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let token = world.sandbox.access_token(ADA, "facebook").unwrap();
        let bytes = hmac::sign(&key, token.as_bytes());
        bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[tokio::test]
    async fn facebook_gets_the_proof_of_the_configured_secret() {
        let secret = Secret::fixed("sandbox-facebook-secret");
        let world = World::with(
            |seed| seed.providers.facebook.require_appsecret_proof = true,
            facebook_secret(secret),
        )
        .await;
        let answer = world.call(facebook(ADA), get("/me?fields=id")).await.unwrap();
        assert_eq!((answer.status_code, answer.report().attempts), (200, 1));
        let expected = format!("fields=id&appsecret_proof={}", proof(&world, "sandbox-facebook-secret"));
        assert_eq!(only(&world, "graph.facebook.com").query, Some(expected));
    }

    #[tokio::test]
    async fn a_rotated_facebook_secret_is_read_again_when_the_old_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "the-old-secret").unwrap();
        let world = World::configured(facebook_secret(Secret::from_file(&file).unwrap())).await;
        let refused = world.call(facebook(ADA), get("/me")).await.unwrap();
        assert_eq!(
            refused.diagnosis().reason(),
            ErrorReason::ProviderNotConfigured,
            "and nobody rotated it yet"
        );

        std::fs::write(&file, "sandbox-facebook-secret\n").unwrap();
        let answer = world.call(facebook(ADA), post("/me/feed", "a=b")).await.unwrap();
        assert_eq!(answer.report().attempts, 2);
        assert_eq!(answer.diagnosis().reason(), ErrorReason::ScopeNotGranted, "the proof was right");
        let sent: Vec<_> = world.sandbox.journal().to("graph.facebook.com");
        let proofs = ["the-old-secret", "the-old-secret", "sandbox-facebook-secret"]
            .map(|secret| Some(format!("appsecret_proof={}", proof(&world, secret))));
        assert!(sent.iter().map(|entry| entry.query.clone()).eq(proofs));
    }

    #[tokio::test]
    async fn a_rotated_facebook_secret_serves_all_who_were_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "the-old-secret").unwrap();
        let world = World::configured(facebook_secret(Secret::from_file(&file).unwrap())).await;
        std::fs::write(&file, "sandbox-facebook-secret").unwrap();
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let mut client = world.service.client();
            let call = get("/me").by(facebook(ADA));
            calls.spawn(async move { client.call_provider(call).await.unwrap().into_inner().status_code });
        }
        assert_eq!(calls.join_all().await, [200; 20]);
    }

    #[test]
    fn every_path_that_is_accepted_arrives_byte_for_byte() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let world = runtime.block_on(World::start());
        let faults = || Fault::on("api.github.com").answer(204).always();
        runtime.block_on(async { world.sandbox.faults().script(faults()) });
        let cases =
            Cases { cases: 150, failure_persistence: None, max_global_rejects: 10_000, ..Cases::default() };
        let any =
            ("/[a-z%25fF/.;:@!$&'()*+,=_~-]{0,24}", "[a-z%20/.;:@!$&()*+,=_~?\\[\\]-]{0,16}", "[ -~é]{1,20}");
        let outcome = TestRunner::new(cases).run(&any, |(path, query, value)| {
            let target = format!("{path}?{query}");
            let request = get(&target).header("x-value", &value);
            let Ok(_) = runtime.block_on(world.call(github(ADA), request)) else {
                return Err(TestCaseError::reject("refused"));
            };
            let entry = world.sandbox.journal().to("api.github.com").pop().unwrap();
            prop_assert_eq!(format!("{}?{}", entry.path, entry.query.unwrap_or_default()), target);
            prop_assert_eq!(entry.headers["x-value"].as_bytes(), value.trim_matches(' ').as_bytes());
            Ok(())
        });
        outcome.unwrap();
        runtime.block_on(async { drop(world) });
    }

    #[tokio::test]
    async fn the_target_arrives_as_it_was_written_and_the_query_appended() {
        let world = World::start().await;
        let path = "/calendar/v3/calendars/en%23x%40group.v.calendar.google.com/a%2Fb%20c;d=1/(e)!?maxResults=2&q=a+b%20c";
        let request = get(path).param("orderBy", "start time").param("q", "ä&=+/?#'%41");
        world.call(google(ADA), request.param("fields", "items(id)")).await.unwrap();
        let entry = only(&world, "www.googleapis.com");
        assert_eq!(entry.path, path.split_once('?').unwrap().0);
        let expected = "maxResults=2&q=a+b%20c&orderBy=start%20time&q=%C3%A4%26%3D%2B%2F%3F%23%27%2541&fields=items%28id%29";
        assert_eq!(entry.query.as_deref(), Some(expected));
    }

    #[tokio::test]
    async fn every_method_arrives() {
        let world = World::start().await;
        world.sandbox.faults().script(Fault::on("api.github.com").answer(200).always());
        let methods =
            ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "VERSION-CONTROL"];
        for method in methods {
            assert_eq!(world.call(github(ADA), get("/x").method(method)).await.unwrap().status_code, 200);
        }
        world.call(github(ADA), get("/x")).await.unwrap();
        let journal = world.sandbox.journal().to("api.github.com");
        assert!(journal.iter().map(|entry| entry.method.as_str()).eq(methods.into_iter().chain(["GET"])));
    }

    #[tokio::test]
    async fn on_the_wire_the_callers_headers_keep_their_order_and_an_empty_body_has_no_length() {
        let provider = RawGitHub::answering(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
        let world = World::configured(|config| provider.replace_github(config)).await;
        let request = get("/x").header("x-b", "1").header("x-a", "2").header("x-b", "3").header("x-c", "é ");
        world.call(github(ADA), request).await.unwrap();
        let heard = provider.heard();
        let (line, headers) = heard[0].split_once("\r\n").unwrap();
        assert_eq!(line, "GET /x HTTP/1.1");
        let own: Vec<_> = headers.lines().filter(|line| line.starts_with("x-") && line.len() < 10).collect();
        assert_eq!(own, ["x-b: 1", "x-b: 3", "x-a: 2", "x-c: é "], "the lines of one name stand together");
        assert!(!heard[0].contains("content-length"), "{}", heard[0]);
    }
}

mod bodies {
    use super::*;

    /// Uploads and downloads, and asserts that no byte changes on either way.
    async fn there_and_back(world: &World, body: Bytes) {
        let upload = post("/upload/drive/v3/files?uploadType=media", body.clone());
        let upload = upload.header("content-type", "image/jpeg");
        let stored = world.call(google(ADA), upload).await.unwrap();
        assert_eq!(stored.status_code, 200);
        let sent = world.sandbox.journal().to("www.googleapis.com").pop().unwrap();
        assert!(sent.body == body, "{} bytes changed on their way there", body.len());
        assert_eq!(sent.header("content-length"), Some(body.len().to_string().as_str()));

        let path = format!("/drive/v3/files/{}?alt=media", stored.json()["id"].as_str().unwrap());
        let back = world.call(google(ADA), get(&path)).await.unwrap();
        assert!(back.body == body, "{} bytes changed on their way back", body.len());
        assert_eq!(back.header("content-type"), ["image/jpeg"]);
        assert_eq!(back.header("content-length"), [body.len().to_string()]);
    }

    fn noise(seed: u64, length: usize) -> Bytes {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..length).map(|_| random.u8(..)).collect()
    }

    fn any_body() -> impl Strategy<Value = Bytes> {
        let small = proptest::collection::vec(any::<u8>(), 0..3000);
        let numbers = proptest::collection::vec(any::<u128>(), 0..20);
        prop_oneof![
            4 => small.clone().prop_map(Bytes::from),
            2 => small.prop_map(|tail| [&b"\xff\xd8\xff\xe0\0\x10JFIF\0"[..], &tail].concat().into()),
            2 => numbers.prop_map(|numbers| Bytes::from(format!("{{\"ids\": {numbers:?} }}\r\n"))),
            1 => (any::<u64>(), 0..=4 * MIB).prop_map(|(seed, length)| noise(seed, length)),
        ]
    }

    #[test]
    fn any_bytes_arrive_as_they_are_in_both_directions() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let world = runtime.block_on(World::start());
        let cases = Cases { cases: 40, failure_persistence: None, ..Cases::default() };
        let outcome = TestRunner::new(cases).run(&any_body(), |body| {
            runtime.block_on(there_and_back(&world, body));
            Ok(())
        });
        outcome.unwrap();
        runtime.block_on(async { drop(world) });
    }

    #[tokio::test]
    async fn the_bytes_that_others_damage_arrive_as_they_are() {
        let world = World::start().await;
        let bodies: [&'static [u8]; 9] = [
            b"",
            b"\0",
            b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xd9",
            b"\xc3\x28 \xa0\xa1 \xe2\x28\xa1 \xf0\x28\x8c\xbc \xfe\xff",
            br#"{"id": 12345678901234567890123, "f": 1.0, "f": 1e400, "b": 9007199254740993}"#,
            b"{ \"a\" :\t1,\r\n\"a\": 2 , }",
            b"\xef\xbb\xbf{\"bom\":true}",
            b"line\r\nline\nline\rline",
            b"\x1f\x8b\x08\0not gzip although it starts so",
        ];
        for body in bodies {
            there_and_back(&world, Bytes::from_static(body)).await;
        }
    }

    #[tokio::test]
    async fn a_body_of_the_whole_limit_passes_and_a_byte_more_is_refused() {
        let world = World::start().await;
        there_and_back(&world, noise(1, 4 * MIB)).await;
        world.sandbox.journal().clear();
        for length in [4 * MIB + 1, 5 * MIB, 12 * MIB] {
            let upload = post("/upload/drive/v3/files?uploadType=media", vec![0; length]);
            let outcome = world.call(google(ALAN), upload).await;
            let details = assert_error(outcome, Code::InvalidArgument, "INVALID_FIELD");
            assert_eq!(metadata(&details, "field"), "request.body", "{length}");
        }
        assert_eq!(world.sandbox.journal().entries().len(), 0, "nobody was asked anything");
    }

    /// A file of GitHub's, raw.
    fn file(name: &str) -> HttpRequest {
        let path = format!("/repos/ada/hello-world/contents/{name}");
        get(&path).header("accept", "application/vnd.github.raw+json")
    }

    #[tokio::test]
    async fn an_answer_of_the_whole_limit_passes_and_a_byte_more_is_an_error_that_says_so() {
        let world = World::start().await;
        for kind in ["bin", "chunked"] {
            let whole = world.call(github(ADA), file(&format!("{}.{kind}", 4 * MIB))).await.unwrap();
            let expected =
                (0..4 * MIB as u64).map(|place| u8::try_from((place * 31 + place / 256) % 256).unwrap());
            assert!(whole.body.iter().copied().eq(expected), "{kind}");
            for length in [4 * MIB + 1, 1024 * MIB] {
                let outcome = world.call(github(ADA), file(&format!("{length}.{kind}"))).await;
                let details = assert_error(outcome, Code::OutOfRange, "RESPONSE_TOO_LARGE");
                assert_eq!(metadata(&details, "limitBytes"), "4194304");
                assert_eq!(metadata(&details, "statusCode"), "200");
            }
        }
        assert_eq!(world.provider_calls("api.github.com"), 6, "what was carried out is not sent again");
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn a_content_coding_is_undone_and_no_header_speaks_of_it() {
        let world = World::start().await;
        let answer = world.call(github(ADA), get("/user")).await.unwrap();
        assert!(only(&world, "api.github.com").header("accept-encoding").unwrap().contains("gzip"));
        assert_eq!(answer.json()["login"], "ada");
        for stale in ["content-encoding", "content-length"] {
            assert_eq!(answer.header(stale), Vec::<&str>::new());
        }
        let nothing = Fault::on("api.github.com").answer(200).header("content-encoding", "gzip");
        world.sandbox.faults().script(nothing.clone());
        assert_eq!(
            world.call(github(ADA), get("/user")).await.unwrap().body,
            "",
            "nothing, coded, is nothing"
        );
        let head = world.call(github(ADA), get("/user").method("HEAD")).await.unwrap();
        assert_eq!((head.status_code, head.body.len()), (200, 0));
    }

    #[tokio::test]
    async fn codings_in_several_members_and_layers_are_undone_whole_or_not_at_all() {
        let world = World::start().await;
        let long = noise(1, 600_000).to_vec();
        let members = [gzip(&long), gzip(b"the rest")].concat();
        for (coding, coded, plain) in [
            ("gzip", members.clone(), Some([&long[..], b"the rest"].concat())),
            ("GZIP", members.clone(), Some([&long[..], b"the rest"].concat())),
            ("gzip", [gzip(b""), gzip(b"late")].concat(), Some(b"late".to_vec())),
            ("gzip, gzip", gzip(&gzip(b"twice")), Some(b"twice".to_vec())),
            ("gzip", [gzip(b"whole"), b"junk".to_vec()].concat(), None),
            ("gzip", members[..members.len() - 1].to_vec(), None),
        ] {
            let fault = Fault::on("api.github.com").answer(200).header("content-encoding", coding);
            world.sandbox.faults().script(fault.body(coded));
            let outcome = world.call(github(ADA), get("/user")).await;
            match plain {
                Some(plain) => assert!(outcome.unwrap().body == plain, "{coding}"),
                None => drop(assert_error(outcome, Code::Internal, "PROVIDER_PROTOCOL")),
            }
        }
    }

    #[tokio::test]
    async fn a_bomb_is_inflated_no_further_than_the_limit() {
        let world = World::start().await;
        let zeros = gzip(&vec![0; 16 * MIB]);
        // Whoever inflates all of it comes upon a broken end.
        let bomb = [&zeros[..zeros.len() - 100], &[0xff; 200]].concat();
        assert!(bomb.len() < MIB / 8);
        let fault = Fault::on("api.github.com").answer(200).header("content-encoding", "gzip").body(bomb);
        world.sandbox.faults().script(fault);
        let outcome = world.call(github(ADA), get("/user")).await;
        assert_error(outcome, Code::OutOfRange, "RESPONSE_TOO_LARGE");

        let broken = gzip(&noise(2, 5000));
        let broken = Fault::on("api.github.com")
            .answer(200)
            .header("content-encoding", "gzip")
            .body(broken[..3000].to_vec());
        world.sandbox.faults().script(broken);
        let outcome = world.call(github(ADA), post("/user", "")).await;
        assert_error(outcome, Code::Internal, "PROVIDER_PROTOCOL");
    }

    #[tokio::test]
    async fn a_head_tells_the_length_of_what_it_does_not_send() {
        let world = World::start().await;
        let head = world.call(github(ADA), file("9999999.bin").method("HEAD")).await.unwrap();
        assert_eq!((head.status_code, head.body.len()), (200, 0));
        assert_eq!(head.header("content-length"), ["9999999"]);
        let tag = world.call(github(ADA), get("/user")).await.unwrap().header("etag")[0].to_owned();
        let unchanged = world.call(github(ADA), get("/user").header("if-none-match", &tag)).await.unwrap();
        assert_eq!((unchanged.status_code, unchanged.body.len()), (304, 0));
    }

    #[tokio::test]
    async fn a_range_is_passed_on_and_its_answer_is_a_result() {
        let world = World::start().await;
        let part = Fault::on("api.github.com").answer(206).header("content-range", "bytes 0-2/9").body("abc");
        world.sandbox.faults().script(part);
        let answer = world.call(github(ADA), get("/user").header("range", "bytes=0-2")).await.unwrap();
        assert_eq!((answer.status_code, &*answer.body), (206, &b"abc"[..]));
        assert_eq!(answer.header("content-range"), ["bytes 0-2/9"]);
        let entry = only(&world, "api.github.com");
        assert_eq!(
            (entry.header("range"), entry.header("accept-encoding")),
            (Some("bytes=0-2"), Some("identity"))
        );
    }
}

mod answered {
    use super::*;

    #[tokio::test]
    async fn headers_of_the_connection_and_cookies_stay_behind() {
        let world = World::start().await;
        let fault = Fault::on("www.googleapis.com")
            .answer(200)
            .header("connection", "keep-alive, X-Hop")
            .header("keep-alive", "timeout=5")
            .header("x-hop", "1")
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2")
            .header("proxy-authenticate", "Basic")
            .header("proxy-connection", "keep-alive")
            .header("te", "trailers")
            .header("trailer", "x-sum")
            .header("upgrade", "h2c")
            .header("x-kept", "first")
            .header("etag", "\"1\"")
            .header("x-kept", "second")
            .header("www-authenticate", "Bearer realm=\"x\"")
            .body("hello");
        world.sandbox.faults().script(fault);
        let answer = world.call(google(ADA), get("/a")).await.unwrap();
        let mut names: Vec<_> = answer.headers.iter().map(|header| header.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-length", "date", "etag", "www-authenticate", "x-kept", "x-kept"]);
        assert_eq!(answer.header("x-kept"), ["first", "second"]);
        assert_eq!(answer.body, "hello");
    }

    #[tokio::test]
    async fn a_header_that_is_not_utf_8_is_shown_as_far_as_it_is() {
        let provider = RawGitHub::answering(
            b"HTTP/1.1 200 OK\r\nconnection: close\r\nX-Odd: caf\xe9 \xff!\r\nContent-Length: 2\r\n\r\nok",
        )
        .await;
        let world = World::configured(|config| provider.replace_github(config)).await;
        let answer = world.call(github(ADA), get("/x")).await.unwrap();
        assert_eq!((answer.header("x-odd"), &*answer.body), (vec!["caf\u{fffd} \u{fffd}!"], &b"ok"[..]));
    }

    #[tokio::test]
    async fn what_is_no_http_is_a_protocol_error_that_quotes_nothing() {
        let provider = RawGitHub::answering(b"220 canary.example ESMTP\r\n").await;
        let world = World::configured(|config| provider.replace_github(config)).await;
        let status = world.call(github(ADA), get("/x")).await.unwrap_err();
        assert!(!format!("{status:?}").contains("canary"), "{status:?}");
        let details = assert_error::<()>(Err(status), Code::Internal, "PROVIDER_PROTOCOL");
        assert_eq!(metadata(&details, "provider"), "github");
        assert_eq!(provider.heard().len(), 1);
    }

    #[tokio::test]
    async fn a_redirect_is_a_result_and_is_not_followed() {
        let world = World::start().await;
        let moved = world.call(github(ADA), get("/repos/ada/difference-engine")).await.unwrap();
        assert_eq!(moved.status_code, 301);
        assert!(moved.header("location")[0].starts_with("https://api.github.com/repositories/"));
        let elsewhere = world.call(github(ADA), get("/repos/ada/notes/tarball")).await.unwrap();
        assert_eq!(elsewhere.status_code, 302);
        assert!(elsewhere.header("location")[0].starts_with("https://codeload.github.com/ada/notes/"));
        for status in [303, 307, 308] {
            let fault = Fault::on("api.github.com").answer(status).header("location", "/user");
            world.sandbox.faults().script(fault);
            let answer = world.call(github(ADA), post("/repos/ada/notes/issues", "{}")).await.unwrap();
            assert_eq!((answer.status_code, answer.header("location")), (i32::from(status), vec!["/user"]));
            assert_eq!((answer.report().attempts, &answer.report().diagnosis), (1, &None));
        }
        assert_eq!(world.provider_calls("codeload.github.com"), 0);
        assert_eq!(world.provider_calls("api.github.com"), 5, "not even to the same host");
    }

    #[tokio::test]
    async fn a_next_page_on_another_host_is_no_next_page() {
        let world = World::start().await;
        let link = "<https://evil.example/user/repos?page=2>; rel=\"next\"";
        world.sandbox.faults().script(Fault::on("api.github.com").answer(200).header("link", link));
        let page = world.call(github(ADA), get("/user/repos")).await.unwrap();
        assert_eq!(page.report().next_page_path, "");
        let next = serde_json::json!({"paging": {"next": "https://evil.example/v25.0/me?access_token=x"}});
        world.sandbox.faults().script(Fault::on("graph.facebook.com").answer(200).json(&next));
        let page = world.call(facebook(ADA), get("/me/posts")).await.unwrap();
        assert_eq!(page.report().next_page_path, "");
    }
}

mod refused {
    use super::*;

    const PROVIDERS: [&str; 3] = ["google-oauth2", "github", "facebook"];

    /// Asserts that each request is refused under its field, quotes nothing, and reaches nobody.
    async fn assert_refused(world: &World, provider: &str, hostile: &[(HttpRequest, String)]) {
        for (request, field) in hostile {
            let status = world.call(at(ADA, provider), request.clone()).await;
            let status = status.expect_err(&format!("{provider} took {request:?}"));
            assert!(!format!("{status:?}").contains("evil"), "{status:?} quotes {request:?}");
            let details = assert_error::<()>(Err(status), Code::InvalidArgument, "INVALID_FIELD");
            assert_eq!(metadata(&details, "field"), field, "{provider}: {request:?}");
            let violations = &details.bad_request().unwrap().field_violations;
            assert!(matches!(&violations[..], [one] if one.field == *field && !one.description.is_empty()));
        }
        assert_eq!(world.sandbox.journal().entries().len(), 0, "{provider}: somebody was asked");
    }

    /// A world whose service has its Management token, so that the journal stays empty by itself.
    async fn quiet_world() -> World {
        let world = World::start().await;
        world.lend(google(ALAN)).await.unwrap();
        world.sandbox.journal().clear();
        world
    }

    async fn assert_refused_everywhere(hostile: &[(HttpRequest, String)]) {
        let world = quiet_world().await;
        for provider in PROVIDERS {
            assert_refused(&world, provider, hostile).await;
        }
    }

    fn all(field: &str, requests: impl IntoIterator<Item = HttpRequest>) -> Vec<(HttpRequest, String)> {
        requests.into_iter().map(|request| (request, field.to_owned())).collect()
    }

    #[tokio::test]
    async fn paths_that_lead_elsewhere() {
        let long = format!("/{}", "a".repeat(8 * 1024));
        let paths = [
            "evil",
            "evil/a",
            "?evil=1",
            "https://evil.example/a",
            "http:evil",
            "//evil.example/a",
            "///evil.example/a",
            "/\\evil.example/a",
            "\\\\evil.example\\a",
            "/%5cevil.example",
            "/%2f/evil.example",
            "/%2Fevil.example",
            "/%252fevil.example",
            "@evil.example/a",
            ":@evil.example/",
            "/..",
            "/.",
            "/../evil",
            "/a/../../evil",
            "/a/./evil",
            "/a/..;/evil",
            "/a/..;x=1/evil",
            "/a/%2e%2e/evil",
            "/a/%2E%2E/evil",
            "/a/.%2e/evil",
            "/a/%2e/evil",
            "/a/%252e%252e/evil",
            "/a/%25252e%25252e/evil",
            "/a/..%2fevil",
            "/a/..%5cevil",
            "/a/%2e%2e%2fevil",
            "/a/..%3b/evil",
            "/a/..%23/evil",
            "/a/..%3f/evil",
            "/a/%20../evil",
            "/a/..%20/evil",
            "/a\\..\\evil",
            "/a%5c..%5cevil",
            "/a%255cevil",
            "/a#evil",
            "/a?b#evil",
            "/a evil",
            "/a\tevil",
            "/a\r\nhost: evil.example",
            "/a HTTP/1.1\r\nhost: evil.example\r\n\r\nGET /",
            "/a\nevil",
            "/a\0evil",
            "/a\u{7f}evil",
            "/a%00evil",
            "/a%0d%0aevil",
            "/a%0aevil",
            "/a%250aevil",
            "/a%7fevil",
            "/a%c0%ae%c0%ae/evil",
            "/a%ffevil",
            "/a%evil",
            "/a%2",
            "/a%u002e/evil",
            "/ä/evil",
            "/a?evil=ä",
            "/a?evil=\"",
            "/a?evil= b",
            "/a?evil=%",
            "/a|evil",
            "/a<evil>",
            "/{evil}",
            "/a^evil",
            "/a`evil`",
            &long,
        ];
        assert_refused_everywhere(&all("request.path", paths.map(get))).await;
    }

    #[tokio::test]
    async fn hosts_that_are_not_the_providers() {
        let hosts = [
            "evil.example",
            "127.0.0.1",
            "127.0.0.1:9000",
            "localhost",
            "[::1]",
            "0x7f000001",
            "2130706433",
            "169.254.169.254",
            "metadata.google.internal",
            "api.github.com.evil.example",
            "evil-api.github.com",
            "evilgithub.com",
            "github.com",
            "codeload.github.com",
            "raw.githubusercontent.com",
            "www.facebook.com",
            "graph.facebook.com.",
            "graph.facebook.com:443",
            "user@graph.facebook.com",
            "graph.facebook.com@evil.example",
            "graph.facebook.com/evil",
            "graph.facebook.com#.evil.example",
            "graph.facebook.com?.evil.example",
            "graph.facebook.com\\.evil.example",
            "graph.facebook.com\r\nevil: 1",
            "graph.facebook.com\0",
            "graph%2efacebook.com",
            "https://api.github.com",
            "*.googleapis.com",
            ".googleapis.com",
            "googleapis.com",
            "a.b.googleapis.com",
            "oauth2.googleapis.com",
            "OAuth2.GoogleAPIs.com",
            "sts.googleapis.com",
            "iamcredentials.googleapis.com",
            "accounts.google.com",
            "gmail.googleapis.com.evil.example",
            "gmail。googleapis。com",
            "ɡmail.googleapis.com",
            " api.github.com",
            "api.github.com ",
        ];
        assert_refused_everywhere(&all("request.host", hosts.map(|host| get("/a").at(host)))).await;
        // Nor does one provider's token go to another one.
        let world = quiet_world().await;
        let foreign = |hosts: &[&str]| all("request.host", hosts.iter().map(|host| get("/a").at(host)));
        assert_refused(&world, "google-oauth2", &foreign(&["api.github.com", "graph.facebook.com"])).await;
        assert_refused(&world, "github", &foreign(&["www.googleapis.com", "graph.facebook.com"])).await;
        assert_refused(&world, "facebook", &foreign(&["www.googleapis.com", "api.github.com"])).await;
    }

    #[tokio::test]
    async fn methods_that_open_tunnels_or_are_none() {
        let methods = [
            "CONNECT",
            "TRACE",
            "TRACK",
            "PRI",
            "get",
            "Post",
            "GET ",
            " GET",
            "GET\r\nevil: 1",
            "GET /evil",
            "G\0T",
            "É",
            "EVIL_METHOD",
            "GET,POST",
            "AAAAAAAAAAAAAAAAAAAAAAAAA",
        ];
        let hostile = methods.map(|method| get("/a").method(method));
        assert_refused_everywhere(&all("request.method", hostile)).await;
    }

    #[tokio::test]
    async fn headers_that_only_the_service_may_set() {
        let names = [
            "authorization",
            "Authorization",
            "AUTHORIZATION",
            "proxy-authorization",
            "cookie",
            "set-cookie",
            "host",
            "Host",
            "connection",
            "keep-alive",
            "proxy-connection",
            "te",
            "trailer",
            "transfer-encoding",
            "Transfer_Encoding",
            "content-length",
            "upgrade",
            "http2-settings",
            "expect",
            "accept-encoding",
            "x-http-method-override",
            "x_http_method_override",
            "x-http-method",
            "x-method-override",
            "x-original-url",
            "x-rewrite-url",
            "x-forwarded-host",
            "x-forwarded-for",
            "x-forwarded-client-cert",
            "forwarded",
            "via",
            "x-envoy-original-path",
            "grpc-timeout",
            "grpc-encoding",
            "",
            " ",
            "a b",
            "a:b",
            ":authority",
            ":path",
            "a\r\nevil",
            "a\0",
            "ä",
            "evil header",
        ];
        let first = get("/a").header("accept", "*/*");
        let hostile = names.map(|name| first.clone().header(name, "evil"));
        assert_refused_everywhere(&all("request.headers[1].name", hostile)).await;

        let values = [
            "evil\r\nhost: evil.example",
            "evil\n",
            "\revil",
            "evil\0",
            "evil\u{7f}",
            "\tevil",
            "evil\u{85}",
        ];
        let hostile = values.map(|value| first.clone().header("x-a", value));
        assert_refused_everywhere(&all("request.headers[1].value", hostile)).await;

        let many = (0..65).fold(get("/a"), |request, number| request.header(&format!("x-{number}"), "evil"));
        let large = get("/a").header("x-a", &"evil".repeat(5000));
        assert_refused_everywhere(&all("request.headers", [many, large])).await;
    }

    #[tokio::test]
    async fn parameters_that_carry_a_token_or_a_secret() {
        let names = [
            "access_token",
            "ACCESS_TOKEN",
            "Access-Token",
            "access.token",
            "access_token[]",
            "access_token[evil]",
            " access_token",
            "access%5ftoken",
            "access%255ftoken",
            "oauth_token",
            "bearer_token",
            "refresh_token",
            "client_secret",
            "",
            "a\nb",
        ];
        let first = get("/a").param("q", "1");
        let hostile = names.map(|name| first.clone().param(name, "evil"));
        assert_refused_everywhere(&all("request.query[1].name", hostile)).await;

        let paths = [
            "/a?access_token=evil",
            "/a?b=1&access_token=evil",
            "/a?b=1;access_token=evil",
            "/a?%61ccess_token=evil",
            "/a?access%5Ftoken=evil",
            "/a?access%255Ftoken=evil",
            "/a?ACCESS_TOKEN=evil",
            "/a?access_token%5B%5D=evil",
            "/a?oauth_token=evil",
            "/a?client_secret=evil",
        ];
        assert_refused_everywhere(&all("request.path", paths.map(get))).await;
        let long = get("/a").param("q", &"evil".repeat(3000));
        assert_refused_everywhere(&all("request.query[0].value", [long])).await;
    }

    #[tokio::test]
    async fn parameters_that_one_provider_reads_as_something_else() {
        let world = quiet_world().await;
        let both = |names: &[&str]| {
            let in_path = names.iter().map(|name| get(&format!("/a?{name}=evil")));
            let in_query = names.iter().map(|name| get("/a").param(name, "evil"));
            [all("request.path", in_path), all("request.query[0].name", in_query)].concat()
        };
        let googles =
            both(&["$httpMethod", "%24httpMethod", "$HTTPMETHOD", "key", "$key", "x-http-method-override"]);
        assert_refused(&world, "google-oauth2", &googles).await;
        let facebooks = both(&[
            "method",
            "METHOD",
            "batch",
            "appsecret_proof",
            "appsecret_time",
            "input_token",
            "fb_exchange_token",
        ]);
        assert_refused(&world, "facebook", &facebooks).await;
    }

    #[tokio::test]
    async fn a_hostile_request_reaches_no_provider_when_the_selector_names_none() {
        let world = World::start().await;
        let hostile = [
            (get("//evil.example/"), "request.path"),
            (get("/a").at("evil.example"), "request.host"),
            (get("/a").header("authorization", "Bearer evil"), "request.headers[0].name"),
            (get("/a?$httpMethod=DELETE"), "request.path"),
        ];
        for (request, field) in hostile {
            let outcome = world.call(at(ALAN, ""), request).await;
            let details = assert_error(outcome, Code::InvalidArgument, "INVALID_FIELD");
            assert_eq!(metadata(&details, "field"), field);
        }
        let tenant = world.sandbox.domain();
        assert_eq!(world.sandbox.journal().count(|entry| entry.host != tenant), 0);
    }
}
