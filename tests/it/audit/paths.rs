//! What a caller puts into the path of a request that is refused: on record if it is a path, since it may
//! hold a password or a header otherwise.

use idp_token_service::service::pb::HttpRequest;
use idp_token_testkit::{
    World,
    audit::{Log, said},
    get,
    http::Build,
    people::{ADA, github},
};

#[tokio::test]
async fn no_password_and_no_header_in_a_refused_path_stands_in_any_record() {
    let log = Log::new();
    let world = World::configured(|config| log.record(config)).await;
    let long = format!("/hunter2{}\r\n", "a".repeat(100 * 1024));
    let long_and_well_formed_but_for_the_start = format!("hunter2/{}", "a".repeat(100 * 1024));
    let paths = [
        "https://u:hunter2@api.github.com/user",
        "HTTPS://u:hunter2@api.github.com/user",
        "u:hunter2@api.github.com/user",
        "/a\r\nauthorization: Basic hunter2",
        "/a\nauthorization: Basic hunter2",
        "/a%0d%0a\u{85}authorization: Basic hunter2",
        "//u:hunter2@h/",
        "///u:hunter2@h/",
        "/\\u:hunter2@h/",
        "\\\\u:hunter2@h\\",
        "\\u:hunter2",
        "/a\0hunter2",
        "/a\u{1b}[31mhunter2",
        "/a hunter2",
        " /hunter2",
        "hunter2",
        &long,
        &long_and_well_formed_but_for_the_start,
    ];
    for (index, path) in paths.iter().enumerate() {
        let whole = HttpRequest { path: (*path).to_owned(), ..Default::default() };
        let outcome = world.call(github(ADA), whole.clone()).await;
        assert!(outcome.is_err(), "{index}");
        let record = log.last(1).await;
        let start: String = path.chars().take(40).collect();
        assert_eq!(
            said(&record, &["code", "reason", "path"]),
            "INVALID_ARGUMENT INVALID_FIELD -",
            "{start:?}"
        );
        let text = log.text();
        assert!(!text.contains("hunter2") && !text.contains("authorization"), "{start:?}");
        log.clear();
    }
}

#[tokio::test]
async fn a_refused_path_that_is_one_is_on_record() {
    let log = Log::new();
    let world = World::configured(|config| log.record(config)).await;
    for (path, field, recorded) in [
        ("/repos/ada/../grace", "request.path", "/repos/ada/../grace"),
        ("/repos/ada/./x", "request.path", "/repos/ada/./x"),
        ("/repos/%2e%2e/grace", "request.path", "/repos/%2e%2e/grace"),
        ("/user?access_token=hunter2", "request.path", "/user"),
        ("/user#hunter2", "request.path", "/user"),
    ] {
        world.call(github(ADA), get(path)).await.unwrap_err();
        let record = log.last(1).await;
        assert_eq!(said(&record, &["reason", "detail", "path"]), format!("INVALID_FIELD {field} {recorded}"));
        assert!(!log.text().contains("hunter2"), "{path}");
        log.clear();
    }
    world.call(github(ADA), get("/user").at("evil.example")).await.unwrap_err();
    let record = log.last(1).await;
    assert_eq!(said(&record, &["detail", "host", "path"]), "request.host evil.example /user");
}
