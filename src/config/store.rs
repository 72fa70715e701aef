//! Where renewed tokens are stored, and the keys that encrypt them.

use std::{path::Path, sync::Arc};

use secrecy::ExposeSecret;
use url::Url;

use super::{
    raw::{Origin, Raw},
    secrets::FILE,
    section::Section,
    value::Shape,
};
use crate::store::{Keyring, StoreError, StoreUrl};

/// The token store, `[store]`.
#[derive(Clone, Debug)]
pub struct Store {
    /// The store's URL. Default: `memory:`, which forgets everything when the process ends.
    pub url: StoreUrl,
    /// The keys of a database, which are read again from their file when a row needs an unknown one. Default:
    /// none.
    pub keys: Option<Arc<Keyring>>,
}

const URL: &str = "`memory:`, `sqlite:///absolute/path` or `postgres://user@host/database`; with a password better `url_file`";

impl Store {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let url = url(section);
        let keys = keys(section);
        let (url, keys) = (url?, keys?);
        match (url.needs_keys(), &keys) {
            (true, None) => {
                section.problem(KEYS_MISSING);
                return None;
            }
            (false, Some(_)) => section.warn(
                "`store.encryption_keys_file` is set but has no effect, since `store.url` is `memory:`",
            ),
            _ => {}
        }
        if let Some(mode) = url.unverified() {
            section.warn(format!(
                "`store.url` says `sslmode={mode}`: whoever is between this machine and the database can pass for it, and \
                 read what is sent; write `sslmode=verify-full`, with `sslrootcert=/path/of/its/ca.pem` if need be"
            ));
        }
        Some(Self { url, keys })
    }
}

const KEYS_MISSING: &str = "`store.encryption_keys_file` is missing: tokens in a database are encrypted; name a file \
    with one key a line, each made by `openssl rand -base64 32`, or set `IDP_TOKEN_STORE_ENCRYPTION_KEYS_FILE`";

fn url(section: &mut Section<'_, '_>) -> Option<StoreUrl> {
    section.register("url", "`memory:`", URL);
    section.register("url_file", "none", FILE);
    let Some((name, raw)) = section.one_of(&["url", "url_file"]).ok()? else { return Some(StoreUrl::MEMORY) };
    if name == "url" {
        section.reader.holds_secret |= !raw.origin.variable && has_password(&raw.text);
        return parse(section, &raw.origin, raw.text.trim_end(), "");
    }
    let secret = section.secret_file(&raw)?.get();
    parse(section, &raw.origin, secret.expose_secret(), "names a file whose content ")
}

fn parse(section: &mut Section<'_, '_>, origin: &Origin, text: &str, before: &str) -> Option<StoreUrl> {
    text.parse().map_err(|error: StoreError| section.wrong(origin, &format!("{before}{error}"))).ok()
}

fn has_password(url: &str) -> bool {
    Url::parse(url)
        .is_ok_and(|url| url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password"))
}

/// Reads the keys. The outer `None` means a reported mistake, the inner one that there are no keys.
fn keys(section: &mut Section<'_, '_>) -> Option<Option<Arc<Keyring>>> {
    section.register("encryption_keys_file", "none; required for a database", FILE);
    let Some(raw) = section.raw("encryption_keys_file", Shape::Text, FILE).ok()? else { return Some(None) };
    section.warn_if_open(&raw);
    keyring(section, &raw).map(Some)
}

/// Reads the key file. Errors never quote the path: the keys themselves may have been written there.
fn keyring(section: &mut Section<'_, '_>, raw: &Raw<'_>) -> Option<Arc<Keyring>> {
    Keyring::from_file(Path::new(raw.text.as_ref()))
        .map(Arc::new)
        .map_err(|error| section.wrong(&raw.origin, &format!("names an unusable file: {error}")))
        .ok()
}
