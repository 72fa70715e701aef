use std::time::SystemTime;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// A token that lives, ends in a while, and can be renewed.
fn healthy(strategy: &str) -> Facts<'_> {
    Facts {
        strategy,
        active: true,
        not_known_by: None,
        scopes: &[],
        ends: true,
        expiry: Some(Expiry::at(SystemTime::now() + HOUR, ExpiryBasis::Provider)),
        failure: None,
        renewability: Renewability::WithRefreshToken,
    }
}

fn keys(keys: &[&str]) -> Renewability {
    Renewability::NotConfigured(keys.iter().map(|key| (*key).to_owned()).collect())
}

fn failure(reason: &str, permanent: bool) -> Failure {
    Failure { count: 3, rest_until: SystemTime::now(), reason: reason.to_owned(), permanent }
}

/// Each finding as its reason, who mends it, and its message.
fn told(facts: &Facts<'_>) -> Vec<(FindingReason, Mend, String)> {
    let problems = facts.problems().into_iter();
    problems.map(|Problem { reason, mend, message }| (reason, mend, message)).collect()
}

#[tokio::test]
async fn nothing_is_said_where_all_is_well() {
    let far = Some(Expiry::at(SystemTime::now() + 30 * 24 * HOUR, ExpiryBasis::UpperBound));
    let some = ["openid".to_owned(), "https://www.googleapis.com/auth/calendar".to_owned()];
    for (what, facts) in [
        ("renewable", healthy("google-oauth2")),
        ("dead, but renewable", Facts { active: false, ..healthy("google-oauth2") }),
        (
            "without an end",
            Facts {
                ends: false,
                expiry: None,
                renewability: Renewability::NoRefreshToken,
                ..healthy("github")
            },
        ),
        (
            "without an end or a client",
            Facts { ends: false, expiry: None, renewability: keys(&["a"]), ..healthy("github") },
        ),
        (
            "exchanged while it lives",
            Facts { renewability: Renewability::WhileActive, ..healthy("facebook") },
        ),
        (
            "not renewable, but for long",
            Facts { renewability: Renewability::Unsupported, expiry: far, ..healthy("sharepoint") },
        ),
        ("more than a login's scopes", Facts { scopes: &some, ..healthy("google-oauth2") }),
    ] {
        assert_eq!(told(&facts), [], "{what}");
    }
}

