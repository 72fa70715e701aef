use std::time::SystemTime;

use http::Uri;

use super::*;
use crate::{
    cache::Loaded,
    identity::{Identity, IdentityKey, Profile, UserId},
    provider::{self, Settings},
    secret::Secret,
    store::{Record, RenewedTokens},
    token::{AccessToken, ExpiryBasis},
    tokens::Selected,
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
    let adapter = provider::build(strategy, settings).expect("a known strategy");
    let transport = Transport::new().expect("the machine has CA certificates");
    ProviderClient::new(strategy.to_owned(), strategy.to_owned(), adapter, transport)
}

/// An identity whose profile was read at `read` and shows `token`.
fn snapshot(token: &Arc<StoredToken>, read: Instant, client: Option<ProviderClient>) -> IdentitySnapshot {
    let user_id = UserId::parse("google-oauth2|1".to_owned(), "user_id").expect("a user id");
    let key = IdentityKey { connection: "google-oauth2".to_owned(), account_id: "1".to_owned() };
    let identity = Identity {
        provider: "google-oauth2".to_owned(),
        key: Arc::new(key),
        is_social: true,
        token: Some(Arc::clone(token)),
        in_vault: false,
    };
    let profile = Loaded { value: Arc::new(Profile { user_id, identities: vec![identity] }), began: read };
    IdentitySnapshot {
        selected: Selected::at(&profile, 0),
        token: Arc::clone(token),
        client: client.map(Arc::new),
    }
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
        token_type: TokenType::Bearer,
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
    let retry_at = SystemTime::now() + Duration::from_secs(rest);
    Some(Failure { count: 1, retry_at, reason: "unavailable".to_owned(), permanent })
}

fn requirement(min_validity: u64, rejected: Option<&str>) -> Requirement {
    Requirement { min_validity: Duration::from_secs(min_validity), rejected: rejected.map(Fingerprint::of) }
}

/// The plan in a word, with what matters of its details.
fn word(plan: Result<Plan, Blocker>) -> String {
    match plan {
        Ok(Plan::Use) => "use".to_owned(),
        Ok(Plan::Renew) => "renew".to_owned(),
        Err(Blocker::BackingOff { reason, .. }) => format!("backing off: {reason}"),
        Err(Blocker::NotConfigured { missing }) => format!("missing: {}", missing.join(" ")),
        Err(Blocker::NotDurable) => "not durable".to_owned(),
        Err(Blocker::NotBearer(token_type)) => format!("a {token_type} token"),
        Err(Blocker::NeverSoLong { .. }) => "never so long".to_owned(),
        Err(Blocker::Unusable(why)) => format!("{why:?}").split(' ').next().unwrap_or_default().to_owned(),
    }
}

fn plan(
    client: ProviderClient,
    durable: bool,
    profile: &Arc<StoredToken>,
    record: Record,
    requirement: &Requirement,
) -> String {
    let stored = StoredState::new(None, 1, record, Instant::now());
    let snapshot = snapshot(profile, Instant::now(), Some(client));
    let status = TokenStatus::of(&snapshot, Some(&stored), durable).expect("the profile is new");
    word(status.plan(requirement))
}

