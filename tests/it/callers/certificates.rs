//! Certificates, and what a proxy says about them.

use idp_token_service::config::{Config, Environment, TrustedPeer};
use idp_token_testkit::{World, issuer::Issuer, rules::everything_for_services};

use super::{assert_refused, list};

/// The header that Envoy sends for a workload's certificate.
pub(crate) const FORWARDED: &str = "By=spiffe://acme/envoy;\
    Hash=468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688;\
    Subject=\"CN=calendar\";URI=spiffe://acme/ns/prod/sa/calendar";

/// `trusted_peers`, as an operator writes it.
pub(crate) fn trusting(peers: &str) -> Vec<TrustedPeer> {
    let environment = Environment::from_iter([
        ("AUTH0_DOMAIN", "acme.eu.auth0.com"),
        ("AUTH0_CLIENT_ID", "app"),
        ("AUTH0_CLIENT_SECRET", "secret"),
        ("IDP_TOKEN_TRUSTED_PEERS", peers),
    ]);
    Config::load(None, &environment).unwrap().trusted_peers
}

#[tokio::test]
async fn a_trusted_proxy_speaks_for_its_client_and_never_for_itself() {
    let world = World::configured(|config| {
        config.trusted_peers = trusting("127.0.0.0/8");
        config.callers.push(everything_for_services());
    })
    .await;
    const NAME: &str = "x-forwarded-client-cert";
    assert_refused(&world, list(&world, &[]).await, "did not prove who it is");
    let forged = format!("URI=spiffe://acme/admin;\",{FORWARDED}");
    for headers in [
        &[(NAME, FORWARDED), (NAME, FORWARDED)][..],
        &[(NAME, "")],
        &[(NAME, "URI=spiffe://acme/admin")],
        &[(NAME, &*forged)],
    ] {
        assert_refused(&world, list(&world, headers).await, "`x-forwarded-client-cert` is malformed");
    }
    assert_eq!(list(&world, &[(NAME, FORWARDED)]).await.unwrap(), 3);
    // A token means nothing where no issuer is configured.
    assert_eq!(list(&world, &[(NAME, FORWARDED), ("authorization", "Bearer x")]).await.unwrap(), 3);
}

#[tokio::test]
async fn what_others_say_about_certificates_is_not_heard() {
    let issuer = Issuer::start().await;
    for peers in ["", "10.0.0.0/8 spiffe://acme/envoy envoy.acme.example"] {
        let world = World::configured(|config| {
            issuer.trust(config);
            config.trusted_peers = trusting(peers);
        })
        .await;
        for header in [FORWARDED, "junk"] {
            let headers = [("x-forwarded-client-cert", header)];
            assert_refused(&world, list(&world, &headers).await, "did not prove who it is");
            let token = super::bearer(&issuer.token());
            let with_token = [headers[0], ("authorization", &*token)];
            assert_eq!(list(&world, &with_token).await.unwrap(), 3, "and it is no mistake either");
            world.sandbox.journal().clear();
        }
        drop(world);
    }
}
