use std::time::SystemTime;

use http::Uri;

use super::*;
use crate::{
    provider::{self, Settings},
    secret::Secret,
    store::{Record, RenewedTokens},
    token::{AccessToken, Expiry, ExpiryBasis},
    transport::Transport,
};

const HOUR: u64 = 3600;

/// A provider whose application is configured; `bare` ones lack that.
fn client(strategy: &str, bare: bool) -> ProviderClient {
    let settings = Settings {
        client_id: (!bare).then(|| "client".to_owned()),
        client_secret: (!bare).then(|| Arc::new(Secret::fixed("secret"))),
        token_url: Some(Uri::from_static("https://id.example/token")),
        hosts: vec!["api.example".to_owned()],
        ..Settings::default()
    };
    let settings =
        if strategy == "oauth2" { settings } else { Settings { token_url: None, hosts: vec![], ..settings } };
    let adapter = provider::build(strategy, settings).expect("a known strategy").into();
    let transport = Transport::new().expect("the machine has CA certificates");
    ProviderClient { name: strategy.to_owned(), adapter, transport }
}

/// A token of the profile that lives for so many seconds more.
fn profile(left: u64, refresh: bool) -> Arc<StoredToken> {
    let expiry = Expiry::at(SystemTime::now() + Duration::from_secs(left), ExpiryBasis::LastLogin);
    let refresh = refresh.then(|| RefreshToken::new("refresh-of-login"));
    Arc::new(StoredToken::of_profile(AccessToken::new("login"), refresh, Some(expiry)))
}

/// Tokens that were renewed `age` seconds ago and live for `left` seconds more.
fn renewed(age: u64, left: u64) -> RenewedTokens {
    let now = SystemTime::now();
    RenewedTokens {
        access: AccessToken::new("renewed"),
        refresh: Some(RefreshToken::new("refresh-renewed")),
        obtained_at: now - Duration::from_secs(age),
        expires_at: Some(now + Duration::from_secs(left)),
        scopes: Vec::new(),
    }
}

/// What is known of the profile's login, or of another one.
fn record(descends: bool, tokens: Option<RenewedTokens>) -> Record {
    let origin = if descends { "login" } else { "earlier login" };
    Record { tokens, descends_from: Some(Fingerprint::of(origin)), ..Record::default() }
}

fn failed(rest: u64, permanent: bool) -> Option<Failure> {
    let rest_until = SystemTime::now() + Duration::from_secs(rest);
    Some(Failure { count: 1, rest_until, reason: "unavailable".to_owned(), permanent })
}

fn wish(min_validity: u64, rejected: Option<&str>) -> Wish {
    Wish { min_validity: Duration::from_secs(min_validity), rejected: rejected.map(Fingerprint::of) }
}

/// The outlook in a word, with what matters of its details.
fn word(outlook: &Outlook) -> String {
    match outlook {
        Outlook::Live => "live".to_owned(),
        Outlook::Renewable => "renewable".to_owned(),
        Outlook::Resting { reason, .. } => format!("resting: {reason}"),
        Outlook::NotConfigured { missing } => format!("missing: {}", missing.join(" ")),
        Outlook::NotDurable => "not durable".to_owned(),
        Outlook::NeverSoLong { .. } => "never so long".to_owned(),
        Outlook::Over(lifeless) => format!("{lifeless:?}").split(' ').next().unwrap_or_default().to_owned(),
    }
}

fn outlook(
    client: &ProviderClient,
    durable: bool,
    profile: &Arc<StoredToken>,
    record: Record,
    wish: &Wish,
) -> String {
    let known = Known::new(1, record, Instant::now());
    let standing = Standing::of(profile, Instant::now(), Some(&known)).expect("the profile is new");
    word(&standing.outlook(wish, Some(client), durable))
}