#[tokio::test]
async fn what_can_be_done_follows_from_the_token_and_what_is_known_of_it() {
    let google = || client("google-oauth2", false);
    let dead = || profile(0, true);
    let none = Record::default;
    let unrefreshed = Record { failure: failed(60, false), ..record(true, None) };
    let over = Record { failure: failed(0, true), ..record(true, None) };
    let revoked = Record { revoked: true, ..record(true, None) };
    let revoked_dead = revoked.clone();
    let refused = Record { refused: vec![Fingerprint::of("login")], ..none() };
    for (what, profile, record, requirement, expected) in [
        ("a live token", profile(HOUR, true), none(), requirement(60, None), "use"),
        ("a dead one", dead(), none(), requirement(60, None), "renew"),
        ("a short one", profile(30, true), none(), requirement(60, None), "renew"),
        ("a refused one", profile(HOUR, true), none(), requirement(60, Some("login")), "renew"),
        ("another one refused", profile(HOUR, true), none(), requirement(60, Some("other")), "use"),
        ("one refused before", profile(HOUR, true), refused, requirement(60, None), "renew"),
        ("dead, and no refresh token", profile(0, false), none(), requirement(60, None), "Expired"),
        ("short, and no refresh token", profile(30, false), none(), requirement(60, None), "TooShort"),
        (
            "refused, and no refresh token",
            profile(HOUR, false),
            none(),
            requirement(60, Some("login")),
            "Refused",
        ),
        ("resting", dead(), unrefreshed.clone(), requirement(60, None), "backing off: unavailable"),
        ("resting, but alive", profile(HOUR, true), unrefreshed.clone(), requirement(60, None), "use"),
        ("over", dead(), over.clone(), requirement(60, None), "GrantDead"),
        ("over, but alive", profile(HOUR, true), over, requirement(60, None), "use"),
        ("revoked", profile(HOUR, true), revoked, requirement(0, None), "Revoked"),
        ("revoked, though dead and refreshable", dead(), revoked_dead, requirement(0, None), "Revoked"),
        ("renewed", dead(), record(true, Some(renewed(600, 3000))), requirement(60, None), "use"),
        (
            "renewed, and dead again",
            dead(),
            record(true, Some(renewed(4000, 0))),
            requirement(60, None),
            "renew",
        ),
        (
            "never so long",
            dead(),
            record(true, Some(renewed(600, 3000))),
            requirement(3601, None),
            "never so long",
        ),
        ("long, later", dead(), record(true, Some(renewed(600, 3000))), requirement(3500, None), "renew"),
        (
            "long, at once",
            dead(),
            record(true, Some(renewed(5, 3595))),
            requirement(3599, None),
            "backing off: renewed_just_now",
        ),
        (
            "a newer login",
            profile(HOUR, true),
            record(false, Some(renewed(600, 3000))),
            requirement(60, None),
            "use",
        ),
        (
            "a newer login, dead",
            dead(),
            record(false, Some(renewed(600, 3000))),
            requirement(60, None),
            "renew",
        ),
        (
            "a failure before the login",
            dead(),
            Record { failure: failed(60, true), ..record(false, None) },
            requirement(60, None),
            "renew",
        ),
    ] {
        assert_eq!(plan(google(), false, &profile, record, &requirement), expected, "{what}");
    }
}

#[tokio::test]
async fn each_provider_is_renewed_where_it_can_be_and_says_what_is_missing() {
    let facebook_keys = "missing: providers.facebook.client_id providers.facebook.client_secret";
    let google_keys = "missing: providers.google-oauth2.client_id providers.google-oauth2.client_secret";
    for (strategy, bare, durable, left, expected) in [
        ("google-oauth2", false, false, 0, "renew"),
        ("google-oauth2", true, false, 0, google_keys),
        ("bitbucket", false, false, 0, "not durable"),
        ("bitbucket", false, true, 0, "renew"),
        ("github", false, false, 0, "not durable"),
        ("github", false, true, 0, "renew"),
        ("oauth2", false, false, 0, "not durable"),
        ("oauth2", false, true, 0, "renew"),
        ("waad", false, false, 0, "renew"),
        // Once dead, an access token cannot be exchanged for another.
        ("facebook", false, true, 0, "Expired"),
        ("facebook", false, true, 30, "renew"),
        ("facebook", true, true, 30, facebook_keys),
    ] {
        let client = client(strategy, bare);
        let plan = plan(client, durable, &profile(left, true), Record::default(), &requirement(60, None));
        assert_eq!(plan, expected, "{strategy} {bare} {durable}");
    }
    let snapshot = snapshot(&profile(0, true), Instant::now(), None);
    let status = TokenStatus::of(&snapshot, None, true).expect("nothing else is known");
    assert_eq!(word(status.plan(&requirement(60, None))), "Expired", "without an adapter");
}

#[tokio::test]
async fn a_profile_that_was_read_before_the_record_was_known_cannot_tell_which_is_newer() {
    let early = Instant::now();
    let since = early + Duration::from_secs(1);
    let [early, late] = [early, since].map(|read| snapshot(&profile(HOUR, true), read, None));
    let other = StoredState::new(None, 7, record(false, Some(renewed(600, 3000))), since);
    assert_eq!(TokenStatus::of(&early, Some(&other), true).err(), Some(StaleProfile { since }));
    assert!(TokenStatus::of(&late, Some(&other), true).is_ok());
    let own = StoredState::new(None, 7, record(true, Some(renewed(600, 3000))), since);
    assert!(TokenStatus::of(&early, Some(&own), true).is_ok());
    let nothing = StoredState::new(None, 0, Record::default(), since);
    assert!(TokenStatus::of(&early, Some(&nothing), true).is_ok());
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
        let stored = StoredState::new(None, 1, record, Instant::now());
        let snapshot = snapshot(&profile(0, own), Instant::now(), None);
        let status = TokenStatus::of(&snapshot, Some(&stored), true).expect("the profile is new");
        assert_eq!(status.refresh_token(rotates).map(RefreshToken::expose), expected, "{what}");
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
        let stored = StoredState::new(None, 1, record, Instant::now());
        let snapshot = snapshot(&token, Instant::now(), Some(client(strategy, false)));
        let status = TokenStatus::of(&snapshot, Some(&stored), false).expect("the profile is new");
        assert_eq!(status.is_due(|| jitter), expected, "{what}");
    }
}
