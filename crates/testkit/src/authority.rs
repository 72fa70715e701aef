//! Certificates, made anew in each run: none is ever checked in.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
    date_time_ymd,
};

/// An authority of a test's own.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

/// A certificate and its key, in PEM form.
pub struct Certified {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = params(&[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key for the test");
        let pem = pem("CERTIFICATE", params.self_signed(&key).expect("a valid certificate").der());
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// For a server called `names`.
    pub fn server(&self, names: &[&str]) -> Certified {
        self.certify(ExtendedKeyUsagePurpose::ServerAuth, names, |_| {})
    }

    /// For a client with these names; one with a scheme is a URI.
    pub fn client(&self, names: &[&str]) -> Certified {
        self.certify(ExtendedKeyUsagePurpose::ClientAuth, names, |_| {})
    }

    pub fn certify(
        &self,
        usage: ExtendedKeyUsagePurpose,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Certified {
        let mut params = params(names);
        params.extended_key_usages.push(usage);
        change(&mut params);
        let key = KeyPair::generate().expect("a key for the test");
        let certificate = params.signed_by(&key, &self.issuer).expect("a valid certificate");
        Certified {
            certificate: pem("CERTIFICATE", certificate.der()),
            key: pem("PRIVATE KEY", key.serialized_der()),
        }
    }
}

/// Has ended long ago.
pub fn expired(params: &mut CertificateParams) {
    params.not_after = date_time_ymd(2020, 1, 2);
}

/// Begins in the far future.
pub fn early(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(3000, 1, 2);
}

fn params(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "a test");
    params.subject_alt_names = names.iter().map(|name| san(name)).collect();
    params
}

fn san(name: &str) -> SanType {
    if let Ok(address) = name.parse() {
        return SanType::IpAddress(address);
    }
    let text = name.try_into().expect("a name in ASCII");
    if name.contains("://") { SanType::URI(text) } else { SanType::DnsName(text) }
}

pub fn pem(tag: &str, der: &[u8]) -> String {
    let base64 = BASE64_STANDARD.encode(der);
    let lines: Vec<_> = base64.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {tag}-----\n{}\n-----END {tag}-----\n", lines.join("\n"))
}
