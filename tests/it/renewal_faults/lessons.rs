//! What must not happen, and has happened to others.

use std::time::Duration;

use idp_token_sandbox::{Fault, Reuse};
use idp_token_service::service::pb::{ErrorReason, Identity, TokenSource, identity::State};
use idp_token_testkit::{assert_error, get};
use serde_json::json;
use tonic::Code;

use super::{
    bench::{Bench, LIFE, LONG, SHORT, User},
    kinds::{self, BITBUCKET, GENERIC, GITHUB, GOOGLE, Kind, PERSONAL, WORK},
};

/// More than is left of a token that has lived for ten minutes.
const LONGER: i64 = 3300;

/// Longer than the first rest.
const REST: Duration = Duration::from_secs(6);

/// Longer than any rest that the provider does not ask for.
const LONGEST_REST: Duration = Duration::from_secs(5 * 60);

/// Longer than a token that was renewed just now is left alone.
const SETTLED: Duration = Duration::from_secs(31);

/// Where a call of this kind goes, and what it asks for.
fn api(kind: &Kind) -> (&'static str, &'static str) {
    match kind.strategy {
        "google-oauth2" => ("www.googleapis.com", "/calendar/v3/users/me/calendarList"),
        "github" => ("api.github.com", "/user"),
        "facebook" => ("graph.facebook.com", "/v25.0/me"),
        "bitbucket" => ("api.bitbucket.org", "/2.0/user"),
        "oauth2" => ("api.crm.example", "/v1/me"),
        _ => ("graph.microsoft.com", "/v1.0/me"),
    }
}

async fn state(bench: &Bench, user: &User<'_>) -> State {
    bench.world.list(&user.id).await.unwrap().iter().map(Identity::state).next().unwrap()
}

