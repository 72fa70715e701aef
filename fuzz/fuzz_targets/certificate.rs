//! A client's certificate: the names that were put in are read, URIs first, and one that was damaged names
//! nobody else.
//!
//! Each line up to an empty one is a name, `URI=...` or `DNS=...`; each behind it damages a byte: where, and
//! a number. The end of the input, behind another empty line, is a certificate itself, in bytes of any kind.

#![no_main]

use std::sync::LazyLock;

use idp_token_service::{caller::San, tls::sans};
use idp_token_service_fuzz::Lines;
use libfuzzer_sys::fuzz_target;
use rcgen::{CertificateParams, KeyPair, SanType};
use rustls_pki_types::CertificateDer;

static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate().expect("a key"));

fuzz_target!(|data: &[u8]| {
    let _ = sans(&CertificateDer::from(data));
    let Some(mut lines) = Lines::of(data) else { return };
    let names = lines.block();
    let Some(certificate) = certificate(&names) else { return };
    let read = sans(&CertificateDer::from(&*certificate));
    assert_eq!(read, expected(&names), "{names:?}");

    let damaged = damaged(certificate, &lines.block());
    for san in sans(&CertificateDer::from(&*damaged)) {
        let (San::Uri(name) | San::Dns(name)) = &san;
        assert!(
            memchr::memmem::find(&damaged, name.as_bytes()).is_some(),
            "{san:?} is not in the certificate"
        );
        if matches!(san, San::Dns(_)) {
            let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.*".contains(byte);
            assert!(name.as_bytes().iter().all(is_name), "{san:?}");
        }
    }
});

/// What a CA signs for these names; `None` where it would not.
fn certificate(names: &[String]) -> Option<Vec<u8>> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names.iter().map(|name| san(name)).collect::<Option<_>>()?;
    Some(params.self_signed(&*KEY).ok()?.der().to_vec())
}

fn san(line: &str) -> Option<SanType> {
    match line.split_once('=')? {
        ("URI", uri) => uri.try_into().ok().map(SanType::URI),
        ("DNS", name) if is_host(name) => name.try_into().ok().map(SanType::DnsName),
        _ => None,
    }
}

/// What is a host's name by anybody's rules: others are left out by some readers, and that is well.
fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_letter = |byte: u8| byte.is_ascii_lowercase();
        (1..=63).contains(&label.len()) && label.bytes().all(is_letter)
    };
    name.len() < 253 && name.split('.').all(is_label)
}

fn expected(names: &[String]) -> Vec<San> {
    let of =
        |kind: &'static str| names.iter().filter_map(move |name| name.strip_prefix(kind)).map(str::to_owned);
    of("URI=").map(San::Uri).chain(of("DNS=").map(San::Dns)).collect()
}

fn damaged(mut certificate: Vec<u8>, damage: &[String]) -> Vec<u8> {
    for line in damage {
        let (at, byte) = line.split_once(' ').unwrap_or_default();
        if let (Ok(at), Ok(byte)) = (at.parse::<usize>(), byte.parse::<u8>()) {
            let at = at % certificate.len();
            certificate[at] = byte;
        }
    }
    certificate
}