#[tokio::test]
async fn what_can_be_done_follows_from_the_token_and_what_is_known_of_it() {
    let google = client("google-oauth2", false);
    let dead = || profile(0, true);
    let none = Record::default;
    let unrefreshed = Record { failure: failed(60, false), ..record(true, None) };
    let over = Record { failure: failed(0, true), ..record(true, None) };
    let revoked = Record { revoked: true, ..record(true, None) };
    let revoked_dead = revoked.clone();
    let refused = Record { refused: vec![Fingerprint::of("login")], ..none() };
    for (what, profile, record, wish, expected) in [
        ("a live token", profile(HOUR, true), none(), wish(60, None), "live"),
        ("a dead one", dead(), none(), wish(60, None), "renewable"),
        ("a short one", profile(30, true), none(), wish(60, None), "renewable"),
        ("a refused one", profile(HOUR, true), none(), wish(60, Some("login")), "renewable"),
        ("another one refused", profile(HOUR, true), none(), wish(60, Some("other")), "live"),
        ("one refused before", profile(HOUR, true), refused, wish(60, None), "renewable"),
        ("dead, and no refresh token", profile(0, false), none(), wish(60, None), "Expired"),
        ("short, and no refresh token", profile(30, false), none(), wish(60, None), "TooShort"),
        ("refused, and no refresh token", profile(HOUR, false), none(), wish(60, Some("login")), "Refused"),
        ("resting", dead(), unrefreshed.clone(), wish(60, None), "resting: unavailable"),
        ("resting, but alive", profile(HOUR, true), unrefreshed.clone(), wish(60, None), "live"),
        ("over", dead(), over.clone(), wish(60, None), "GrantDead"),
        ("over, but alive", profile(HOUR, true), over, wish(60, None), "live"),
        ("revoked", profile(HOUR, true), revoked, wish(0, None), "Revoked"),
        ("revoked, though dead and refreshable", dead(), revoked_dead, wish(0, None), "Revoked"),
        ("renewed", dead(), record(true, Some(renewed(600, 3000))), wish(60, None), "live"),
        (
            "renewed, and dead again",
            dead(),
            record(true, Some(renewed(4000, 0))),
            wish(60, None),
            "renewable",
        ),
        ("never so long", dead(), record(true, Some(renewed(600, 3000))), wish(3601, None), "never so long"),
        ("long, later", dead(), record(true, Some(renewed(600, 3000))), wish(3500, None), "renewable"),
        (
            "long, at once",
            dead(),
            record(true, Some(renewed(5, 3595))),
            wish(3599, None),
            "resting: renewed_just_now",
        ),
        (
            "a newer login",
            profile(HOUR, true),
            record(false, Some(renewed(600, 3000))),
            wish(60, None),
            "live",
        ),
        ("a newer login, dead", dead(), record(false, Some(renewed(600, 3000))), wish(60, None), "renewable"),
        (
            "a failure before the login",
            dead(),
            Record { failure: failed(60, true), ..record(false, None) },
            wish(60, None),
            "renewable",
        ),
    ] {
        assert_eq!(outlook(&google, false, &profile, record, &wish), expected, "{what}");
    }
}

#[tokio::test]
async fn each_provider_is_renewed_where_it_can_be_and_says_what_is_missing() {
    let facebook_keys = "missing: providers.facebook.client_id providers.facebook.client_secret";
    let google_keys = "missing: providers.google-oauth2.client_id providers.google-oauth2.client_secret";
    for (strategy, bare, durable, left, expected) in [
        ("google-oauth2", false, false, 0, "renewable"),
        ("google-oauth2", true, false, 0, google_keys),
        ("bitbucket", false, false, 0, "not durable"),
        ("bitbucket", false, true, 0, "renewable"),
        ("github", false, false, 0, "not durable"),
        ("github", false, true, 0, "renewable"),
        ("oauth2", false, false, 0, "not durable"),
        ("oauth2", false, true, 0, "renewable"),
        ("waad", false, false, 0, "renewable"),
        // Once dead, an access token cannot be exchanged for another.
        ("facebook", false, true, 0, "Expired"),
        ("facebook", false, true, 30, "renewable"),
        ("facebook", true, true, 30, facebook_keys),
    ] {
        let client = client(strategy, bare);
        let outlook = outlook(&client, durable, &profile(left, true), Record::default(), &wish(60, None));
        assert_eq!(outlook, expected, "{strategy} {bare} {durable}");
    }
    let token = profile(0, true);
    let standing = Standing::of(&token, Instant::now(), None).expect("nothing else is known");
    assert_eq!(word(&standing.outlook(&wish(60, None), None, true)), "Expired", "without an adapter");
}

