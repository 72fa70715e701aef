//! The encryption keys: an ordered list, of which the first seals and all open.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{
    StoreError,
    seal::{Place, Sealer},
};

/// Identifies a key without revealing it: the first 8 bytes of its SHA-256, shown in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; 8]);

impl KeyId {
    fn of(key: &[u8]) -> Self {
        let hash = digest(&SHA256, key);
        Self(*hash.as_ref().first_chunk().expect("a SHA-256 has 32 bytes"))
    }

    pub(super) fn from_stored(bytes: &[u8]) -> Result<Self, StoreError> {
        bytes.try_into().map(Self).map_err(|_| StoreError::Corrupt { what: "a key id has not 8 bytes" })
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Sealed content, and the key it is under.
pub(super) struct Sealed {
    pub(super) key: KeyId,
    pub(super) bytes: Vec<u8>,
}

/// The keys of a file: one per line, base64 of 32 bytes, nothing else. The first seals, all open.
///
/// To change keys: add the new one below the others, on every replica; then move it to the top, and restart;
/// then run [`super::Store::rekey`]; then remove the old one. The file is read again only when a row is under
/// an unknown key: a replica that knows all keys continues to seal under its own first one.
pub struct Keyring {
    keys: RwLock<Keys>,
    file: Option<PathBuf>,
}

type Keys = Arc<[(KeyId, Sealer)]>;

impl Keyring {
    /// Reads the keys in `file`.
    ///
    /// # Errors
    /// `Misconfigured`, naming the wrong line but neither its content nor the file: the path may be a key
    /// written in its place.
    pub fn from_file(file: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let file = file.into();
        Ok(Self { keys: RwLock::new(read(&file)?), file: Some(file) })
    }

    /// Parses the keys in `text`, the content of a file.
    ///
    /// # Errors
    /// As [`Self::from_file`].
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let keys =
            parse(text).map_err(|what| StoreError::misconfigured(format!("encryption keys: {what}")))?;
        Ok(Self { keys: RwLock::new(keys), file: None })
    }

    /// Reads the file again, off the async threads; returns whether the keys have changed. An unreadable file
    /// leaves the old keys in use.
    pub async fn reload(self: &Arc<Self>) -> bool {
        let this = Arc::clone(self);
        tokio::task::spawn_blocking(move || this.reload_now()).await.unwrap_or(false)
    }

    fn reload_now(&self) -> bool {
        let Some(file) = &self.file else { return false };
        let new = match read(file) {
            Ok(new) => new,
            Err(error) => {
                tracing::warn!(
                    file = %file.display(), %error, "Cannot read the encryption keys again; keeping the current ones"
                );
                return false;
            }
        };
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let changed = !keys.iter().map(|(id, _)| id).eq(new.iter().map(|(id, _)| id));
        *keys = new;
        changed
    }

    fn keys(&self) -> Keys {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The key that seals.
    pub(super) fn first(&self) -> KeyId {
        self.keys()[0].0
    }

    pub(super) fn seal(&self, place: Place<'_>, plain: Zeroizing<Vec<u8>>) -> Sealed {
        let (key, sealer) = &self.keys()[0];
        Sealed { key: *key, bytes: sealer.seal(place, plain) }
    }

    /// Opens what was sealed for `place`. For an unknown key, the file is read once more.
    pub(super) async fn open(
        self: &Arc<Self>,
        place: Place<'_>,
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        match self.open_now(place, sealed) {
            Err(StoreError::UnknownKey { .. }) if self.reload().await => self.open_now(place, sealed),
            outcome => outcome,
        }
    }

    fn open_now(&self, place: Place<'_>, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let keys = self.keys();
        let (_, sealer) = keys
            .iter()
            .find(|(id, _)| *id == sealed.key)
            .ok_or(StoreError::UnknownKey { key: sealed.key })?;
        sealer.open(place, &sealed.bytes)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys().iter().map(|(id, _)| id)).finish()
    }
}

fn read(file: &Path) -> Result<Keys, StoreError> {
    let text = std::fs::read_to_string(file).map(Zeroizing::new);
    let text = text.map_err(|error| StoreError::misconfigured(format!("it cannot be read: {error}")))?;
    parse(&text).map_err(StoreError::misconfigured)
}

fn parse(text: &str) -> Result<Keys, String> {
    let mut keys: Vec<(KeyId, Sealer)> = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let key = key(line).ok_or_else(|| {
            format!("line {number} is not base64 of 32 bytes and nothing else; `openssl rand -base64 32` makes a key")
        })?;
        let id = KeyId::of(&*key);
        if keys.iter().any(|(known, _)| *known == id) {
            return Err(format!("line {number} repeats a key from above; remove it"));
        }
        keys.push((id, Sealer::new(&key)));
    }
    if keys.is_empty() {
        return Err("there is no key; `openssl rand -base64 32` makes one".to_owned());
    }
    Ok(keys.into())
}

fn key(line: &str) -> Option<Zeroizing<[u8; Sealer::KEY]>> {
    let bytes = Zeroizing::new(STANDARD.decode(line).ok()?);
    bytes.as_slice().try_into().map(Zeroizing::new).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(byte: u8) -> String {
        STANDARD.encode([byte; 32])
    }

    #[test]
    fn a_file_of_keys_is_read_strictly_and_the_wrong_line_is_named() {
        let (one, two) = (line(1), line(2));
        let keys = Keyring::parse(&format!("{one}\n{two}\n")).expect("two keys");
        assert_eq!(keys.keys().len(), 2);
        assert_eq!(keys.first(), KeyId::of(&[1; 32]));
        for (text, named) in [
            (String::new(), "no key"),
            (format!("{one}\n\n{two}"), "line 2"),
            (format!("# keys\n{one}"), "line 1"),
            (format!("{one} \n"), "line 1"),
            (format!("{one}\n{}", STANDARD.encode([3; 31])), "line 2"),
            (format!("{one}\n{two}\n{one}"), "line 3 repeats"),
        ] {
            let error = Keyring::parse(&text).expect_err("the text is wrong").to_string();
            assert!(error.contains(named) && !error.contains(&one[..8]), "{error}");
        }
    }

    #[test]
    fn debug_shows_ids_and_no_key() {
        let keys = Keyring::parse(&line(1)).expect("a key");
        assert_eq!(format!("{keys:?}"), format!("[{}]", KeyId::of(&[1; 32])));
    }

    #[tokio::test]
    async fn a_key_that_was_added_to_the_file_is_found_when_it_is_needed() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let file = folder.path().join("keys");
        std::fs::write(&file, line(1)).expect("the file can be written");
        let ours = Arc::new(Keyring::from_file(&file).expect("a key"));
        let theirs = Keyring::parse(&line(2)).expect("a key");
        let sealed = theirs.seal(Place::IndexKey, Zeroizing::new(b"secret".to_vec()));
        let unknown = ours.open(Place::IndexKey, &sealed).await;
        assert_eq!(unknown, Err(StoreError::UnknownKey { key: sealed.key }));

        std::fs::write(&file, format!("{}\n{}", line(1), line(2))).expect("the file can be written");
        let opened = ours.open(Place::IndexKey, &sealed).await.expect("the key is known now");
        assert_eq!(opened.as_slice(), b"secret");
    }
}
