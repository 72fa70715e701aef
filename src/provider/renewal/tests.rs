use super::*;
use crate::provider::tests::answer;

fn read(status: u16, body: &str) -> Option<Tokens> {
    read_tokens(&answer(status, &[("content-type", "application/json")], body))
}

#[test]
fn a_token_is_taken_whatever_stands_beside_it() {
    let rows = [
        (r#""expires_in":3599"#, Some(3599)),
        (r#""expires_in":"28800""#, Some(28_800)),
        (r#""expires_in":3599.5"#, Some(3599)),
        (r#""expires_in":315360000"#, Some(315_360_000)),
        (r#""expires_in":315360001"#, None),
        (r#""expires_in":0"#, None),
        (r#""expires_in":-1"#, None),
        (r#""expires_in":"soon""#, None),
        (r#""expires_in":1e300"#, None),
        (r#""expires_in":99999999999999999999999"#, None),
        (r#""expires_in":null"#, None),
        (r#""expires_in":[3599]"#, None),
        (r#""expires_in":"3599.0""#, Some(3599)),
        (r#""expires_in":" 3599 ""#, Some(3599)),
        (r#""expires_in":"3.599e3""#, Some(3599)),
        (r#""expires_in":"3599s""#, Some(3599)),
        (r#""expires_in":1e999"#, None),
        (r#""expires_in":NaN"#, None),
        (r#""expires_in":3599,"expires_in":3599"#, Some(3599)),
        (r#""expires_in":3599,"expires_in":null"#, Some(3599)),
        (r#""expires":3599"#, Some(3599)),
        (r#""expires":7,"expires_in":3599"#, Some(3599)),
        (r#""expires":3599,"expires_in":0"#, Some(3599)),
        // A time since 1970, which is never a lifetime.
        (r#""expires":1800003599"#, None),
        (r#""token_type":5,"refresh_token":7,"scope":{"a":1},"error":"invalid_grant""#, None),
    ];
    for (beside, seconds) in rows {
        let tokens = read(200, &format!(r#"{{"access_token":"a.b-c","x":[],{beside}}}"#)).expect(beside);
        assert_eq!(tokens.access.expose(), "a.b-c");
        assert_eq!(tokens.expires_in, seconds.map(Duration::from_secs), "{beside}");
        assert!(tokens.refresh.is_none() && tokens.scopes.is_empty(), "{beside}");
    }
}

#[test]
fn scopes_have_either_name_and_a_refresh_token_may_be_new() {
    let rows = [
        (r#""scope":"a b""#, &["a", "b"][..]),
        (r#""scope":"repo,gist""#, &["repo", "gist"]),
        (r#""scopes":"account repository""#, &["account", "repository"]),
        (r#""scope":"a","scopes":"b""#, &["a"]),
        (r#""scope":["a","b"]"#, &["a", "b"]),
    ];
    for (scope, expected) in rows {
        let body = format!(r#"{{"access_token":"a","refresh_token":"r",{scope}}}"#);
        let tokens = read(200, &body).expect(scope);
        assert_eq!(tokens.scopes, expected, "{scope}");
        assert_eq!(tokens.refresh.as_ref().map(RefreshToken::expose), Some("r"));
    }
}

#[test]
fn what_holds_no_token_is_no_success() {
    for body in [
        "",
        "{}",
        "<html>",
        r#"{"access_token":""}"#,
        r#"{"access_token":null}"#,
        r#"{"access_token":5}"#,
        r#"["a","r",3600]"#,
        r#"{"access_token":"a\nb"}"#,
        r#"{"access_token":"a""#,
        r#"{"refresh_token":"r"}"#,
        r#"[{"access_token":"a"}]"#,
        "access_token=&scope=b",
        "access_token&scope=b",
        "<html><a href='/?x=y&access_token=a&z'>",
    ] {
        assert!(read(200, body).is_none(), "{body}");
    }
    for status in [302, 400, 401, 500] {
        assert!(read(status, r#"{"access_token":"a"}"#).is_none(), "{status}");
    }
}

#[test]
fn every_success_that_holds_a_token_is_one_whatever_its_content_type() {
    let json = r#"{"access_token":"a","expires_in":3600,"refresh_token":"r","token_type":"Bearer"}"#;
    let form = "access_token=a&expires_in=3600&refresh_token=r&token_type=bearer";
    let types = [
        "application/json",
        "Application/JSON; charset=iso-8859-1",
        "application/x-www-form-urlencoded; charset=utf-8",
        "text/plain",
        "text/html; charset=UTF-8",
        "text/javascript",
        "application/octet-stream",
        ";;",
    ];
    for body in [json, form] {
        for status in [200, 201, 202, 203, 206, 299] {
            for headers in types.map(|value| vec![("content-type", value)]).into_iter().chain([vec![]]) {
                let tokens = read_tokens(&answer(status, &headers, body)).expect(body);
                assert_eq!(
                    (tokens.access.expose(), tokens.token_type),
                    ("a", TokenType::Bearer),
                    "{headers:?}"
                );
                assert_eq!(tokens.refresh.as_ref().map(RefreshToken::expose), Some("r"), "{headers:?}");
                assert_eq!(tokens.expires_in, Some(Duration::from_secs(3600)), "{headers:?}");
            }
        }
    }
}

#[test]
fn tokens_of_another_type_are_kept_and_told_apart() {
    for (name, expected) in [
        (r#""DPoP""#, "DPoP"),
        (r#""mac""#, "mac"),
        (r#""BEARER""#, "Bearer"),
        (r#""User Access Token""#, "Bearer"),
        ("null", "Bearer"),
        ("5", "Bearer"),
    ] {
        let tokens = read(200, &format!(r#"{{"access_token":"a","refresh_token":"r","token_type":{name}}}"#));
        let tokens = tokens.expect(name);
        assert_eq!(tokens.token_type.to_string(), expected, "{name}");
        assert!(tokens.refresh.is_some(), "{name}");
    }
}

#[test]
fn debug_shows_no_token() {
    let tokens =
        read(200, r#"{"access_token":"canary-a","refresh_token":"canary-r"}"#).expect("it holds a token");
    assert!(!format!("{:?}", RenewalVerdict::Renewed(tokens)).contains("canary"));
}