#[tokio::test]
async fn a_profile_that_was_read_before_the_record_was_known_cannot_tell_which_is_newer() {
    let (early, token) = (Instant::now(), profile(HOUR, true));
    let since = early + Duration::from_secs(1);
    let other = Known::new(7, record(false, Some(renewed(600, 3000))), since);
    assert_eq!(Standing::of(&token, early, Some(&other)).err(), Some(since));
    assert!(Standing::of(&token, since, Some(&other)).is_ok());
    let own = Known::new(7, record(true, Some(renewed(600, 3000))), since);
    assert!(Standing::of(&token, early, Some(&own)).is_ok());
    let nothing = Known::new(0, Record::default(), since);
    assert!(Standing::of(&token, early, Some(&nothing)).is_ok());
}

#[tokio::test]
async fn a_refresh_token_of_an_earlier_login_serves_where_it_does_not_die_at_use() {
    let spare = Record { spare: Some(RefreshToken::new("spare")), ..record(false, None) };
    let earlier = record(false, Some(renewed(600, 3000)));
    for (what, own, record, rotates, expected) in [
        ("its own", true, earlier.clone(), false, Some("refresh-of-login")),
        ("that of the login before", false, earlier.clone(), false, Some("refresh-renewed")),
        ("that of any login before", false, spare.clone(), false, Some("spare")),
        ("none that may be dead", false, earlier, true, None),
        ("nor a spare one", false, spare, true, None),
    ] {
        let token = profile(0, own);
        let known = Known::new(1, record, Instant::now());
        let standing = Standing::of(&token, Instant::now(), Some(&known)).expect("the profile is new");
        assert_eq!(standing.refresh(rotates).map(RefreshToken::expose), expected, "{what}");
    }
}

#[tokio::test]
async fn tokens_in_use_are_renewed_ahead_of_their_end_but_not_all_at_the_same_moment() {
    let day = 24 * HOUR;
    for (what, strategy, token, record, jitter, expected) in [
        ("long before", "google-oauth2", profile(301, true), Record::default(), 1.0, false),
        ("five minutes before", "google-oauth2", profile(299, true), Record::default(), 1.0, true),
        ("a later replica", "google-oauth2", profile(299, true), Record::default(), 0.0, false),
        ("all replicas", "google-oauth2", profile(149, true), Record::default(), 0.0, true),
        ("no refresh token", "google-oauth2", profile(100, false), Record::default(), 1.0, false),
        (
            "resting",
            "google-oauth2",
            profile(100, true),
            Record { failure: failed(60, false), ..record(true, None) },
            1.0,
            false,
        ),
        (
            "revoked",
            "google-oauth2",
            profile(100, true),
            Record { revoked: true, ..record(true, None) },
            1.0,
            false,
        ),
        ("a short life", "google-oauth2", profile(0, true), record(true, Some(renewed(60, 240))), 1.0, false),
        (
            "the end of a short life",
            "google-oauth2",
            profile(0, true),
            record(true, Some(renewed(245, 55))),
            1.0,
            true,
        ),
        ("only a live one can be", "facebook", profile(9 * day, false), Record::default(), 1.0, true),
        ("but not so early", "facebook", profile(11 * day, false), Record::default(), 1.0, false),
    ] {
        let known = Known::new(1, record, Instant::now());
        let standing = Standing::of(&token, Instant::now(), Some(&known)).expect("the profile is new");
        assert_eq!(standing.is_due(&client(strategy, false), false, || jitter), expected, "{what}");
    }
}
