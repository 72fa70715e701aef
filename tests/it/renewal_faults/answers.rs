//! Answers in every dress that honest servers give them: what they say is understood, and no grant is lost.

use idp_token_sandbox::Fault;
use idp_token_service::service::pb::TokenSource;
use tonic::Code;

use super::{
    bench::{Bench, LONG, User},
    kinds::{BITBUCKET, GENERIC, GITHUB, GOOGLE, Kind, WORK},
};
use idp_token_testkit::assert_error;

const JSON: &str = r#"{"access_token":"at","token_type":"Bearer","expires_in":3600,"refresh_token":"rt2"}"#;
const FORM: &str = "access_token=at&expires_in=3600&refresh_token=rt2&token_type=bearer";

const AS_JSON: &str = "application/json";
const AS_FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

type Answer = (u16, &'static str, Vec<u8>);

/// The same tokens each time.
fn successes() -> Vec<Answer> {
    let with = |member: &str| JSON.replace('}', &format!(",{member}}}")).into_bytes();
    let marked = |text: &str| [b"\xef\xbb\xbf", text.as_bytes()].concat();
    vec![
        (201, AS_JSON, JSON.into()),
        (202, AS_JSON, JSON.into()),
        (203, AS_JSON, JSON.into()),
        (200, AS_FORM, FORM.into()),
        (201, "Application/X-WWW-Form-URLencoded", FORM.into()),
        (200, "text/plain", FORM.into()),
        (200, AS_JSON, FORM.into()),
        (200, AS_FORM, JSON.into()),
        (200, "text/html; charset=UTF-8", JSON.into()),
        (200, ";", JSON.into()),
        (200, AS_JSON, marked(JSON)),
        (200, AS_FORM, marked(FORM)),
        (200, AS_JSON, format!("\r\n\t{JSON}\r\n\r\n").into()),
        (200, AS_FORM, format!("{FORM}\r\n").into()),
        (200, AS_JSON, format!("{JSON}\n<!-- 12 ms -->").into()),
        (200, AS_JSON, with(r#""scope":"read","scope":"read""#)),
        (200, AS_JSON, with(r#""expires_in":3600"#)),
        (200, AS_JSON, with(r#""access_token":"at","refresh_token":"rt2""#)),
        (200, AS_JSON, with(r#""refresh_token":null"#)),
        (200, AS_JSON, with(r#""error":"invalid_grant""#)),
        (200, AS_JSON, with(r#""x":1e999,"y":NaN,"z":"\ud800""#)),
        (200, AS_JSON, with("\"x\":\"line\nbreak\"")),
        (200, AS_JSON, [&JSON.as_bytes()[..JSON.len() - 1], b",\"name\":\"J\xfcrgen\",\"\xfc\":1}"].concat()),
        (200, AS_FORM, [FORM.as_bytes(), b"&name=J\xfcrgen&x=%zz&access_token"].concat()),
        (200, AS_JSON, JSON.replace("3600", "\"3600.0\"").into()),
        (200, AS_JSON, JSON.replace("3600", "3600.7").into()),
        (200, AS_JSON, JSON.replace("3600", "\" 3.6e3 \"").into()),
        (200, AS_FORM, FORM.replace("expires_in", "expires").into()),
    ]
}

fn answering((status, kind, body): Answer) -> impl FnOnce(Fault) -> Fault {
    move |fault| fault.answer(status).header("content-type", kind).body(body)
}

async fn assert_kept(bench: &Bench, user: &User<'_>, what: &str) {
    let lent = bench.lend(user, LONG).await.unwrap_or_else(|status| panic!("{what}: {status:?}"));
    assert_eq!((lent.source(), lent.access_token.as_str()), (TokenSource::Renewed, "at"), "{what}");
    let tokens = bench.record(user).await.tokens.expect("they are stored before anybody gets them");
    assert_eq!(tokens.refresh.map(|token| token.expose().to_owned()).as_deref(), Some("rt2"), "{what}");
    let life = tokens.expires_at.and_then(|end| end.duration_since(tokens.obtained_at).ok());
    assert_eq!(life.map(|life| life.as_secs()), Some(3600), "{what}");
}

#[tokio::test]
async fn tokens_are_kept_and_lent_however_they_are_dressed() {
    let mut bench = Bench::start().await;
    for kind in [&GENERIC, &GITHUB, &BITBUCKET, &GOOGLE, &WORK] {
        for answer in successes() {
            let what = format!("{} {} {} {}", kind.strategy, answer.0, answer.1, answer.2.escape_ascii());
            let user = bench.user(kind);
            bench.script(kind, answering(answer));
            assert_kept(&bench, &user, &what).await;
        }
    }
}

/// In these words each of the providers says that a grant is dead.
fn word(kind: &Kind) -> &'static str {
    if kind.strategy == "github" { "bad_refresh_token" } else { "invalid_grant" }
}

fn deaths(word: &str) -> Vec<Answer> {
    let json = format!(r#"{{"error":"{word}"}}"#);
    let latin = [json.trim_end_matches('}').as_bytes(), b",\"error_description\":\"ung\xfcltig\"}"].concat();
    vec![
        (200, AS_JSON, json.clone().into()),
        (401, "text/plain", json.clone().into()),
        (400, AS_JSON, [b"\xef\xbb\xbf", json.as_bytes()].concat()),
        (400, AS_JSON, latin),
        (400, AS_JSON, format!(r#"{{"error":"x",{}"#, &json[1..]).into()),
        (400, AS_JSON, json.replace('}', ",\"error_description\":\"no\nmore\"}").into()),
        (400, AS_FORM, format!("error={word}&error_description=ung%FCltig+").into()),
        (400, "text/html", format!("\u{feff}error={word}\n").into()),
    ]
}

#[tokio::test]
async fn a_dead_grant_is_known_however_the_word_is_dressed() {
    let mut bench = Bench::start().await;
    for kind in [&GENERIC, &GITHUB, &BITBUCKET, &GOOGLE, &WORK] {
        for answer in deaths(word(kind)) {
            let what = format!("{} {} {}", kind.strategy, answer.0, answer.2.escape_ascii());
            let user = bench.user(kind);
            bench.script(kind, answering(answer));
            let outcome = bench.lend(&user, LONG).await;
            assert!(outcome.is_err(), "{what}");
            assert_error(outcome, Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
            let failure = bench.record(&user).await.failure.expect("it is remembered");
            assert_eq!((failure.reason.as_str(), failure.permanent), (word(kind), true), "{what}");
        }
    }
}

#[tokio::test]
async fn a_page_is_neither_a_token_nor_a_death() {
    let mut bench = Bench::start().await;
    for body in [
        "<a href='/login?x=y&access_token=at&error=invalid_grant&z=1'>Log in</a>",
        "Log in: https://proxy.example/?x=y&access_token=at&error=invalid_grant",
        r#"[{"access_token":"at","error":"invalid_grant"}]"#,
        r#"{"access_token":"at","refresh_token":"rt"#,
        "{}",
    ] {
        for status in [200, 203, 400] {
            let user = bench.user(&GENERIC);
            bench.script(&GENERIC, answering((status, "text/html", body.into())));
            assert_error(bench.lend(&user, LONG).await, Code::Unavailable, "RENEWAL_FAILED");
            assert!(!bench.record(&user).await.failure.expect("it is remembered").permanent, "{body}");
        }
    }
}

#[tokio::test]
async fn tokens_of_another_type_cost_no_grant() {
    let mut bench = Bench::start().await;
    let user = bench.user(&GENERIC);
    bench.script(&GENERIC, answering((200, AS_JSON, JSON.replace("Bearer", "DPoP").into())));
    let _ = bench.lend(&user, LONG).await;
    let refresh = bench.record(&user).await.tokens.and_then(|tokens| tokens.refresh);
    assert_eq!(refresh.map(|token| token.expose().to_owned()).as_deref(), Some("rt2"));
}

#[tokio::test]
async fn an_inspection_is_understood_however_it_is_dressed() {
    let mut bench = Bench::start().await;
    let user = bench.user(&GENERIC);
    for (body, kind) in [
        ("\u{feff}{\"active\":true}", AS_JSON),
        ("{\"active\":true,\"active\":true}\n", AS_JSON),
        ("{\"active\":true,\"username\":\"\\ud800\",\"x\":1e999}", "text/html"),
        ("active=true&scope=a+b", AS_FORM),
    ] {
        bench.world.sandbox.faults().script(
            Fault::on(GENERIC.host).path("/oauth2/introspect").header("content-type", kind).body(body),
        );
        assert!(bench.world.inspect(user.selector()).await.unwrap().active, "{body}");
    }
    for body in ["\u{feff}{\"active\":false}", "active=false", "{\"active\":true,\"active\":false}"] {
        let user = bench.user(&GENERIC);
        let fault = Fault::on(GENERIC.host).path("/oauth2/introspect").answer(200).body(body);
        bench.world.sandbox.faults().script(fault);
        assert!(!bench.world.inspect(user.selector()).await.unwrap().active, "{body}");
    }
    assert_eq!(bench.world.sandbox.faults().pending(), 0);
}

#[tokio::test]
async fn a_revocation_is_done_when_the_status_says_so() {
    let mut bench = Bench::start().await;
    let latin = b"{\"error_description\":\"ung\xfcltig\",\"error\":\"invalid_grant\"}";
    for (status, body) in [
        (200, b"<html>ok</html>".to_vec()),
        (200, b"{".to_vec()),
        (202, Vec::new()),
        (204, Vec::new()),
        // There is nothing left to revoke.
        (400, latin.to_vec()),
        (400, b"error=invalid_grant".to_vec()),
        (400, b"\xef\xbb\xbf{\"error\":\"x\",\"error\":\"invalid_grant\"}".to_vec()),
    ] {
        let what = format!("{status} {}", body.escape_ascii());
        let user = bench.user(&GENERIC);
        let fault = Fault::on(GENERIC.host).path("/oauth2/revoke").always().answer(status).body(body);
        bench.world.sandbox.faults().clear();
        bench.world.sandbox.faults().script(fault);
        bench.world.revoke(user.selector()).await.unwrap_or_else(|status| panic!("{what}: {status:?}"));
        assert_error(bench.lend(&user, 0).await, Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
    }
}
