//! The table: every fault at every provider.

use std::time::{Duration, SystemTime};

use idp_token_sandbox::Fault;
use idp_token_service::service::pb::{ErrorReason, GetIdentityTokenResponse, TokenSource};
use idp_token_testkit::{assert_error, retry_after};
use serde_json::json;
use tonic::{Code, Status};

use super::{
    bench::{Bench, LONG, SHORT, User},
    kinds::{BITBUCKET, FACEBOOK, GENERIC, GITHUB, GOOGLE, Kind, PERSONAL, WORK},
};

/// What a fault comes to, by the word that the store keeps of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// The identity rests for some seconds, and is renewed then.
    Rests(&'static str),
    /// The same, for as long as the provider asks: [`WISH`].
    Waits(&'static str),
    /// The request was carried out and its answer is lost: it rests, and then the provider decides.
    Lost(&'static str),
    /// The grant has ended.
    Dead(&'static str),
}

use Expected::{Dead, Lost, Rests, Waits};

/// How long the first rest is at most.
const FIRST_REST: Duration = Duration::from_secs(5);

/// How long a provider asks to wait.
const WISH: Duration = Duration::from_secs(120);

/// How a fault is made.
type Make = fn(Fault) -> Fault;

/// Of these no answer says anything about the grant.
const FAULTS: [(&str, Make, Expected); 13] = [
    ("408", |fault| fault.answer(408), Rests("unavailable")),
    ("425", |fault| fault.answer(425), Rests("unavailable")),
    ("429", |fault| fault.answer(429), Rests("rate_limited")),
    ("429 in seconds", |fault| fault.answer(429).header("retry-after", "120"), Waits("rate_limited")),
    ("429 with a date", |fault| fault.answer(429).header("retry-after", &date()), Waits("rate_limited")),
    ("500", |fault| fault.answer(500), Rests("unavailable")),
    ("503 in seconds", |fault| fault.answer(503).header("retry-after", "120"), Waits("unavailable")),
    ("an empty success", |fault| fault.empty(), Rests("unavailable")),
    ("a page", |fault| fault.garbage(), Rests("unavailable")),
    ("a redirect", |fault| fault.answer(302).header("location", "/login"), Rests("unavailable")),
    ("half an answer", |fault| fault.body(r#"{"access_token":"a","#), Rests("unavailable")),
    ("a broken connection", |fault| fault.cut(), Rests("connection_broken")),
    ("a broken body", |fault| fault.cut_body(10), Lost("connection_broken")),
];

fn date() -> String {
    httpdate::fmt_http_date(SystemTime::now() + WISH)
}

#[track_caller]
fn assert_refused(what: &str, outcome: Result<GetIdentityTokenResponse, Status>, expected: Expected) {
    let (code, reason) = match expected {
        Dead(_) => (Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED"),
        _ => (Code::Unavailable, "RENEWAL_FAILED"),
    };
    let outcome = outcome.map_err(|status| {
        assert_eq!(status.code(), code, "{what}: {status:?}");
        status
    });
    let details = assert_error(outcome, code, reason);
    let wait = retry_after(&details);
    let is_right = match expected {
        Dead(_) => wait.is_none(),
        Rests(_) | Lost(_) => wait.is_some_and(|wait| wait <= FIRST_REST),
        Waits(_) => wait.is_some_and(|wait| wait > WISH / 2 && wait <= WISH),
    };
    assert!(is_right, "{what}: {wait:?}");
    assert_eq!(details.help().is_some(), matches!(expected, Dead(_)), "{what}");
}

/// What holds right after `outcome`, the first answer to a failure.
async fn assert_kept(
    bench: &Bench,
    user: &User<'_>,
    what: &str,
    expected: Expected,
    outcome: Result<GetIdentityTokenResponse, Status>,
) {
    let kind = user.kind;
    assert_refused(what, outcome, expected);
    assert_refused(what, bench.lend(user, LONG).await, expected);
    assert_eq!(bench.requests(kind).len(), 1, "{what}: an identity rests after a failure");

    let record = bench.record(user).await;
    let failure = record.failure.expect("a failure is remembered");
    let (reason, permanent) = match expected {
        Rests(reason) | Waits(reason) | Lost(reason) => (reason, false),
        Dead(code) => (code, true),
    };
    assert_eq!((failure.reason.as_str(), failure.permanent, failure.count), (reason, permanent, 1), "{what}");
    assert!(record.tokens.is_none() && !record.revoked, "{what}");

    let short = bench.lend(user, SHORT).await;
    if expected == Dead("190") {
        // Facebook speaks of the access token itself.
        return assert_refused(what, short, expected);
    }
    let short = short.unwrap_or_else(|status| panic!("{what}: {status:?}"));
    let identity = short.identity.unwrap();
    let trouble = if permanent { ErrorReason::ReauthenticationRequired } else { ErrorReason::RenewalFailed };
    assert_eq!((&short.access_token, identity.last_renewal_error()), (&bench.old(user), trouble), "{what}");
    assert_eq!(identity.renewable, !permanent, "{what}");
}

/// What holds once the rest is over.
async fn assert_after(bench: &mut Bench, user: &User<'_>, what: &str, expected: Expected) {
    let rest = if matches!(expected, Waits(_)) { WISH } else { FIRST_REST };
    bench.world.pass(rest).await;
    let outcome = bench.lend(user, LONG).await;
    let requests = bench.requests(user.kind).len();
    if matches!(expected, Dead(_)) {
        assert_refused(what, outcome, expected);
        return assert_eq!(requests, 1, "{what}: what the provider ended is over");
    }
    assert_eq!(requests, 2, "{what}");
    if matches!(expected, Lost(_)) && user.kind.rotates {
        return assert_refused(what, outcome, Dead(""));
    }
    let lent = outcome.unwrap_or_else(|status| panic!("{what}: {status:?}"));
    assert_eq!(lent.source(), TokenSource::Renewed, "{what}");
    assert_eq!(lent.identity.unwrap().last_renewal_error(), ErrorReason::Unspecified, "{what}");
    assert_eq!(bench.record(user).await.failure, None, "{what}");
}

async fn take(
    bench: &mut Bench,
    kind: &Kind,
    what: &str,
    expected: Expected,
    fault: impl FnOnce(Fault) -> Fault,
) {
    let what = format!("{} {what}", kind.strategy);
    let user = bench.user(kind);
    bench.script(kind, fault);
    let outcome = bench.lend(&user, LONG).await;
    assert_kept(bench, &user, &what, expected, outcome).await;
    assert_after(bench, &user, &what, expected).await;
}

/// Every failure, at one provider.
async fn failures(kind: &Kind) {
    let mut bench = Bench::start().await;
    for (what, make, expected) in FAULTS {
        take(&mut bench, kind, what, expected, make).await;
    }
    for (status, body, expected) in kind.words {
        let answer =
            |fault: Fault| fault.answer(*status).header("content-type", "application/json").body(*body);
        take(&mut bench, kind, body, *expected, answer).await;
    }
    let what = format!("{} does not answer", kind.strategy);
    let user = bench.user(kind);
    bench.script(kind, Fault::hang);
    let outcome = bench.lend_in_vain(&user).await;
    assert_kept(&bench, &user, &what, Rests("timeout"), outcome).await;
    assert_after(&mut bench, &user, &what, Rests("timeout")).await;
}

/// Successes that are odd: what is changed in the answer, how long the token lives then, and its scopes.
type Oddity = (&'static str, serde_json::Value, Option<u64>, Option<&'static [&'static str]>);

fn oddities() -> [Oddity; 9] {
    [
        ("as it is", json!({}), Some(0), None),
        ("no lifetime", json!({"expires_in": null}), None, None),
        ("text for a lifetime", json!({"expires_in": "7200"}), Some(7200), None),
        ("words for a lifetime", json!({"expires_in": "soon"}), None, None),
        ("a negative lifetime", json!({"expires_in": -1}), None, None),
        ("a huge lifetime", json!({"expires_in": u64::MAX}), None, None),
        ("no refresh token", json!({"refresh_token": null}), Some(0), None),
        ("an empty refresh token", json!({"refresh_token": ""}), Some(0), None),
        ("other scopes", json!({"scope": "other and more"}), Some(0), Some(&["other", "and", "more"])),
    ]
}

/// Every odd success, at one provider: the token is handed out, and the next renewal is made from what came with it.
async fn successes(kind: &Kind) {
    let mut bench = Bench::start().await;
    if kind.rotates {
        bench.prove(kind).await;
    }
    for (what, patch, lifetime, scopes) in oddities() {
        let what = format!("{} {what}", kind.strategy);
        let user = bench.user(kind);
        bench.script(kind, |fault| fault.amend(patch.clone()));
        let lent = bench.lend(&user, LONG).await.unwrap_or_else(|status| panic!("{what}: {status:?}"));
        assert_eq!(lent.source(), TokenSource::Renewed, "{what}");
        assert!(bench.world.sandbox.is_alive(&lent.access_token), "{what}");
        let record = bench.record(&user).await;
        let tokens = record.tokens.expect("the tokens are stored before anybody gets them");
        assert_eq!((tokens.access.expose(), record.failure), (lent.access_token.as_str(), None), "{what}");
        let life = tokens.expires_at.map(|end| end.duration_since(tokens.obtained_at).unwrap().as_secs());
        assert_eq!(life.is_some(), lifetime.is_some(), "{what}");
        assert!(lifetime.is_none_or(|expected| expected == 0 || life == Some(expected)), "{what}: {life:?}");
        assert!(scopes.is_none_or(|expected| lent.scopes == expected), "{what}: {:?}", lent.scopes);
        if kind.refreshes {
            let is_told = patch.get("refresh_token").is_none();
            assert_renewed_again(&mut bench, &user, &what, &lent.fingerprint, is_told).await;
        }
    }
}

/// `is_told` is whether the provider's answer had its refresh token, if it sends one.
async fn assert_renewed_again(bench: &mut Bench, user: &User<'_>, what: &str, rejected: &str, is_told: bool) {
    let stored = bench.record(user).await.tokens.unwrap().refresh.expect("a refresh token is never lost");
    let first = bench.world.sandbox.refresh_token(&user.id, user.kind.connection).unwrap();
    assert_eq!(stored.expose() != first, is_told && user.kind.strategy != "google-oauth2", "{what}");
    // Not at once: a token that was renewed just now is not renewed again. And not where it still lives:
    // others hold it.
    bench.world.pass(Duration::from_secs(31)).await;
    bench.world.sandbox.expire_all(&user.id, user.kind.connection).unwrap();
    let again = bench.lend_instead(user, rejected).await;
    assert_eq!(bench.sent(user.kind), [first, stored.expose().to_owned()], "{what}");
    assert_eq!(again.is_ok(), is_told || !user.kind.rotates, "{what}: {again:?}");
}

macro_rules! at_every_provider {
    ($($name:ident: $kind:expr,)*) => {
        mod a_failure_is_told_kept_in_mind_and_mended {
            use super::*;
            $(#[tokio::test] async fn $name() { failures(&$kind).await; })*
        }
        mod an_odd_success_is_a_success_and_the_next_renewal_works {
            use super::*;
            $(#[tokio::test] async fn $name() { successes(&$kind).await; })*
        }
    };
}

at_every_provider![
    google: GOOGLE,
    github: GITHUB,
    bitbucket: BITBUCKET,
    entra: WORK,
    personal_microsoft: PERSONAL,
    generic: GENERIC,
    facebook: FACEBOOK,
];
