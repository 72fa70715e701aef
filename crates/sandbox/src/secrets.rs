//! Random tokens in each issuer's own shape, and the fingerprints that stand for them in the journal.

use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Random bytes from the operating system's generator.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    rand::fill(&mut out).expect("the system's random generator works");
    out
}

/// `length` random letters and digits. Slightly uneven, which a sandbox can live with.
pub(crate) fn letters(length: usize) -> String {
    let mut raw = vec![0_u8; length];
    rand::fill(&mut raw).expect("the system's random generator works");
    raw.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect()
}

/// An opaque Auth0 token or code: 32 characters.
pub(crate) fn opaque() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<24>())
}

/// How a secret is named where it must not be shown: `sha256:` and the first 16 bytes of its digest.
pub(crate) fn fingerprint(secret: &str) -> String {
    let digest = digest::digest(&digest::SHA256, secret.as_bytes());
    format!("sha256:{}", URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16]))
}

/// Whether two secrets are equal, without telling by time where they differ.
pub(crate) fn same(left: &str, right: &str) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(left.as_bytes(), right.as_bytes()).is_ok()
}

/// Lower-case hex, the form of `appsecret_proof` and of GitHub's request ids.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
