//! How Auth0, the providers and issuers are reached, `[upstream]`.

use std::path::Path;

use rustls::pki_types::CertificateDer;

use super::{raw::Raw, secrets::FILE, section::Section, value::Shape};
use crate::tls::authorities;

/// The authorities that are trusted with the system's: none where none are configured. There is no way to trust everybody.
pub(super) fn read(section: &mut Section<'_, '_>) -> Option<Vec<CertificateDer<'static>>> {
    section.know("ca_file", "none", FILE);
    let Some(raw) = section.raw("ca_file", Shape::Text, FILE).ok()? else { return Some(Vec::new()) };
    trusted(section, &raw)
}

fn trusted(section: &mut Section<'_, '_>, raw: &Raw<'_>) -> Option<Vec<CertificateDer<'static>>> {
    let found = authorities(Path::new(raw.text.as_ref()));
    found.map_err(|what| section.wrong(&raw.origin, &format!("names {what}"))).ok()
}