#[tokio::test]
async fn each_pain_has_its_words() {
    use FindingReason::{NotConfigured, ReauthenticationRequired, RenewalFailed, ScopeNotGranted};
    use Mend::{Login, OfflineLogin, Operator};
    let none = || Renewability::NoRefreshToken;
    let (over, rapt, busy, wrong) = (
        failure("invalid_grant", true),
        failure("invalid_rapt", true),
        failure("rate_limited", false),
        failure("invalid_client", false),
    );
    let over = Some((&over, Duration::ZERO));
    let login_only = ["openid".to_owned(), "email".to_owned()];
    let soon = Expiry::at(SystemTime::now() + HOUR, ExpiryBasis::UpperBound);
    let dead = |strategy| Facts {
        active: false,
        expiry: None,
        ends: false,
        renewability: none(),
        ..healthy(strategy)
    };
    for (facts, reason, mend, parts) in [
        (
            Facts { renewability: none(), ..healthy("google-oauth2") },
            ReauthenticationRequired,
            OfflineLogin,
            &["access_type=offline", "prompt=consent"][..],
        ),
        (
            Facts { active: false, renewability: none(), ..healthy("google-apps") },
            ReauthenticationRequired,
            OfflineLogin,
            &["prompt=consent"],
        ),
        (
            Facts { renewability: none(), ..healthy("waad") },
            ReauthenticationRequired,
            OfflineLogin,
            &["offline_access", "upstream_params"],
        ),
        (
            Facts { renewability: none(), ..healthy("oidc") },
            ReauthenticationRequired,
            OfflineLogin,
            &["offline_access"],
        ),
        (
            Facts { renewability: none(), ..healthy("github") },
            ReauthenticationRequired,
            OfflineLogin,
            &["8 hours"],
        ),
        (
            Facts { renewability: none(), ..healthy("bitbucket") },
            ReauthenticationRequired,
            OfflineLogin,
            &["log in again"],
        ),
        (
            Facts { failure: over, ..healthy("google-oauth2") },
            ReauthenticationRequired,
            OfflineLogin,
            &["(invalid_grant)", "7 days", "Testing", "six months", "Gmail", "100"],
        ),
        (
            Facts { failure: Some((&rapt, HOUR)), ..healthy("google-oauth2") },
            ReauthenticationRequired,
            OfflineLogin,
            &["(invalid_rapt)", "session control"],
        ),
        (
            Facts { failure: over, active: false, ..healthy("github") },
            ReauthenticationRequired,
            OfflineLogin,
            &["six months", "removes the app"],
        ),
        (
            Facts { failure: over, active: false, ..healthy("bitbucket") },
            ReauthenticationRequired,
            OfflineLogin,
            &["three months"],
        ),
        (
            Facts { failure: over, active: false, ..healthy("windowslive") },
            ReauthenticationRequired,
            OfflineLogin,
            &["90 days"],
        ),
        (
            Facts { failure: over, active: false, ..healthy("oauth2") },
            ReauthenticationRequired,
            OfflineLogin,
            &["(invalid_grant)"],
        ),
        (dead("github"), ReauthenticationRequired, Login, &["eleventh", "year", "SAML", "removes the app"]),
        (
            Facts { renewability: Renewability::WhileActive, ..dead("facebook") },
            ReauthenticationRequired,
            Login,
            &["60 days", "password", "only while they live"],
        ),
        (
            Facts { renewability: Renewability::Unsupported, ..dead("sharepoint") },
            ReauthenticationRequired,
            Login,
            &["no longer accepts"],
        ),
        (
            Facts {
                renewability: Renewability::Revoked,
                active: false,
                failure: over,
                ..healthy("google-oauth2")
            },
            ReauthenticationRequired,
            Login,
            &["revoked through this service"],
        ),
        (
            Facts {
                renewability: keys(&["providers.facebook.client_id", "providers.facebook.client_secret"]),
                ..healthy("facebook")
            },
            NotConfigured,
            Operator,
            &["60 days", "`providers.facebook.client_id` and `providers.facebook.client_secret`"],
        ),
        (
            Facts { renewability: keys(&["providers.acme.token_url"]), ..healthy("oauth2") },
            NotConfigured,
            Operator,
            &["`providers.acme.token_url`", "refresh token is held"],
        ),
        (
            Facts { renewability: Renewability::NotDurable, ..healthy("bitbucket") },
            NotConfigured,
            Operator,
            &["`store.url`", "die at use"],
        ),
        (
            Facts { failure: Some((&busy, HOUR)), ..healthy("google-oauth2") },
            RenewalFailed,
            Operator,
            &["3 renewals", "(rate_limited)", "3600 s", "quota"],
        ),
        (
            Facts { failure: Some((&wrong, HOUR)), ..healthy("waad") },
            RenewalFailed,
            Operator,
            &["(invalid_client)", "client_secret"],
        ),
        (
            Facts { scopes: &login_only, ..healthy("google-oauth2") },
            ScopeNotGranted,
            Login,
            &["connection_scope"],
        ),
        (
            Facts { renewability: Renewability::Unsupported, expiry: Some(soon), ..healthy("sharepoint") },
            ReauthenticationRequired,
            Login,
            &[" min", "several identities"],
        ),
        (
            Facts { renewability: Renewability::Unsupported, ..healthy("sharepoint") },
            ReauthenticationRequired,
            Login,
            &["min and cannot be renewed"],
        ),
    ] {
        let told = told(&facts);
        let [(found, mender, message)] = &told[..] else { panic!("{parts:?}: {told:?}") };
        assert_eq!((*found, *mender), (reason, mend), "{message}");
        assert!(parts.iter().all(|part| message.contains(part)), "{parts:?}: {message}");
        assert!(message.ends_with('.') && message.len() < 450, "{message}");
    }
}

#[tokio::test]
async fn a_dead_token_that_keys_would_have_saved_says_both() {
    let facts =
        Facts { active: false, renewability: keys(&["providers.facebook.client_id"]), ..healthy("facebook") };
    let reasons: Vec<_> = told(&facts).into_iter().map(|(reason, ..)| reason).collect();
    assert_eq!(reasons, [FindingReason::ReauthenticationRequired, FindingReason::NotConfigured]);
}

#[test]
fn every_reason_of_a_failed_renewal_comes_with_advice() {
    for (reason, part) in [
        ("unreachable", "can be reached from here"),
        ("timeout", "can be reached from here"),
        ("connection_broken", "can be reached from here"),
        ("unavailable", "status page"),
        ("unreadable_answer", "status page"),
        ("unsendable", "`private_key_file`"),
        ("unauthorized_client", "`client_id`"),
    ] {
        let message = words::failing(&failure(reason, false), Duration::ZERO);
        assert!(message.contains(part), "{message}");
    }
}
