//! Authenticated encryption: sealed content can be read only with its key, and only in the place it was
//! sealed for.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

use super::StoreError;

/// The first byte of all sealed content: the version of the format.
const VERSION: u8 = 1;

/// The place that content is sealed for, and the only one where it can be opened.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// The record of `account`, last written for `owner`; both are keyed hashes.
    Record { account: &'a [u8], owner: &'a [u8], generation: u64 },
    /// A shared value.
    Shared { name: &'a str, generation: u64 },
    /// The key of the keyed hashes.
    IndexKey,
}

impl Place<'_> {
    /// The associated data. Each part is preceded by its length, so that no two places are encoded alike.
    fn bytes(self) -> Vec<u8> {
        let (label, parts, generation): (_, [&[u8]; 2], _) = match self {
            Self::Record { account, owner, generation } => ("record", [account, owner], generation),
            Self::Shared { name, generation } => ("shared", [name.as_bytes(), &[]], generation),
            Self::IndexKey => ("index key", [&[], &[]], 0),
        };
        let mut bytes = vec![VERSION];
        for part in [label.as_bytes(), parts[0], parts[1]] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes.extend_from_slice(&generation.to_be_bytes());
        bytes
    }

    fn corrupt(self) -> StoreError {
        let what = match self {
            Self::Record { .. } => "a record's seal is broken",
            Self::Shared { .. } => "a shared value's seal is broken",
            Self::IndexKey => "the index key's seal is broken",
        };
        StoreError::Corrupt { what }
    }
}

/// Seals and opens. Nonces are random: safe for 2^32 seals under one key, which is 136 a second for a year.
pub(super) struct Sealer(RandomizedNonceKey);

impl Sealer {
    /// Bytes of a key.
    pub(super) const KEY: usize = 32;

    pub(super) fn new(key: &[u8; Self::KEY]) -> Self {
        Self(RandomizedNonceKey::new(&AES_256_GCM, key).expect("AES-256 takes every key of 32 bytes"))
    }

    /// Returns version, nonce, ciphertext and tag.
    pub(super) fn seal(&self, place: Place<'_>, mut plain: Zeroizing<Vec<u8>>) -> Vec<u8> {
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(place.bytes()), &mut *plain)
            .expect("AES-GCM seals all that fits into memory");
        [&[VERSION][..], nonce.as_ref(), &plain].concat()
    }

    /// Opens what was sealed for `place`.
    pub(super) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let (version, rest) = sealed.split_first().ok_or_else(|| place.corrupt())?;
        match *version {
            VERSION => {}
            later if later > VERSION => return Err(StoreError::Newer),
            _ => return Err(place.corrupt()),
        }
        let (nonce, rest) = rest.split_at_checked(NONCE_LEN).ok_or_else(|| place.corrupt())?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| place.corrupt())?;
        let mut text = Zeroizing::new(rest.to_vec());
        let length = self
            .0
            .open_in_place(nonce, Aad::from(place.bytes()), &mut text)
            .map_err(|_| place.corrupt())?
            .len();
        text.truncate(length);
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(account: &[u8], generation: u64) -> Place<'_> {
        Place::Record { account, owner: b"owner", generation }
    }

    #[test]
    fn what_is_sealed_opens_in_its_own_place_only() {
        let sealer = Sealer::new(&[7; 32]);
        let sealed = sealer.seal(record(b"a", 3), Zeroizing::new(b"secret".to_vec()));
        assert_eq!(sealer.open(record(b"a", 3), &sealed).expect("the seal is whole").as_slice(), b"secret");
        let elsewhere = [record(b"b", 3), record(b"a", 2), record(b"", 3), Place::IndexKey];
        for place in elsewhere.into_iter().chain([Place::Shared { name: "a", generation: 3 }]) {
            assert!(matches!(sealer.open(place, &sealed), Err(StoreError::Corrupt { .. })));
        }
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let sealer = Sealer::new(&[7; 32]);
        let sealed = sealer.seal(Place::IndexKey, Zeroizing::new(b"secret".to_vec()));
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(sealer.open(Place::IndexKey, &changed).is_err(), "byte {index}");
            assert!(sealer.open(Place::IndexKey, &sealed[..index]).is_err(), "cut at {index}");
        }
        assert!(Sealer::new(&[8; 32]).open(Place::IndexKey, &sealed).is_err());
    }
}
