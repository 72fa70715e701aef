//! What each provider's answers to a renewal, an inspection and a revocation mean.

use super::*;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

fn full(strategy: &str) -> Box<dyn Provider> {
    capabilities::full(strategy)
}

pub(super) fn answered(status: u16, body: &str) -> Response<Bytes> {
    answer(status, &[("content-type", "application/json; charset=utf-8")], body)
}

fn renewal(strategy: &str, status: u16, body: &str) -> String {
    let provider = full(strategy);
    let renewal = provider.renewal().expect("all is configured");
    match renewal.read(&answered(status, body), now()) {
        RenewalVerdict::Renewed(tokens) => {
            let refresh = if tokens.refresh.is_some() { "pair" } else { "access" };
            let seconds = tokens.expires_in.map_or("?".to_owned(), |life| life.as_secs().to_string());
            format!("{refresh} {seconds} {}", tokens.scopes.join(","))
        }
        RenewalVerdict::GrantDead { code } => format!("dead {code}"),
        RenewalVerdict::ClientRefused { code } => format!("client {code}"),
        RenewalVerdict::Transient(_) => "transient".to_owned(),
    }
}

fn inspection(strategy: &str, status: u16, body: &str) -> String {
    let provider = full(strategy);
    let inspection = provider.inspection().expect("all is configured");
    match inspection.read(&answered(status, body), now()) {
        InspectionVerdict::Active(found) => {
            let end = found.expires_at.and_then(|end| end.duration_since(SystemTime::UNIX_EPOCH).ok());
            let end = end.map_or("?".to_owned(), |end| end.as_secs().to_string());
            format!("active {end} {} {}", found.scopes.join(","), found.subject.unwrap_or("?".to_owned()))
        }
        InspectionVerdict::Dead => "dead".to_owned(),
        InspectionVerdict::DeadOrForeign => "dead or foreign".to_owned(),
        InspectionVerdict::ClientRefused { code } => format!("client {code}"),
        InspectionVerdict::Transient(_) => "transient".to_owned(),
    }
}

fn revocation(strategy: &str, status: u16, body: &str) -> String {
    let provider = full(strategy);
    let revocation = provider.revocation().expect("all is configured");
    match revocation.read(&answered(status, body), now()) {
        RevocationVerdict::Revoked => "revoked".to_owned(),
        RevocationVerdict::Unknown => "unknown".to_owned(),
        RevocationVerdict::ClientRefused { code } => format!("client {code}"),
        RevocationVerdict::Transient(_) => "transient".to_owned(),
    }
}

