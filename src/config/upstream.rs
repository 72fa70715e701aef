//! How Auth0, the providers and issuers are reached, `[upstream]`.

use std::path::Path;

use rustls::pki_types::CertificateDer;

use super::{raw::Raw, secrets::FILE, section::Section, value::Shape};
use crate::tls::authorities;

/// Reads the certificate authorities that are trusted in addition to the system's; none by default. There is
/// no way to trust every certificate.
pub(super) fn read(section: &mut Section<'_, '_>) -> Option<Vec<CertificateDer<'static>>> {
    section.register("ca_file", "none", FILE);
    let Some(raw) = section.raw("ca_file", Shape::Text, FILE).ok()? else { return Some(Vec::new()) };
    trusted(section, &raw)
}

fn trusted(section: &mut Section<'_, '_>, raw: &Raw<'_>) -> Option<Vec<CertificateDer<'static>>> {
    let found = authorities(Path::new(raw.text.as_ref()));
    found.map_err(|what| section.wrong(&raw.origin, &format!("names {what}"))).ok()
}
