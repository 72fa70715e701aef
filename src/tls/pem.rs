//! Reads an operator's PEM files. Error texts follow "names", and quote neither path nor content: the
//! configuration may hold the key itself where the path belongs.

use std::{io, path::Path};

use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{Error, PemObject},
    },
};
use zeroize::Zeroizing;

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

pub(super) const DAMAGED: &str = "a file with a certificate that is cut off or damaged";

pub(super) const UNUSABLE_KEY: &str = "a private key that TLS cannot use: RSA of 2048 bits or more, ECDSA on P-256, P-384 or P-521, or Ed25519 will do";

/// Reads the certificates in `file`, at least one.
pub(super) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let content = read(file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    let found = found.map_err(|_| DAMAGED.to_owned())?;
    if found.is_empty() {
        return Err(format!("a file without a certificate: it must have a line `{CERTIFICATE}`"));
    }
    Ok(found)
}

/// Reads the authorities' certificates in `file`, at least one. Blocks.
///
/// # Errors
/// What the file is instead; the text follows "names".
pub fn authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = certificates(file)?;
    roots(&found)?;
    Ok(found)
}

/// A root store that trusts only `authorities`.
pub(super) fn roots(authorities: &[CertificateDer<'static>]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    authorities
        .iter()
        .try_for_each(|authority| roots.add(authority.clone()))
        .map_err(|_| DAMAGED.to_owned())?;
    Ok(roots)
}

/// Reads the private key in `file`.
pub(super) fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let content = Zeroizing::new(read(file)?);
    PrivateKeyDer::from_pem_slice(&content).map_err(|error| match error {
        Error::NoItemsFound if has(&content, "-----BEGIN ENCRYPTED PRIVATE KEY-----") => ENCRYPTED.to_owned(),
        Error::NoItemsFound => NO_KEY.to_owned(),
        _ => "a file with a private key that is cut off or damaged".to_owned(),
    })
}

const ENCRYPTED: &str = "a key that is encrypted with a passphrase, which nobody is there to type; `openssl pkey -in FILE` \
    writes it without one";

const NO_KEY: &str = "a file without a private key: it must have a line `-----BEGIN PRIVATE KEY-----`, \
    `-----BEGIN EC PRIVATE KEY-----` or `-----BEGIN RSA PRIVATE KEY-----`";

fn has(content: &[u8], line: &str) -> bool {
    memchr::memmem::find(content, line.as_bytes()).is_some()
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|error: io::Error| {
        format!("a file that cannot be read: {error}; write the path of a file in PEM form")
    })
}
