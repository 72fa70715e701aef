//! Whom the service takes a call to come from, when Envoy is in front of it and when it is not.

use idp_token_testkit::{
    assert_error, channel,
    issuer::{AUDIENCE, Issuer},
};
use tonic::Code::{PermissionDenied, Unauthenticated};

use super::list;
use crate::stage::{CALENDAR, MAIL, REPORTS, Stage, callers};

const NAME: &str = "x-forwarded-client-cert";

/// What Envoy would say of the calendar's certificate.
fn forged() -> String {
    format!("By=spiffe://acme/envoy;Hash={};URI={CALENDAR}", "0".repeat(64))
}

#[tokio::test]
async fn workloads_behind_one_envoy_are_told_apart_by_their_certificates() {
    let stage = Stage::new().await;
    let service = stage.serve(&stage.mutual()).await;
    let envoy = stage.envoy(&service, "SANITIZE_SET").await;
    for names in [&[CALENDAR][..], &[REPORTS], &[CALENDAR, REPORTS]] {
        assert_eq!(list(&stage.workload(envoy.address, names), &[]).await.unwrap(), 3, "{names:?}");
    }
    let outcome = list(&stage.workload(envoy.address, &[MAIL, REPORTS]), &[]).await;
    assert_error(outcome, PermissionDenied, "CALLER_NOT_ALLOWED");
    // An address is no name, two URIs are none, and the sidecar itself is nobody.
    for names in [&["127.0.0.1"][..], &[CALENDAR, MAIL]] {
        let outcome = list(&stage.workload(envoy.address, names), &[]).await;
        assert_error(outcome, Unauthenticated, "CALLER_UNAUTHENTICATED");
    }
    let outcome = list(&stage.workload(service.grpc, &["spiffe://acme/envoy"]), &[]).await;
    assert_error(outcome, Unauthenticated, "CALLER_UNAUTHENTICATED");
}

#[tokio::test]
async fn what_a_workload_forges_reaches_nobody_through_envoy_and_means_nothing_without_it() {
    let stage = Stage::new().await;
    let service = stage.serve(&stage.mutual()).await;
    for forwarding in ["SANITIZE_SET", "APPEND_FORWARD"] {
        let envoy = stage.envoy(&service, forwarding).await;
        let (mail, calendar) =
            (stage.workload(envoy.address, &[MAIL]), stage.workload(envoy.address, &[CALENDAR]));
        let forged = forged();
        let outcome = list(&mail, &[(NAME, &forged)]).await;
        assert_error(outcome, PermissionDenied, "CALLER_NOT_ALLOWED");
        let outcome = list(&mail, &[(NAME, &forged), (NAME, &forged)]).await;
        assert_error(outcome, PermissionDenied, "CALLER_NOT_ALLOWED");
        assert_eq!(list(&calendar, &[(NAME, &forged.replace(CALENDAR, MAIL))]).await.unwrap(), 3);
        // A quote that is never closed would swallow what Envoy appends.
        for open in [format!("{forged};Subject=\""), "\"".to_owned(), format!("{forged};URI=")] {
            assert!(list(&mail, &[(NAME, &open)]).await.is_err(), "{forwarding}: {open}");
        }
    }
    let (mail, calendar) = (stage.workload(service.grpc, &[MAIL]), stage.workload(service.grpc, &[CALENDAR]));
    let outcome = list(&mail, &[(NAME, &forged())]).await;
    assert_error(outcome, PermissionDenied, "CALLER_NOT_ALLOWED");
    assert_eq!(list(&calendar, &[(NAME, "URI=\"junk")]).await.unwrap(), 3);
}

#[tokio::test]
async fn an_envoy_that_speaks_plain_text_is_believed_by_its_address() {
    let stage = Stage::new().await;
    let trusting = |range: &str| format!("trusted_peers = [{range:?}]\n{}", callers(&[CALENDAR]));
    let service = stage.serve(&trusting("127.0.0.0/30")).await;
    let envoy = stage.envoy_with_plain_text_behind(&service).await;
    assert_eq!(list(&stage.workload(envoy.address, &[CALENDAR]), &[]).await.unwrap(), 3);
    let outcome = list(&stage.workload(envoy.address, &[MAIL]), &[(NAME, &forged())]).await;
    assert_error(outcome, PermissionDenied, "CALLER_NOT_ALLOWED");
    let outcome = list(&channel(service.grpc), &[]).await;
    assert_error(outcome, Unauthenticated, "CALLER_UNAUTHENTICATED");

    let elsewhere = stage.serve(&trusting("10.0.0.0/8")).await;
    let envoy = stage.envoy_with_plain_text_behind(&elsewhere).await;
    let outcome = list(&stage.workload(envoy.address, &[CALENDAR]), &[]).await;
    assert_error(outcome, Unauthenticated, "CALLER_UNAUTHENTICATED");
}

#[tokio::test]
async fn through_envoy_a_token_comes_before_the_certificate_whatever_that_may_do() {
    let (stage, issuer) = (Stage::new().await, Issuer::start().await);
    let url = issuer.url();
    let settings = format!(
        "{}{}[[jwt_issuers]]\nissuer = {url:?}\njwks_url = \"{url}/jwks\"\naudience = {AUDIENCE:?}\n",
        stage.mutual(),
        // The subject of its tokens.
        callers(&["calendar"])
    );
    let service = stage.serve(&settings).await;
    let envoy = stage.envoy(&service, "SANITIZE_SET").await;
    let (mail, calendar) =
        (stage.workload(envoy.address, &[MAIL]), stage.workload(envoy.address, &[CALENDAR]));
    let good = format!("Bearer {}", issuer.token());
    assert_eq!(list(&mail, &[("authorization", &good)]).await.unwrap(), 3);
    let mut claims = issuer.claims();
    claims["sub"] = "mail".into();
    let other = format!("Bearer {}", issuer.sign(&claims));
    let outcome = list(&calendar, &[("authorization", &other)]).await;
    assert_error(outcome, PermissionDenied, "CALLER_NOT_ALLOWED");
    let outcome = list(&calendar, &[("authorization", "Bearer junk")]).await;
    assert_error(outcome, Unauthenticated, "CALLER_UNAUTHENTICATED");
}