#[test]
fn renewals_are_read_in_each_dialect() {
    let rows = [
        // Google repeats no refresh token.
        (
            "google-oauth2",
            200,
            r#"{"access_token":"a","expires_in":3599,"scope":"x y","token_type":"Bearer"}"#,
            "access 3599 x,y",
        ),
        (
            "google-oauth2",
            400,
            r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#,
            "dead invalid_grant",
        ),
        (
            "google-apps",
            400,
            r#"{"error":"invalid_grant","error_description":"reauth related error (invalid_rapt)","error_subtype":"invalid_rapt"}"#,
            "dead invalid_rapt",
        ),
        (
            "google-oauth2",
            401,
            r#"{"error":"invalid_client","error_description":"Unauthorized"}"#,
            "client invalid_client",
        ),
        ("google-oauth2", 401, r#"{"error":"deleted_client"}"#, "client deleted_client"),
        ("google-oauth2", 403, r#"{"error":"rate_limit_exceeded"}"#, "transient"),
        // GitHub reports its errors in successes, and its lifetimes as texts.
        (
            "github",
            200,
            r#"{"access_token":"ghu_a","expires_in":"28800","refresh_token":"ghr_r","refresh_token_expires_in":"15811200","scope":"","token_type":"bearer"}"#,
            "pair 28800 ",
        ),
        (
            "github",
            200,
            r#"{"error":"bad_refresh_token","error_description":"The refresh token passed is incorrect or expired."}"#,
            "dead bad_refresh_token",
        ),
        ("github", 200, "error=bad_refresh_token&error_description=x", "dead bad_refresh_token"),
        ("github", 200, "access_token=ghu_a&expires_in=28800&refresh_token=ghr_r&scope=", "pair 28800 "),
        ("github", 200, r#"{"error":"incorrect_client_credentials"}"#, "client incorrect_client_credentials"),
        ("github", 404, r#"{"error":"Not Found"}"#, "transient"),
        ("github", 200, r#"{"error":"something_new"}"#, "transient"),
        // Facebook has codes.
        (
            "facebook",
            200,
            r#"{"access_token":"EAA","token_type":"bearer","expires_in":5183944}"#,
            "access 5183944 ",
        ),
        ("facebook", 200, r#"{"access_token":"EAA","token_type":"bearer"}"#, "access ? "),
        ("facebook", 200, "access_token=EAA&expires=5183944", "access 5183944 "),
        ("facebook", 400, "\u{feff}{\"error\":{\"code\":\"190\"},\"error\":{\"code\":\"190\"}}", "dead 190"),
        (
            "facebook",
            400,
            r#"{"error":{"message":"Session has expired","type":"OAuthException","code":190,"error_subcode":463}}"#,
            "dead 190",
        ),
        (
            "facebook",
            400,
            r#"{"error":{"message":"Error validating client secret.","type":"OAuthException","code":1}}"#,
            "client client_secret",
        ),
        (
            "facebook",
            400,
            r#"{"error":{"message":"Error validating application. Invalid application ID.","code":101}}"#,
            "client 101",
        ),
        ("facebook", 400, r#"{"error":{"message":"An unknown error occurred","code":1}}"#, "transient"),
        (
            "facebook",
            400,
            r#"{"error":{"message":"(#4) Application request limit reached","code":4}}"#,
            "transient",
        ),
        // Bitbucket.
        (
            "bitbucket",
            200,
            r#"{"access_token":"a","refresh_token":"r","expires_in":7200,"scope":"account repository"}"#,
            "pair 7200 account,repository",
        ),
        (
            "bitbucket",
            200,
            r#"{"access_token":"a","refresh_token":"r","expires_in":7200,"scopes":"account"}"#,
            "pair 7200 account",
        ),
        (
            "bitbucket",
            400,
            r#"{"error":"invalid_request","error_description":"Invalid refresh_token"}"#,
            "dead invalid_request",
        ),
        (
            "bitbucket",
            400,
            r#"{"error":"invalid_request","error_description":"No grant_type"}"#,
            "client invalid_request",
        ),
        ("bitbucket", 400, r#"{"error":"invalid_grant"}"#, "dead invalid_grant"),
        (
            "bitbucket",
            400,
            r#"{"error":"unauthorized_client","error_description":"Invalid OAuth client credentials"}"#,
            "client unauthorized_client",
        ),
        // Microsoft.
        (
            "waad",
            200,
            r#"{"access_token":"a","refresh_token":"r","expires_in":4800,"ext_expires_in":4800,"scope":"User.Read"}"#,
            "pair 4800 User.Read",
        ),
        (
            "waad",
            400,
            r#"{"error":"invalid_grant","error_description":"AADSTS700082: ...","error_codes":[700082]}"#,
            "dead invalid_grant",
        ),
        (
            "waad",
            400,
            r#"{"error":"invalid_grant","error_codes":[50173],"suberror":"bad_token"}"#,
            "dead bad_token",
        ),
        (
            "waad",
            400,
            r#"{"error":"invalid_grant","error_codes":[65001],"suberror":"consent_required"}"#,
            "dead consent_required",
        ),
        (
            "waad",
            400,
            r#"{"error":"interaction_required","error_codes":[50076],"suberror":"basic_action"}"#,
            "dead basic_action",
        ),
        ("waad", 400, r#"{"error":"invalid_grant","error_codes":[50196]}"#, "transient"),
        (
            "waad",
            400,
            r#"{"error":"invalid_grant","error_codes":["50196"],"suberror":"basic_action"}"#,
            "transient",
        ),
        ("waad", 401, r#"{"error":"invalid_client","error_codes":[7000222]}"#, "client invalid_client"),
        ("waad", 400, r#"{"error":"invalid_resource","error_codes":[500011]}"#, "client invalid_resource"),
        ("waad", 400, r#"{"error":"invalid_tenant","error_codes":["90002"]}"#, "client AADSTS90002"),
        ("waad", 400, r#"{"error":"invalid_grant","error_codes":[700016]}"#, "client AADSTS700016"),
        ("waad", 401, r#"{"error":"something_new","error_codes":[7000215]}"#, "client AADSTS7000215"),
        ("waad", 503, r#"{"error":"invalid_client","error_codes":[7000222]}"#, "transient"),
        ("waad", 400, r#"{"error":"invalid_scope","error_codes":[70011]}"#, "client invalid_scope"),
        ("waad", 400, r#"{"error":"temporarily_unavailable","error_codes":[90033]}"#, "transient"),
        ("windowslive", 400, r#"{"error":"invalid_grant","suberror":"something_new"}"#, "dead invalid_grant"),
        // RFC 6749.
        ("oauth2", 200, r#"{"access_token":"a"}"#, "access ? "),
        (
            "oidc",
            403,
            r#"{"error":"invalid_grant","error_description":"Unknown or invalid refresh token."}"#,
            "dead invalid_grant",
        ),
        ("oauth2", 400, r#"{"error":"bad_refresh_token"}"#, "transient"),
    ];
    for (strategy, status, body, expected) in rows {
        assert_eq!(renewal(strategy, status, body), expected, "{strategy} {status} {body}");
    }
}

#[test]
fn inspections_are_read_in_each_dialect() {
    let rows = [
        (
            "google-oauth2",
            200,
            r#"{"azp":"app","aud":"app","sub":"108","scope":"x y","exp":"1800000100","expires_in":"100"}"#,
            "active 1800000100 x,y 108",
        ),
        ("google-oauth2", 400, r#"{"error":"invalid_token","error_description":"Invalid Value"}"#, "dead"),
        ("google-oauth2", 400, r#"{"error_description":"Invalid Value"}"#, "dead"),
        ("google-oauth2", 400, r#"{"error":"invalid_request"}"#, "client invalid_request"),
        ("google-oauth2", 200, "{}", "transient"),
        (
            "github",
            200,
            r#"{"scopes":["repo","gist"],"expires_at":"2027-01-15T08:01:40Z","user":{"login":"ada","id":7}}"#,
            "active 1800000100 repo,gist 7",
        ),
        ("github", 200, r#"{"scopes":null,"expires_at":null,"user":{"id":7}}"#, "active ?  7"),
        ("github", 404, r#"{"message":"Not Found","documentation_url":"x"}"#, "dead or foreign"),
        ("github", 200, r#"{"message":"Not Found"}"#, "transient"),
        ("github", 200, r#"{"scopes":[],"user":{"id":null}}"#, "transient"),
        ("github", 404, "<html>", "transient"),
        ("github", 401, r#"{"message":"Requires authentication"}"#, "client bad_credentials"),
        ("github", 422, r#"{"message":"Validation Failed"}"#, "transient"),
        (
            "facebook",
            200,
            r#"{"data":{"is_valid":true,"expires_at":1800000100,"scopes":["email"],"user_id":"9"}}"#,
            "active 1800000100 email 9",
        ),
        ("facebook", 200, r#"{"data":{"is_valid":true,"expires_at":0}}"#, "active ?  ?"),
        (
            "facebook",
            200,
            r#"{"data":{"is_valid":false,"error":{"code":190,"subcode":463},"scopes":[]}}"#,
            "dead",
        ),
        (
            "facebook",
            200,
            r#"{"data":{"app_id":"app","is_valid":false,"error":{"code":100,"message":"m"}}}"#,
            "dead",
        ),
        (
            "facebook",
            200,
            r#"{"data":{"app_id":"another","is_valid":false,"error":{"code":190}}}"#,
            "dead or foreign",
        ),
        (
            "facebook",
            200,
            r#"{"data":{"is_valid":false,"error":{"code":100,"message":"The App_id in the input_token did not match the Viewing App"}}}"#,
            "dead or foreign",
        ),
        ("facebook", 400, r#"{"error":{"message":"Invalid OAuth access token.","code":190}}"#, "client 190"),
        ("facebook", 200, r#"{"data":{}}"#, "transient"),
        ("bitbucket", 200, r#"{"type":"user","uuid":"{ab}","username":"ada"}"#, "active ?  {ab}"),
        ("bitbucket", 401, r#"{"type":"error","error":{"message":"Access token expired."}}"#, "dead"),
        (
            "bitbucket",
            403,
            r#"{"type":"error","error":{"message":"Your credentials lack one or more required privilege scopes."}}"#,
            "active ?  ?",
        ),
        ("bitbucket", 404, "{}", "transient"),
        ("bitbucket", 200, r#"{"type":"user"}"#, "transient"),
        ("waad", 200, r#"{"id":"7f","displayName":"Ada"}"#, "active ?  7f"),
        ("waad", 401, r#"{"error":{"code":"InvalidAuthenticationToken"}}"#, "dead"),
        ("waad", 403, r#"{"error":{"code":"Authorization_RequestDenied"}}"#, "active ?  ?"),
        ("windowslive", 403, "{}", "active ?  ?"),
        ("waad", 429, "{}", "transient"),
        (
            "oauth2",
            200,
            r#"{"active":true,"exp":1800000100,"scope":"a b","sub":"u1"}"#,
            "active 1800000100 a,b u1",
        ),
        ("oauth2", 200, r#"{"active":true,"exp":"x","scope":5,"sub":12}"#, "active ?  12"),
        ("oidc", 200, "\u{feff}{\"active\":true}", "active ?  ?"),
        ("oidc", 201, "active=true&exp=1800000100.0&scope=a+b", "active 1800000100 a,b ?"),
        ("oidc", 200, r#"{"active":false,"exp":1800000100,"scope":"a"}"#, "dead or foreign"),
        ("oidc", 200, r#"{"active":"true"}"#, "active ?  ?"),
        ("oidc", 200, r#"{"active":"False"}"#, "dead or foreign"),
        ("oidc", 200, r#"{"active":"no"}"#, "transient"),
        ("oidc", 200, r#"{"active":null}"#, "transient"),
        ("oidc", 400, r#"{"active":true}"#, "transient"),
        ("oidc", 503, r#"{"active":false}"#, "transient"),
        ("oidc", 200, r#"{"exp":1800000100}"#, "transient"),
        ("oidc", 401, r#"{"error":"invalid_client"}"#, "client invalid_client"),
        ("oidc", 400, "error=invalid_grant", "dead or foreign"),
    ];
    for (strategy, status, body, expected) in rows {
        assert_eq!(inspection(strategy, status, body), expected, "{strategy} {status} {body}");
    }
}

#[test]
fn revocations_are_read_in_each_dialect() {
    let rows = [
        ("google-oauth2", 200, "{}", "revoked"),
        ("google-oauth2", 200, "", "revoked"),
        ("google-oauth2", 200, "<html>ok</html>", "revoked"),
        ("google-oauth2", 302, "<html>Sign in to the guest network</html>", "transient"),
        (
            "google-oauth2",
            400,
            r#"{"error":"invalid_token","error_description":"Token expired or revoked"}"#,
            "unknown",
        ),
        ("google-oauth2", 400, r#"{"error":"invalid_request"}"#, "client invalid_request"),
        ("github", 204, "", "revoked"),
        ("github", 200, "{}", "transient"),
        ("github", 404, r#"{"message":"Not Found"}"#, "unknown"),
        ("github", 401, r#"{"message":"Bad credentials"}"#, "client bad_credentials"),
        ("facebook", 200, r#"{"success":true}"#, "revoked"),
        ("facebook", 200, "true", "revoked"),
        ("facebook", 200, "\u{feff}{\"success\":true}", "revoked"),
        ("facebook", 200, "<html>ok</html>", "transient"),
        ("facebook", 200, r#"{"success":false}"#, "transient"),
        ("facebook", 400, r#"{"error":{"message":"m","code":190,"error_subcode":458}}"#, "unknown"),
        (
            "facebook",
            400,
            r#"{"error":{"message":"Invalid appsecret_proof provided in the API argument","code":100}}"#,
            "client appsecret_proof",
        ),
        ("oauth2", 200, "", "revoked"),
        ("oauth2", 200, "<html>ok</html>", "revoked"),
        ("oauth2", 202, r#"{"anything":1}"#, "revoked"),
        ("oauth2", 400, "\u{feff}{\"error\":\"x\",\"error\":\"invalid_grant\"}", "unknown"),
        ("oauth2", 400, "error=invalid_grant", "unknown"),
        ("oauth2", 400, "<html>ok</html>", "transient"),
        ("oauth2", 401, r#"{"error":"invalid_client"}"#, "client invalid_client"),
        ("oidc", 400, r#"{"error":"unsupported_token_type"}"#, "client unsupported_token_type"),
        ("oidc", 503, "", "transient"),
    ];
    for (strategy, status, body, expected) in rows {
        assert_eq!(revocation(strategy, status, body), expected, "{strategy} {status} {body}");
    }
}