#[tokio::test]
async fn an_expired_token_is_never_handed_out_nor_sent_however_its_renewal_fails() {
    let mut bench = Bench::start().await;
    for kind in kinds::ALL {
        let user = bench.user_since(kind, LIFE * 2);
        bench.script(kind, |fault| fault.answer(503).always());
        let (code, reason) = match kind.refreshes {
            true => (Code::Unavailable, "RENEWAL_FAILED"),
            false => (Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED"),
        };
        for _ in 0..2 {
            assert_error(bench.lend(&user, 0).await, code, reason);
            let (host, path) = api(kind);
            assert_error(bench.world.call(user.selector(), get(path)).await, code, reason);
            let sent =
                bench.world.sandbox.journal().to(host).iter().filter(|entry| entry.path == path).count();
            assert_eq!(sent, 0, "{}", kind.strategy);
            bench.world.pass(LONGEST_REST).await;
        }
    }
}

#[tokio::test]
async fn a_min_validity_is_never_undercut_by_what_a_renewal_brought() {
    let mut bench = Bench::start().await;
    for kind in [&GOOGLE, &GITHUB, &BITBUCKET, &WORK, &PERSONAL, &GENERIC] {
        let user = bench.user(kind);
        bench.script(kind, |fault| fault.amend(json!({"expires_in": 120})));
        let outcome = bench.lend(&user, LONG).await;
        assert_error(outcome, Code::InvalidArgument, "INVALID_FIELD");
        let lent = bench.lend(&user, SHORT).await.unwrap();
        assert_eq!(
            (lent.source(), bench.requests(kind).len()),
            (TokenSource::Renewed, 1),
            "{}",
            kind.strategy
        );
    }
}

#[tokio::test]
async fn no_row_of_passing_failures_destroys_a_grant() {
    let faults: [fn(Fault) -> Fault; 7] = [
        |fault| fault.answer(429),
        |fault| fault.empty(),
        |fault| fault.garbage(),
        |fault| fault.cut(),
        |fault| fault.answer(500).json(&json!({"error": "invalid_grant"})),
        |fault| fault.answer(408),
        |fault| fault.answer(503),
    ];
    let mut bench = Bench::start().await;
    for kind in kinds::ALL {
        // It lives as long as all this takes: Facebook's could not be exchanged otherwise.
        let user = bench.user_since(kind, Duration::from_secs(600));
        for (index, fault) in (1..).zip(faults) {
            bench.script(kind, fault);
            assert_error(bench.lend(&user, LONGER).await, Code::Unavailable, "RENEWAL_FAILED");
            assert_eq!(bench.record(&user).await.failure.map(|failure| failure.count), Some(index));
            assert_eq!(state(&bench, &user).await, State::Active, "{}", kind.strategy);
            bench.world.pass(LONGEST_REST).await;
        }
        let lent =
            bench.lend(&user, LONGER).await.unwrap_or_else(|status| panic!("{}: {status:?}", kind.strategy));
        assert_eq!(lent.source(), TokenSource::Renewed);
    }
    assert_eq!(bench.world.sandbox.reuse(), Reuse::default());
}

#[tokio::test]
async fn a_renewal_of_which_nobody_knows_the_outcome_never_ends_a_grant_by_our_own_word() {
    let mut bench = Bench::start().await;
    for kind in kinds::ALL {
        let user = bench.user(kind);
        bench.script(kind, |fault| fault.processed().hang());
        assert_error(bench.lend_in_vain(&user).await, Code::Unavailable, "RENEWAL_FAILED");
        let failure = bench.record(&user).await.failure.unwrap();
        assert_eq!((failure.reason.as_str(), failure.permanent), ("timeout", false));
        assert_eq!(state(&bench, &user).await, State::Active);

        bench.world.pass(REST).await;
        let outcome = bench.lend(&user, LONG).await;
        let requests = bench.requests(kind).len();
        assert_eq!(requests, 2, "{}: it is the provider that is asked: {outcome:?}", kind.strategy);
        if kind.rotates {
            assert_error(outcome, Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
        } else {
            assert_eq!(outcome.unwrap().source(), TokenSource::Renewed, "{}", kind.strategy);
        }
    }
}

#[tokio::test]
async fn a_good_renewal_is_never_thrown_away_for_a_lifetime_that_cannot_be_read() {
    let mut bench = Bench::start().await;
    for kind in kinds::ALL {
        let user = bench.user(kind);
        bench.script(kind, |fault| fault.amend(json!({"expires_in": {"seconds": 3600}})));
        let lent = bench.lend(&user, LONG).await.unwrap();
        assert_eq!(lent.identity.unwrap().expire_time, None, "{}", kind.strategy);
        let (_, path) = api(kind);
        assert_eq!(bench.world.call(user.selector(), get(path)).await.unwrap().status_code, 200);
        assert_eq!(bench.lend(&user, LONG).await.unwrap().access_token, lent.access_token);
        assert_eq!(bench.requests(kind).len(), 1, "{}", kind.strategy);
    }
}

#[tokio::test]
async fn a_kept_refresh_token_is_never_overwritten_with_nothing() {
    let mut bench = Bench::start().await;
    for kind in [&GOOGLE, &WORK, &PERSONAL] {
        let user = bench.user(kind);
        let first = bench.world.sandbox.refresh_token(&user.id, kind.connection).unwrap();
        bench.script(kind, |fault| fault.amend(json!({"refresh_token": null})).always());
        let mut last = bench.lend(&user, LONG).await.unwrap();
        for _ in 0..3 {
            let kept = bench.record(&user).await.tokens.unwrap().refresh.unwrap();
            assert_eq!(kept.expose(), first, "{}", kind.strategy);
            bench.world.pass(SETTLED).await;
            last = bench.lend_instead(&user, &last.fingerprint).await.unwrap();
        }
        assert_eq!(bench.sent(kind), vec![first; 4], "{}", kind.strategy);
    }
}

#[tokio::test]
async fn one_dead_connection_never_makes_a_storm_of_requests() {
    let mut bench = Bench::start().await;
    for kind in kinds::ALL {
        let user = bench.user(kind);
        bench.script(kind, |fault| fault.answer(503).always());
        for _ in 0..120 {
            bench.lend(&user, LONG).await.unwrap_err();
            bench.world.pass(Duration::from_secs(5)).await;
        }
        // In 10 minutes: at the least after 2.5, 5, 10, 20, 40, 80, 150 and 150 s.
        let requests = bench.requests(kind).len();
        assert!((3..=9).contains(&requests), "{}: {requests}", kind.strategy);
        let reads = bench.world.sandbox.journal().profile_reads();
        assert!(reads <= 30, "{}: {reads} profile reads", kind.strategy);
    }
}

#[tokio::test]
async fn a_grant_that_the_provider_ended_is_never_asked_for_again_until_the_user_logs_in() {
    let mut bench = Bench::start().await;
    for kind in kinds::ALL {
        let user = bench.user(kind);
        bench.script(kind, |fault| fault);
        bench.world.sandbox.revoke_token(&user.id, kind.connection).unwrap();
        for _ in 0..12 {
            let outcome = bench.lend(&user, LONG).await;
            assert_error(outcome, Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
            bench.world.pass(LONGEST_REST).await;
        }
        assert_eq!(bench.requests(kind).len(), 1, "{}", kind.strategy);
        let identities = bench.world.list(&user.id).await.unwrap();
        let troubles: Vec<_> = identities.iter().map(Identity::last_renewal_error).collect();
        assert_eq!(troubles, [ErrorReason::ReauthenticationRequired], "{}", kind.strategy);

        let new = bench.world.sandbox.log_in_with_consent(&user.id, kind.connection).unwrap();
        bench.world.pass(LONGEST_REST).await; // so that the profile is read again
        let lent = bench.lend(&user, LONG).await.unwrap();
        assert_eq!((lent.source(), lent.access_token), (TokenSource::Auth0Profile, new), "{}", kind.strategy);
    }
}

#[tokio::test]
async fn microsoft_is_never_asked_without_the_scopes_of_the_grant() {
    let mut bench = Bench::start().await;
    for kind in [&WORK, &PERSONAL] {
        let user = bench.user(kind);
        bench.script(kind, |fault| fault);
        let lent = bench.lend(&user, LONG).await.unwrap();
        let form: Vec<_> = url::form_urlencoded::parse(&bench.requests(kind)[0].body).into_owned().collect();
        let scope = form.iter().find(|(name, _)| name == "scope").map(|(_, value)| value.as_str());
        assert_eq!(scope, Some("https://graph.microsoft.com/.default offline_access"), "{}", kind.strategy);
        assert!(lent.scopes.iter().any(|scope| scope.ends_with("Mail.Read")), "{:?}", lent.scopes);
        let mail = bench.world.call(user.selector(), get("/v1.0/me/messages")).await.unwrap();
        assert_eq!(mail.status_code, 200, "the new token can do what the old one could");
    }
}

#[tokio::test]
async fn a_token_that_facebook_calls_dead_is_never_handed_out_though_auth0_believes_that_it_lives() {
    let kind = &kinds::FACEBOOK;
    let mut bench = Bench::start().await;
    let user = bench.user(kind);
    bench.script(kind, |fault| fault);
    bench.world.sandbox.expire_token(&user.id, kind.connection).unwrap();
    for seconds in [LONG, SHORT, 0] {
        let outcome = bench.lend(&user, seconds).await;
        assert_error(outcome, Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
    }
    assert_eq!(bench.requests(kind).len(), 1);
}
