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
        "access_token=a&scope=b",
    ] {
        assert!(read(200, body).is_none(), "{body}");
    }
    for status in [201, 204, 400, 500] {
        assert!(read(status, r#"{"access_token":"a"}"#).is_none(), "{status}");
    }
}

#[test]
fn debug_shows_no_token() {
    let tokens =
        read(200, r#"{"access_token":"canary-a","refresh_token":"canary-r"}"#).expect("it holds a token");
    assert!(!format!("{:?}", RenewalVerdict::Renewed(tokens)).contains("canary"));
}
