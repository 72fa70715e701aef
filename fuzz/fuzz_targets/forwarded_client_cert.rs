//! `x-forwarded-client-cert`: what a proxy writes is read, what its client made up is not, and whatever is
//! read at all is what another reader, written from Envoy's description, finds in the last element.
//!
//! The first line is what a client made up. The second is the subject of its certificate, and each further
//! line one of its names, `URI=...` or `DNS=...`.

#![no_main]

use std::sync::LazyLock;

use idp_token_service::{
    authentication::{Authenticated, Authentication, AuthenticationError, CredentialRejection},
    caller::{Caller, Peer},
};
use idp_token_service_fuzz::{Lines, world};
use libfuzzer_sys::fuzz_target;

const HASH: &str = "Hash=468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688";

static AUTHENTICATION: LazyLock<Authentication> =
    LazyLock::new(|| world::authentication("https://acme.eu.auth0.com", "trusted_peers = ['10.0.0.0/8']"));

fuzz_target!(|data: &[u8]| {
    let Some(mut lines) = Lines::of(data) else { return };
    let (made_up, subject) = (lines.field(), lines.field());
    let sans = lines.block();
    if let Ok(named) = read(&made_up) {
        assert_eq!(named, named_by(&last_element(&made_up)), "{made_up}");
    }
    if !sans.iter().all(|san| is_name(san)) {
        return;
    }
    let written = element(&subject, &sans);
    let expected = if count(&sans, "URI=") > 1 { Err(()) } else { Ok(named_by(&sans)) };
    if written.len() <= 4096 && sans.len() <= 32 {
        assert_eq!(read(&written), expected, "{written}");
    }
    if let Ok(named) = read(&format!("{made_up},{written}")) {
        assert_eq!(Ok(named), expected, "{made_up:?} made a difference");
    }
});

/// Whom the proxy speaks for.
fn read(header: &str) -> Result<Option<String>, ()> {
    let proxy = Peer { address: ([10, 0, 0, 1], 443).into(), sans: Vec::new() };
    match AUTHENTICATION.by_certificate(&proxy, [Some(header)].into_iter()) {
        Ok(None) => Ok(None),
        Ok(Some(Authenticated { caller: Caller::Service { id }, .. })) => Ok(Some(id)),
        Err(AuthenticationError::Rejected(
            CredentialRejection::Forwarded | CredentialRejection::Certificate,
        )) => Err(()),
        other => panic!("{other:?}"),
    }
}

/// A name as Envoy writes it, without quotes.
fn is_name(san: &str) -> bool {
    let is_plain = |name: &str| !name.is_empty() && !name.contains([';', ',', '"']);
    san.strip_prefix("URI=").or(san.strip_prefix("DNS=")).is_some_and(is_plain)
}

fn count(sans: &[String], kind: &str) -> usize {
    sans.iter().filter(|san| san.starts_with(kind)).count()
}

/// The one URI, or else the first DNS name.
fn named_by(sans: &[String]) -> Option<String> {
    let first = |kind| sans.iter().find_map(|san| san.strip_prefix(kind));
    first("URI=").map(str::to_owned).or(first("DNS=").map(str::to_ascii_lowercase))
}

fn element(subject: &str, sans: &[String]) -> String {
    let subject = subject.replace('\\', "\\\\").replace('"', "\\\"");
    let names: String = sans.iter().map(|san| format!(";{san}")).collect();
    format!("By=spiffe://acme/envoy;{HASH};Subject=\"{subject}\"{names}")
}

/// What Envoy writes for a certificate without such a name.
fn is_empty(pair: &str) -> bool {
    pair == "URI=" || pair == "DNS="
}

/// The pairs of the last element, letter by letter.
fn last_element(header: &str) -> Vec<String> {
    let mut pairs = vec![String::new()];
    let (mut is_quoted, mut is_escaped) = (false, false);
    for letter in header.chars() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => {
                is_escaped = true;
                continue;
            }
            '"' => {
                is_quoted = !is_quoted;
                continue;
            }
            ',' if !is_quoted => {
                pairs = vec![String::new()];
                continue;
            }
            ';' if !is_quoted => {
                pairs.push(String::new());
                continue;
            }
            _ => {}
        }
        pairs.last_mut().expect("there is always one").push(letter);
    }
    pairs.iter().map(|pair| pair.trim_start_matches(' ').to_owned()).filter(|pair| !is_empty(pair)).collect()
}
