//! Which caller certificates, and proxies' words about them, identify.

use super::*;

const HASH: &str = "Hash=468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688";

fn uri(text: &str) -> San {
    San::Uri(text.to_owned())
}

fn dns(text: &str) -> San {
    San::Dns(text.to_owned())
}

/// Returns the id of the calling service; a proxy at 10.0.0.0/8, or with a name of its own, is trusted.
fn id(address: &str, sans: &[San], forwarded: &[&str]) -> Result<Option<String>, CredentialRejection> {
    let variables = [
        ("AUTH0_DOMAIN", "acme.eu.auth0.com"),
        ("AUTH0_CLIENT_ID", "app"),
        ("AUTH0_CLIENT_SECRET", "secret"),
        ("IDP_TOKEN_TRUSTED_PEERS", "spiffe://acme/envoy envoy.acme.example 10.0.0.0/8"),
    ];
    let config = Config::load(None, &variables.into_iter().collect()).expect("a right configuration");
    let trusted_peers = config.trusted_peers;
    let authentication = Authentication { trusted_peers, ..Authentication::open() };
    let peer = Peer { address: format!("{address}:1").parse().expect("an address"), sans: sans.to_vec() };
    let forwarded = forwarded.iter().map(|value| Some(*value));
    match authentication.by_certificate(&peer, forwarded) {
        Ok(Some(Authenticated { caller: Caller::Service { id }, .. })) => Ok(Some(id)),
        Ok(None) => Ok(None),
        Err(AuthenticationError::Rejected(rejection)) => Err(rejection),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_certificate_names_one_service() {
    let sa = "spiffe://acme/ns/prod/sa/calendar";
    for (sans, expected) in [
        (vec![uri(sa)], Ok(Some(sa))),
        (vec![dns("calendar.acme.example"), uri(sa)], Ok(Some(sa))),
        (vec![dns("calendar.acme.example"), dns("b.acme.example")], Ok(Some("calendar.acme.example"))),
        (vec![dns("Calendar.ACME.example")], Ok(Some("calendar.acme.example"))),
        (vec![], Ok(None)),
        (vec![uri(sa), uri("spiffe://acme/admin")], Err(CredentialRejection::Certificate)),
    ] {
        assert_eq!(id("192.0.2.1", &sans, &[]), expected.map(|id| id.map(str::to_owned)), "{sans:?}");
    }
}

#[test]
fn only_a_trusted_peer_speaks_for_another() {
    let (own, client) = (uri("spiffe://acme/mail"), "spiffe://acme/calendar");
    let forwarded = &*format!("{HASH};URI={client}");
    for (address, sans, expected) in [
        ("192.0.2.1", vec![own.clone()], Some("spiffe://acme/mail")),
        ("192.0.2.1", vec![], None),
        ("192.0.2.1", vec![uri("spiffe://acme/envoy")], Some(client)),
        ("192.0.2.1", vec![dns("Envoy.acme.example")], Some(client)),
        ("192.0.2.1", vec![uri("envoy.acme.example"), dns("a.acme.example")], Some("envoy.acme.example")),
        ("10.1.2.3", vec![], Some(client)),
        ("[::ffff:10.1.2.3]", vec![own.clone()], Some(client)),
    ] {
        let expected = Ok(expected.map(str::to_owned));
        assert_eq!(id(address, &sans, &[forwarded]), expected, "{address} {sans:?}");
    }
    assert_eq!(id("192.0.2.1", &[own], &["junk", "junk"]), Ok(Some("spiffe://acme/mail".to_owned())));
}

#[test]
fn a_trusted_peer_is_no_caller_itself_and_must_be_understood() {
    let envoy = [uri("spiffe://acme/envoy")];
    let good = &*format!("{HASH};URI=spiffe://acme/calendar");
    for (forwarded, expected) in [
        (&[][..], Ok(None)),
        (&[HASH], Ok(None)),
        (&[good, good], Err(CredentialRejection::Forwarded)),
        (&["junk"], Err(CredentialRejection::Forwarded)),
        (&[&*format!("{good};URI=spiffe://acme/admin")], Err(CredentialRejection::Certificate)),
    ] {
        assert_eq!(id("192.0.2.1", &envoy, forwarded), expected, "{forwarded:?}");
    }
}
